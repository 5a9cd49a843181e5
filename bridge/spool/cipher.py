"""Sealing of bodies at rest: AES-256-GCM with named keys, or plain when no key is configured (design §5).

A sealed value is one byte of form (0 plain, 1 sealed), for the sealed form one byte of key id and 12 of nonce, and the
content. The first key seals; all keys open, so that keys are rotated by putting a new one in front.
"""

from __future__ import annotations

import base64
import binascii
import os
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bridge.errors import SpoolBroken

_PLAIN, _SEALED = b"\x00", b"\x01"
_NONCE = 12


@dataclass(frozen=True, slots=True, repr=False)
class SpoolKey:
    """A key: its one-letter name (a to z) and 32 bytes."""

    id: str
    secret: bytes


def parse_keys(text: str) -> tuple[SpoolKey, ...]:
    """``a:base64,b:base64``, the sealing key first. Raises ``ValueError`` that shows no key."""
    keys: list[SpoolKey] = []
    for number, part in enumerate((item.strip() for item in text.split(",") if item.strip()), 1):
        name, colon, encoded = part.partition(":")
        try:
            secret = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            secret = b""
        if not colon or len(name) != 1 or name not in "abcdefghijklmnopqrstuvwxyz" or len(secret) != 32:
            raise ValueError(f"key {number}: give one letter, a colon, and 32 bytes in base64")
        keys.append(SpoolKey(name, secret))
    if len({key.id for key in keys}) != len(keys):
        raise ValueError("two keys have the same letter")
    return tuple(keys)


@dataclass(frozen=True, slots=True, repr=False)
class Pieces:
    """A sealed value in two: what stands before the content, and the content."""

    head: bytes
    content: bytes

    def __len__(self) -> int:
        return len(self.head) + len(self.content)


class Cipher:
    """Seals with the first key, opens with whichever key a value names."""

    def __init__(self, keys: tuple[SpoolKey, ...] = ()) -> None:
        """Without keys, new values stay plain."""
        self._open = {key.id.encode("ascii"): AESGCM(key.secret) for key in keys}
        self.names = tuple(key.id for key in keys)

    @staticmethod
    def prefix(name: str) -> bytes:
        """What every value sealed with this key begins with."""
        return _SEALED + name.encode("ascii")

    @property
    def mark(self) -> bytes:
        """What every new value begins with."""
        return self.prefix(self.names[0]) if self.names else _PLAIN

    def seal(self, value: bytes) -> bytes:
        """``value``, sealed when there is a key."""
        return self.seal_with(self.names[0], value) if self.names else _PLAIN + value

    def seal_large(self, value: bytes) -> Pieces:
        """As ``seal``, but what comes before the content stays apart, so that the content is not copied."""
        return self._pieces(self.names[0], value) if self.names else Pieces(_PLAIN, value)

    def seal_with(self, name: str, value: bytes) -> bytes:
        """``value``, sealed with the key of this name."""
        made = self._pieces(name, value)
        return made.head + made.content

    def _pieces(self, name: str, value: bytes) -> Pieces:
        nonce, key = os.urandom(_NONCE), name.encode("ascii")
        return Pieces(self.prefix(name) + nonce, self._open[key].encrypt(nonce, value, key))

    def unseal(self, value: bytes) -> bytes:
        """The value as it was. Raises ``SpoolBroken`` when its key is missing or it was changed."""
        if value[:1] == _PLAIN:
            return value[1:]
        name = value[1:2]
        if name not in self._open:
            raise SpoolBroken(f"the spool holds mail sealed with key {name.decode('ascii', 'replace')!r}: configure it")
        try:
            return self._open[name].decrypt(value[2 : 2 + _NONCE], value[2 + _NONCE :], name)
        except InvalidTag:
            raise SpoolBroken(
                f"key {name.decode()!r} does not open what the spool holds, or the disk changed it"
            ) from None
