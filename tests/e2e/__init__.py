"""The whole gateway as a process of its own."""
