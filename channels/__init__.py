"""One folder per channel: I/O only; what a message means is decided elsewhere."""
