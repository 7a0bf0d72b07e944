"""The kernel of the LAPOR Gateway: what every channel, parser and stage shares."""

__version__ = "0.1.0"
