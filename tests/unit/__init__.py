"""Pure parts by themselves."""
