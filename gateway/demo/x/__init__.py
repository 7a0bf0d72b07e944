"""A small X on loopback: the API v2 with invented people, for the demo, and with faults, for the tests."""

from gateway.demo.x.faults import OPERATIONAL_DISCONNECT, Faults, Refusal
from gateway.demo.x.options import Credentials, Options
from gateway.demo.x.simulator import XSimulator
from gateway.demo.x.world import Media, Place, Post, User, World

__all__ = [
    "OPERATIONAL_DISCONNECT",
    "Credentials",
    "Faults",
    "Media",
    "Options",
    "Place",
    "Post",
    "Refusal",
    "User",
    "World",
    "XSimulator",
]
