"""Delivery: what is ready becomes a reply on its ticket (design §6)."""

from bridge.delivery.client import TicketApi
from bridge.delivery.gate import Gate, GateState
from bridge.delivery.ledger import Ledger
from bridge.delivery.points import Checkpoint, Point, nothing
from bridge.delivery.probe import NOBODY, Rights, rights
from bridge.delivery.reading import Reading, ReadingConfig
from bridge.delivery.resolver import Resolver
from bridge.delivery.schedule import Pace
from bridge.delivery.sending import Sending, SendingConfig
from bridge.delivery.sharing import Sharing
from bridge.delivery.uploads import Limits
from bridge.delivery.worker import Delivery

__all__ = [
    "NOBODY",
    "Checkpoint",
    "Delivery",
    "Gate",
    "GateState",
    "Ledger",
    "Limits",
    "Pace",
    "Point",
    "Reading",
    "ReadingConfig",
    "Resolver",
    "Rights",
    "Sending",
    "SendingConfig",
    "Sharing",
    "TicketApi",
    "nothing",
    "rights",
]
