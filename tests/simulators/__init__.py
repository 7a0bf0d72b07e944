"""Typed simulators of the outside world, on loopback or a pseudo-terminal, for tests."""
