"""Delivery: what is ready becomes a reply on its ticket (design §6)."""

from bridge.delivery.client import TicketApi
from bridge.delivery.gate import Gate, GateState
from bridge.delivery.reading import Reading, ReadingConfig
from bridge.delivery.resolver import Resolver
from bridge.delivery.sending import Sending, SendingConfig
from bridge.delivery.uploads import Limits
from bridge.delivery.worker import Delivery

__all__ = [
    "Delivery",
    "Gate",
    "GateState",
    "Limits",
    "Reading",
    "ReadingConfig",
    "Resolver",
    "Sending",
    "SendingConfig",
    "TicketApi",
]
