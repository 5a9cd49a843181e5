"""The content of a mail as it comes in after DATA: found, unstuffed and counted in bulk (pure).

Only ``CRLF.CRLF`` ends a mail (RFC 5321 §4.1.1.4). Any other spelling of it is content, so that two servers can never
disagree about where a mail ends ("SMTP smuggling"). Lines may be of any length.
"""

from __future__ import annotations

_END = b"\r\n.\r\n"
_STUFFED = b"\r\n."


class DataReader:
    """Collects one mail, chunk by chunk. Time and memory are linear in what came, and bounded by ``limit``."""

    def __init__(self, head: bytes, limit: int) -> None:
        """``head`` is put on top and ends with CRLF; ``limit`` is the most bytes that the mail may have."""
        self._buffer = bytearray(head)
        self._head = len(head)
        self._limit = limit + len(_END) - 2
        self.received = 0
        """Bytes that came, up to the end."""
        self.dropped = False
        """The content is not kept any more: too large, or ``drop`` was called."""
        self.too_large = False

    @property
    def held(self) -> int:
        """Bytes in memory."""
        return len(self._buffer)

    def feed(self, data: bytes) -> bytes | None:
        """Take ``data``; what stands behind the end of the mail once it is there, None before."""
        buffer = self._buffer
        # The head's CRLF is the one that makes a lone dot on the very first line the end.
        start = max(self._head - 2, len(buffer) - len(_END) + 1)
        buffer += data
        self.received += len(data)
        end = buffer.find(_END, start)
        if end >= 0:
            rest = bytes(buffer[end + len(_END) :])
            self.received -= len(rest)
            del buffer[end + 2 :]
            self._check_size()
            return rest
        self._check_size()
        if self.dropped:
            self._forget()
        return None

    def drop(self) -> None:
        """Keep no content any more; go on looking for the end."""
        self.dropped = True
        self._forget()

    def content(self) -> bytes:
        """The head and the mail without transparency dots (RFC 5321 §4.5.2). Once, after the end was found."""
        buffer, self._buffer = self._buffer, bytearray()
        return bytes(buffer.replace(_STUFFED, b"\r\n") if _STUFFED in buffer else buffer)

    def _check_size(self) -> None:
        if self.received > self._limit:
            self.too_large = self.dropped = True

    def _forget(self) -> None:
        # Four octets are as many as the beginning of the end can have.
        self._buffer = self._buffer[-len(_END) + 1 :]
        self._head = 2


def has_bare_newlines(content: bytes) -> bool:
    """Whether a CR stands without its LF, or an LF without its CR."""
    pairs = content.count(b"\r\n")
    return content.count(b"\n") != pairs or content.count(b"\r") != pairs


def normalise_newlines(content: bytes) -> bytes:
    """Every bare CR or LF becomes CRLF; CRCRLF, the work of one conversion too many, is one line end.

    In the header a bare CR becomes a space: relays take it for a character like any other, and what they read as one
    field (and did not strip, such as a forged Authentication-Results) must not come apart into two here.
    In whole-buffer steps: a list of lines would take many times the mail's own size.
    """
    header, blank, body = content.replace(b"\r\r\n", b"\n").replace(b"\r\n", b"\n").partition(b"\n\n")
    lines = header.replace(b"\r", b" ") + blank + body.replace(b"\r", b"\n")
    return lines.replace(b"\n", b"\r\n")
