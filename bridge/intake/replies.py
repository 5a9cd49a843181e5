"""What a client is told: each reply has an enhanced status code (RFC 2034, RFC 3463), and tells no more than it must.

Temporary replies (4yz) say "keep it and come again"; only what can never be taken gets a 5yz, because behind a relay a
permanent refusal becomes a bounce to a sender who may be forged (design §4).
"""

from __future__ import annotations

OK = "250 2.0.0 OK"
SENDER_OK = "250 2.1.0 OK"
RECIPIENT_OK = "250 2.1.5 OK"
BYE = "221 2.0.0 Bye"
GO_AHEAD = "354 End data with <CR><LF>.<CR><LF>"
READY_FOR_TLS = "220 2.0.0 Ready to start TLS"
NOT_VERIFIED = "252 2.5.0 Cannot verify; send the mail and it will be attempted"

NOT_ALLOWED = "421 4.7.0 This client is not allowed to relay here"
TOO_MANY_CONNECTIONS = "421 4.7.0 Too many connections"
TOO_MANY_ERRORS = "421 4.7.0 Too many errors"
TOO_MANY_COMMANDS = "421 4.7.0 Too many commands"
TIMEOUT = "421 4.4.2 Timeout"
SHUTTING_DOWN = "421 4.3.2 Shutting down"
NO_SPACE = "452 4.3.1 Insufficient storage, try again later"
INTERNAL = "451 4.3.0 Temporary failure, try again later"
TOO_MANY_RECIPIENTS = "452 4.5.3 Too many recipients"
TLS_UNAVAILABLE = "454 4.7.0 TLS is not available now"

NO_MAILBOX = "550 5.1.1 No such mailbox"
BARE_NEWLINE = "550 5.6.11 Bare CR or LF is not accepted"
TOO_LARGE = "552 5.3.4 The mail is too large"
NO_RECIPIENT = "503 5.5.1 No valid recipient"
NEED_MAIL = "503 5.5.1 MAIL first"
NEED_TLS = "530 5.7.0 STARTTLS first"
UNKNOWN_COMMAND = "502 5.5.1 Command not implemented"
BAD_SYNTAX = "500 5.5.2 Syntax error"
LINE_TOO_LONG = "500 5.5.2 Command line too long"
NO_ARGUMENT = "501 5.5.4 This command takes no argument"
NEED_NAME = "501 5.5.4 A host name is needed"

_ENHANCED = {
    "221": "2.0.0",
    "250": "2.0.0",
    "451": "4.3.0",
    "452": "4.3.1",
    "454": "4.7.0",
    "500": "5.5.2",
    "501": "5.5.4",
    "502": "5.5.1",
    "503": "5.5.1",
    "530": "5.7.0",
    "552": "5.3.4",
    "553": "5.1.3",
    "555": "5.5.4",
}


def queued(entry_id: str) -> str:
    """The mail is on disk as this entry."""
    return f"250 2.6.0 {entry_id} queued"


def enhanced(reply: str) -> str:
    """``reply`` with the enhanced code of its class when it has none. For the replies that aiosmtpd words itself.

    Replies to HELO and EHLO, greetings and 3yz replies carry none (RFC 2034 §4); they do not come this way.
    """
    code, _, text = reply.replace("Error: ", "", 1).partition(" ")
    if text[:2] in ("2.", "4.", "5.") or code not in _ENHANCED:
        return f"{code} {text}"
    return f"{code} {_ENHANCED[code]} {text}"
