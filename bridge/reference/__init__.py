"""Which ticket a mail belongs to, and who may write on it (design §8). Pure."""

from bridge.reference.address import AddressMatch, make_address, parse_address
from bridge.reference.authorise import TOO_MANY, TOO_OFTEN_EQUAL, authorise, back_stop
from bridge.reference.choose import Choice, choose
from bridge.reference.keys import AddressKey, AddressKeys
from bridge.reference.text import is_public_id, subject_references, thread_tickets

__all__ = [
    "TOO_MANY",
    "TOO_OFTEN_EQUAL",
    "AddressKey",
    "AddressKeys",
    "AddressMatch",
    "Choice",
    "authorise",
    "back_stop",
    "choose",
    "is_public_id",
    "make_address",
    "parse_address",
    "subject_references",
    "thread_tickets",
]
