"""What the customer newly wrote (design §9): ``extract`` separates it from quoted history, signatures and the like.

Pure: its tables are package data, read once; no other I/O, no clock, no settings.
"""

from bridge.model import Hints, Reply, ReplyLine
from bridge.reply.extract import extract, rendition

__all__ = ["Hints", "Reply", "ReplyLine", "extract", "rendition"]
