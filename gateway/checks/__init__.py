"""Every test that an operator would do by hand, for ``lapor-gateway check``."""

from gateway.checks.everything import check_everything

__all__ = ["check_everything"]
