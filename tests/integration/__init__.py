"""Parts together with the real services."""
