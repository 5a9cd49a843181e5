"""Command lines out of a stream of bytes (pure)."""

from __future__ import annotations


class TooLong(Exception):
    """A line is longer than the limit; it was thrown away up to and including its end."""


class LineBuffer:
    """Holds what came and was not read yet. A line ends at LF; a CR before it belongs to the end.

    A bare LF is taken as the end of a command (RFC 5321 §2.3.8 forbids sending it, people at terminals do); it never
    ends a mail.
    """

    def __init__(self, limit: int) -> None:
        """``limit``: the most bytes of a line with its end (RFC 5321 §4.5.3.1.4: 512, and what extensions add)."""
        self._buffer = bytearray()
        self._limit = limit
        self._skipping = False
        self._seen = 0

    def __len__(self) -> int:
        """Bytes that wait."""
        return len(self._buffer)

    @property
    def partial(self) -> bool:
        """Whether something came that has no end yet. Of use after ``line`` answered None."""
        return self._skipping or bool(self._buffer)

    def feed(self, data: bytes) -> None:
        """Add bytes."""
        self._buffer += data

    def line(self) -> bytes | None:
        """The next line without its end, None when it is not whole yet. Raises ``TooLong``."""
        buffer = self._buffer
        end = buffer.find(b"\n", self._seen)
        if end < 0:
            if len(buffer) > self._limit:
                self._skipping = True
            if self._skipping:
                buffer.clear()
            self._seen = len(buffer)
            return None
        line = bytes(buffer[:end])
        del buffer[: end + 1]
        self._seen = 0
        if self._skipping or end >= self._limit:
            self._skipping = False
            raise TooLong
        return line.removesuffix(b"\r")

    def take(self) -> bytes:
        """Everything that waits, which is none of this buffer's business any more."""
        data = bytes(self._buffer)
        self._buffer.clear()
        self._seen = 0
        return data
