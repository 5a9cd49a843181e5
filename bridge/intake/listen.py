"""Where the intake listens, as it is written in ``BRIDGE_LISTEN`` or handed over by systemd."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path

from bridge.errors import ConfigurationError

_FIRST_FD = 3


@dataclass(frozen=True, slots=True)
class Listen:
    """One place to listen at: ``host`` and ``port``, a Unix socket's ``path``, or a socket that is open already."""

    lmtp: bool = False
    host: str = ""
    """A name or an address; empty for every address of this machine."""
    port: int = 0
    """0 takes a free one."""
    path: Path | None = None
    sock: socket.socket | None = None


def parse_listen(text: str) -> Listen:
    """``host:port``, ``[::1]:25``, ``smtp://…``, ``lmtp://…``, ``lmtp+unix:///path``. Or ``ConfigurationError``."""
    scheme, mark, rest = text.partition("://")
    if not mark:
        scheme, rest = "smtp", text
    if scheme in ("lmtp+unix", "smtp+unix"):
        if not rest.startswith("/") or rest.endswith("/"):
            raise _wrong(text, f"an absolute path is needed: {scheme}:///run/ticket-bridge/lmtp.sock")
        return Listen(lmtp=scheme == "lmtp+unix", path=Path(rest))
    if scheme not in ("smtp", "lmtp"):
        raise _wrong(text, "use host:port, smtp://host:port, lmtp://host:port or lmtp+unix:///path")
    host, colon, port = rest.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise _wrong(text, "write an IPv6 address in brackets: [::1]:25")
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > 65_535:
        raise _wrong(text, "a port from 0 to 65535 is needed: host:port")
    return Listen(lmtp=scheme == "lmtp", host="" if host == "*" else host, port=int(port))


def activated(count: int, names: str) -> tuple[Listen, ...]:
    """Sockets that systemd opened (sd_listen_fds(3)): ``count`` of them, named as in ``$LISTEN_FDNAMES``.

    A socket whose ``FileDescriptorName=`` is ``lmtp`` speaks LMTP, every other one SMTP.
    """
    called = names.split(":")
    found = []
    for number in range(count):
        sock = socket.socket(fileno=_FIRST_FD + number)
        sock.set_inheritable(False)
        sock.setblocking(False)
        found.append(Listen(lmtp=called[number : number + 1] == ["lmtp"], sock=sock))
    return tuple(found)


def _wrong(text: str, what: str) -> ConfigurationError:
    return ConfigurationError(f"BRIDGE_LISTEN: {text}: {what}")
