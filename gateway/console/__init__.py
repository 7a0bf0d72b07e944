"""The operators' page and the HTTP API."""

from gateway.console.server import Console

__all__ = ["Console"]
