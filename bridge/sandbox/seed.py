"""What a new sandbox holds: the departments, and a few tickets of customers of a Swedish hosting company."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

DEPARTMENTS: Mapping[str, str] = {
    "support": "Teknisk support",
    "billing": "Fakturor och betalning",
    "domains": "Domäner och DNS",
    "sales": "Försäljning",
}
"""Slug → name of the departments that tickets go to."""

EXAMPLE_TICKET = "tkt_01hxa3b4c5d6e7f8g9h0j1k2m3"
"""The ticket of the API contract's example; its number is 149943."""


@dataclass(frozen=True, slots=True)
class SeedMessage:
    """``age_min``: how long before the sandbox's creation it was sent, in minutes."""

    sender: str
    name: str
    body: str
    age_min: int
    encrypted: bool = False


@dataclass(frozen=True, slots=True)
class SeedTicket:
    """One ticket that is there from the start."""

    id: str
    number: str
    subject: str
    body: str
    requester: str
    status: str
    priority: str
    department: str
    age_min: int
    messages: tuple[SeedMessage, ...] = ()
    cc: tuple[str, ...] = ()
    services: tuple[tuple[str, str], ...] = ()


TICKETS: tuple[SeedTicket, ...] = (
    SeedTicket(
        id="tkt_01hwy5k8q2v7n3r6t9x0b4d1fg",
        number="149871",
        subject="Faktura 20417: fel organisationsnummer",
        body="Hej,\n\nPå faktura 20417 står vårt gamla organisationsnummer. Kan ni skicka en rättad faktura?\n\n"
        "Med vänlig hälsning\nLars Åkesson, Åkessons Snickeri AB",
        requester="Lars Åkesson",
        status="closed",
        priority="low",
        department="billing",
        age_min=9 * 24 * 60,
        messages=(
            SeedMessage("automation", "Automatiskt svar", "Tack! Ditt ärende har nummer 149871.", 9 * 24 * 60 - 1),
            SeedMessage(
                "staff",
                "Karin Nyström",
                "Hej Lars!\n\nFakturan är rättad och skickad på nytt till din e-postadress. Kontouppgifterna är "
                "ändrade, så nästa faktura blir rätt från början.\n\nHälsningar\nKarin",
                8 * 24 * 60,
            ),
            SeedMessage("customer", "Lars Åkesson", "Nu ser den bra ut. Tack för snabb hjälp!", 8 * 24 * 60 - 95),
            SeedMessage("automation", "Automatiskt svar", "Ärendet är stängt.", 5 * 24 * 60),
        ),
    ),
    SeedTicket(
        id="tkt_01hx7m2n4p6q8r0s1t3v5w7x9y",
        number="149902",
        subject="VPS svarar inte efter kernel-uppgradering",
        body="Hi,\n\nafter last night's kernel upgrade vps-3318 no longer answers on SSH or HTTPS. "
        "The console shows a black screen after GRUB. Nothing else was changed.\n\nTomasz Wieczorek",
        requester="Tomasz Wieczorek",
        status="in_progress",
        priority="urgent",
        department="support",
        age_min=26 * 60,
        messages=(
            SeedMessage("automation", "Automatiskt svar", "Thank you. Your ticket has number 149902.", 26 * 60 - 1),
            SeedMessage(
                "staff",
                "Elin Sandberg",
                "Hi Tomasz,\n\nthe initramfs lacks the virtio disk driver. I can boot the previous kernel for you and "
                "rebuild it; that takes about ten minutes. May I log in through the console? If so, please send a "
                "temporary root password in an encrypted reply.\n\nElin",
                25 * 60,
            ),
            SeedMessage(
                "customer",
                "Tomasz Wieczorek",
                "Yes please. Temporary password: korall-7-granit-Tulpan\n\nI will change it when you are done.",
                24 * 60 + 20,
                encrypted=True,
            ),
        ),
        services=(("vps", "vps-3318"),),
    ),
    SeedTicket(
        id="tkt_01hx8z5y4x3w2v1t0s9r8q7p6n",
        number="149918",
        subject="Flytt av glasblåseriet.example till er",
        body="Hej!\n\nVi vill flytta glasblåseriet.example till er. Vad behöver ni av oss, och hur länge ligger "
        "webbplatsen nere under tiden?\n\nVänligen\nAmina Yusuf",
        requester="Amina Yusuf",
        status="on_hold",
        priority="medium",
        department="domains",
        age_min=3 * 24 * 60,
        messages=(
            SeedMessage("automation", "Automatiskt svar", "Tack! Ditt ärende har nummer 149918.", 3 * 24 * 60 - 1),
            SeedMessage(
                "staff",
                "Johan Berg",
                "Hej Amina!\n\nVi behöver bara flyttkoden (auth-koden) från er nuvarande registrar. Webbplatsen "
                "ligger uppe hela tiden om DNS-posterna läggs upp hos oss först, och det gör vi gärna åt er.\n\nJohan",
                2 * 24 * 60 + 300,
            ),
        ),
        cc=("ekonomi@example.se",),
        services=(("domain", "xn--glasblseriet-ycb.example"),),
    ),
    SeedTicket(
        id=EXAMPLE_TICKET,
        number="149943",
        subject="Kan inte skicka e-post från kontaktformuläret",
        body="Hej,\n\nSedan i tisdags kommer ingen e-post fram från kontaktformuläret på vår webbplats. "
        "Vanlig e-post fungerar. I loggen står:\n\n    535 5.7.8 Error: authentication failed\n\n"
        "Vi har inte ändrat något. Kan ni titta på det?\n\nMed vänliga hälsningar\nMaja Lindqvist\nLindqvists Blommor",
        requester="Maja Lindqvist",
        status="answered",
        priority="high",
        department="support",
        age_min=5 * 60,
        messages=(
            SeedMessage("automation", "Automatiskt svar", "Tack! Ditt ärende har nummer 149943.", 5 * 60 - 1),
            SeedMessage(
                "staff",
                "Elin Sandberg",
                "Hej Maja!\n\nFormuläret loggar in med ett gammalt lösenord: brevlådan info@ fick ett nytt i tisdags. "
                "Skriv in det nya lösenordet i inställningarna för kontaktformuläret så fungerar det igen.\n\n"
                "Säg till om du vill att vi gör det åt dig.\n\nHälsningar\nElin, Teknisk support",
                3 * 60,
            ),
        ),
        services=(("hosting", "web-10422"),),
    ),
    SeedTicket(
        id="tkt_01hxa9c8d7e6f5g4h3j2k1m0np",
        number="149951",
        subject="Offert för tre webbhotell",
        body="Hej, vi är en liten byrå som behöver webbhotell för tre kunder, ungefär 20 GB vardera. "
        "Kan ni lämna en offert per år?\n\nPer-Olof Grönlund\nByrå Nord",
        requester="Per-Olof Grönlund",
        status="open",
        priority="medium",
        department="sales",
        age_min=42,
    ),
)
