"""The demo: the gateway with everything embedded, and invented citizens who text it."""
