"""Pure functions from a channel's raw bytes to what they say: no I/O, no clock, no state."""
