"""The database: every message in custody, and the state of each on its way."""

from gateway.store.engine import Store

__all__ = ["Store"]
