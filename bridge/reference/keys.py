"""Keys of signed addresses: parsing, tagging, verifying (docs/addresses.md)."""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import dataclass

TAG_BITS = 80
MIN_SECRET = 16
"""Bytes that a secret has at least."""
_IDS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True, repr=False)
class AddressKey:
    """A key: its one-letter name and its secret."""

    id: str
    secret: bytes

    def tag(self, domain: str, ticket: str) -> str:
        """The 16 characters that sign a ticket's address: the first 80 bits of HMAC-SHA256 over
        ``v1|<A-label domain>|<ticket>``, all lower case, in base-32 (RFC 4648 §6), lower case."""
        text = f"v1|{domain}|{ticket}".lower().encode("ascii")
        digest = hmac.digest(self.secret, text, "sha256")[: TAG_BITS // 8]
        return base64.b32encode(digest).decode("ascii").lower()


@dataclass(frozen=True, slots=True, repr=False)
class AddressKeys:
    """The keys that are live, newest first: the first signs, all verify."""

    keys: tuple[AddressKey, ...] = ()

    @classmethod
    def parse(cls, text: str) -> AddressKeys:
        """``a:base64,b:base64``. Raises ``ValueError`` that says which key is wrong and shows none."""
        keys: list[AddressKey] = []
        for number, part in enumerate((item.strip() for item in text.split(",") if item.strip()), 1):
            name, _, encoded = part.partition(":")
            try:
                secret = base64.b64decode(encoded, validate=True)
            except (binascii.Error, ValueError):
                raise ValueError(f"key {number}: what follows the colon is not base64") from None
            if len(name) != 1 or name not in _IDS:
                raise ValueError(f"key {number}: its name must be one letter, a to z, before a colon")
            if len(secret) < MIN_SECRET:
                raise ValueError(f"key {number}: its secret has {len(secret)} bytes, fewer than {MIN_SECRET}")
            keys.append(AddressKey(name, secret))
        if len({key.id for key in keys}) != len(keys):
            raise ValueError("two keys have the same name")
        return cls(tuple(keys))

    def verify(self, key_id: str, tag: str, *, domain: str, ticket: str) -> bool:
        """True when the tag is the one that this key makes; compared in constant time.

        An unknown key costs what a known one does, so that the time tells nobody which keys are live.
        """
        key = next((key for key in self.keys if key.id == key_id), None)
        made = (key or _NOBODYS).tag(domain, ticket)
        return hmac.compare_digest(made.encode("ascii"), tag.encode("ascii")) and key is not None


_NOBODYS = AddressKey("", bytes(MIN_SECRET))
"""Stands in for a key that there is none of."""
