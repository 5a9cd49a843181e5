"""What the intake may use at most: connections, and memory for mails that are on their way in."""

from __future__ import annotations

import ipaddress
from collections import Counter

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Budget:
    """Bytes that all mails in flight share. Not thread-safe: one event loop owns it."""

    def __init__(self, size: int) -> None:
        """``size`` in bytes."""
        self._free = size

    @property
    def free(self) -> int:
        """Bytes that may still be taken."""
        return self._free

    def take(self, size: int) -> bool:
        """Take ``size`` bytes; False, with nothing taken, when there are fewer."""
        if size > self._free:
            return False
        self._free -= size
        return True

    def give(self, size: int) -> None:
        """Give back what was taken."""
        self._free += size


class Clients:
    """Who may connect, and how often at the same time."""

    def __init__(self, networks: tuple[Network, ...], *, total: int, per_address: int) -> None:
        """A client outside of ``networks`` may not. A network of a single address names a relay, which has no cap of
        its own, only the total one; so has this machine."""
        self._networks = networks
        self._relays = frozenset(net.network_address for net in networks if net.num_addresses == 1)
        self._total = total
        self._per_address = per_address
        self._known: dict[str, bool] = {}
        self._open: Counter[str] = Counter()
        self.connected = 0

    def allowed(self, client: str) -> bool:
        """Whether this address may relay here. An empty one is a Unix socket: its file's mode has decided."""
        if not client:
            return True
        if client not in self._known:
            if len(self._known) >= 4096:
                self._known.clear()
            address = ipaddress.ip_address(client)
            self._known[client] = any(address in net for net in self._networks if net.version == address.version)
        return self._known[client]

    def enter(self, client: str) -> bool:
        """Count a connection in; False, with nothing counted, when there are too many."""
        if self.connected >= self._total:
            return False
        if client and self._open[client] >= self._per_address and not self._exempt(client):
            return False
        self.connected += 1
        self._open[client] += 1
        return True

    def leave(self, client: str) -> None:
        """Count a connection out."""
        self.connected -= 1
        self._open[client] -= 1
        if not self._open[client]:
            del self._open[client]

    def _exempt(self, client: str) -> bool:
        address = ipaddress.ip_address(client)
        return address.is_loopback or address in self._relays


def client_ip(peername: object) -> str:
    """The client's address out of a socket's peer name; empty for a Unix socket. IPv4 in IPv6 counts as IPv4."""
    if not isinstance(peername, tuple) or not peername:
        return ""
    address = ipaddress.ip_address(str(peername[0]).partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)
