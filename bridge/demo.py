"""``ticket-bridge demo``: a sandbox and a bridge on loopback ports, and what becomes of eight customers' mails.

The mails stand in ``bridge/demo_mails`` and go through real SMTP. With ``--once`` each is judged by GET on the API.
"""

from __future__ import annotations

from dataclasses import dataclass

@dataclass(frozen=True, slots=True)
class Demonstration:
    """One mail of the demo, and what must be on the ticket afterwards."""

    file: str
    title: str
    recipient: str
    ticket: str = ""
    """The ticket that gets the reply; empty when nothing may be posted."""
    body: str = ""
    """The reply, as the API must have it."""
    encrypted: bool = False
    attachments: tuple[str, ...] = ()


_MAJA = "tkt_01hxa3b4c5d6e7f8g9h0j1k2m3"
_AMINA = "tkt_01hx8z5y4x3w2v1t0s9r8q7p6n"

MAILS = (
    Demonstration(
        "1-gmail-web.eml",
        "Gmail on the web, by plus-address",
        f"support+{_MAJA}@example.com",
        _MAJA,
        "Hej Elin!\n\nTack, det var lösenordet. Nu kommer meddelandena fram igen – men bara till mig.\n"
        "Kan ni lägga till order@lindqvists-blommor.example som mottagare också?\n\n/Maja",
    ),
    Demonstration(
        "2-outlook.eml",
        "Outlook, by the number in the subject",
        "support@example.com",
        "tkt_01hx7m2n4p6q8r0s1t3v5w7x9y",
        "Hi Elin,\n\nthe server is back, thank you. One question is left: the nightly backup of vps-3318 did not run.\n"
        "Was the schedule lost with the reinstallation of the boot loader?\n\nBest regards\nTomasz Wieczorek",
    ),
    Demonstration(
        "3-iphone.eml",
        "Apple Mail on an iPhone",
        f"support+{_AMINA}@example.com",
        _AMINA,
        "Hej Johan,\n\nvi har beställt koden hos vår registrar, den kommer i morgon. "
        "Lägg gärna upp DNS-posterna hos er redan nu!",
    ),
    Demonstration(
        "4-thunderbird-inline.eml",
        "Thunderbird, answered between the quoted lines",
        "support+tkt_01hxa9c8d7e6f5g4h3j2k1m0np@example.com",
        "tkt_01hxa9c8d7e6f5g4h3j2k1m0np",
        "> Hej Per-Olof!\n>\n> Ska de tre webbhotellen ha egna domäner?\n\n"
        "Ja, två .se och en .nu. Alla tre är redan registrerade hos er.\n\n"
        "> Behöver någon av kunderna mer än 20 GB?\n\nNej, 20 GB räcker länge.",
    ),
    Demonstration(
        "5-password.eml",
        "In Swedish, with a password in it",
        f"support+{_MAJA}@example.com",
        _MAJA,
        "Hej igen,\n\ngör det gärna åt oss. Inloggningen är info@lindqvists-blommor.example\n"
        "och lösenordet är Pion-Ranunkel-4471.\n\nHälsningar\nMaja",
        encrypted=True,
    ),
    Demonstration(
        "6-attachment.eml",
        "Apple Mail with a picture, by the number in the subject",
        "support@example.com",
        _AMINA,
        "Så här ser våra DNS-poster ut i dag (skärmbild bifogad). Är det något mer ni behöver?\n\nAmina",
        attachments=("DNS-poster glasblåseriet.png",),
    ),
    Demonstration(
        "7-out-of-office.eml", "An out-of-office answer", "support+tkt_01hwy5k8q2v7n3r6t9x0b4d1fg@example.com"
    ),
    Demonstration("8-no-ticket.eml", "A mail that names no ticket", "support@example.com"),
)
