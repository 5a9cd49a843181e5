"""Fuzzes the pipeline: ``python -m tests.fuzz.pipeline [libFuzzer's options] [DIRECTORY]``.

A finding is anything that ``read`` or ``decide`` raise, a mail that no reader survived, an attachment whose bytes are
not found again, or a lost line of words; libFuzzer finds hangs (``-timeout``) and memory (``-rss_limit_mb``).
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["bridge.mail", "bridge.reply", "bridge.pipeline", "bridge.reference"]):
    from bridge import pipeline
    from bridge.mail import attachment_bytes
    from bridge.model import Context, Envelope
    from bridge.reference import AddressKeys

POLICY = pipeline.Policy(loop_marker="bridge.example.com", domains=frozenset({"example.com"}))
ENVELOPE = Envelope("c@example.net", "support+tkt_01hxa3b4c5d6e7f8g9h0j1k2m3@example.com")
ADDRESSED = pipeline.address(
    ENVELOPE,
    domains=frozenset({"example.com"}),
    mailboxes=frozenset({"support"}),
    keys=AddressKeys(),
    signed="off",
)


def one(raw: bytes) -> None:
    """One mail through everything."""
    mail = pipeline.read(raw)
    broken = [defect for defect in mail.defects if defect.startswith("unparseable")]
    if broken:
        raise AssertionError(f"no reader survived it: {broken}")
    for item in mail.attachments[:5]:
        if len(attachment_bytes(raw, item.path)) != item.size:
            raise AssertionError(f"other bytes at {item.path}")
    decision = pipeline.decide(mail, ENVELOPE, ADDRESSED, POLICY, Context())
    if decision.reply is None or len(decision.reply.lines) < decision.reply.text.count("\n"):
        raise AssertionError("the reply has lines that were not in the mail")


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
