"""Tests: what the gateway promises, kept with real parts."""
