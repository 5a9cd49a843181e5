"""Tickets in subjects and Message-IDs, which reference wins, and whom it lets write."""

from __future__ import annotations

import base64
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.mail import read
from bridge.model import Authentication, Reference
from bridge.reasons import Reason
from bridge.reference import Choice, authorise, back_stop, choose, is_public_id, subject_references, thread_tickets

ID = "tkt_01hxa3b4c5d6e7f8g9h0j1k2m3"
OTHER = "tkt_01hxa3b4c5d6e7f8g9h0j1k2m4"


def subject(ticket: str) -> Reference:
    return Reference(ticket, "subject", unguessable=ticket.startswith("tkt_"))


SUBJECTS: dict[str, tuple[str, ...]] = {
    "[#149943] Kan inte skicka": ("149943",),
    "Kan inte skicka [#149943]": ("149943",),
    f"[{ID}] x": (ID,),
    f"[#{ID}] x": (ID,),
    f"[{ID.upper()}] x": (ID,),
    "[#1]": ("1",),
    "[#149943] [#149943]": ("149943",),
    f"[#149943] [{ID}]": ("149943", ID),
    "[#1] [#2] [#3]": ("1", "2", "3"),
    "[[#149943]]": ("149943",),
    "": (),
    # Brackets are required, and all of it stands in them.
    "#149943": (),
    "149943": (),
    "[149943]": (),
    "(#149943)": (),
    "[#149943": (),
    "#149943]": (),
    "[# 149943]": (),
    "[#149943 ]": (),
    "[#0149943]": (),
    "[#0]": (),
    "[#-1]": (),
    "[#1e5]": (),
    "[#149943x]": (),
    "[#\u0661\u0662]": (),  # digits, but not ASCII's
    "\uff3b#149943\uff3d": (),  # brackets, but not ASCII's
    "[#1234567890123456789]": (),
    ID: (),
    f"[{ID[:-1]}]": (),
    f"[{ID}0]": (),
    f"[{ID}.aidanxklejzu635uu]": (),
    f"[{ID.replace('h', 'u', 1)}]": (),
    "x" * 10_000 + "[#149943]": (),
}


@pytest.mark.parametrize(("text", "tickets"), SUBJECTS.items(), ids=[ascii(key)[:40] for key in SUBJECTS])
def test_subjects(text: str, tickets: tuple[str, ...]) -> None:
    assert subject_references(text) == tuple(subject(ticket) for ticket in tickets)


PREFIXES = (
    *(
        "Re:",
        "RE:",
        "re :",
        "Re[2]:",
        "Re(3):",
        "Re: Re:",
        "Fwd:",
        "FW:",
        "Fw: Re:",
        "[EXTERN] Re:",
        "*** SPAM *** Re:",
    ),
    *(
        "Sv:",
        "SV:",
        "Svar:",
        "VS:",
        "Vs:",
        "VB:",
        "Vb: Sv:",
        "VL:",
        "Ang:",
        "Ang.:",
        "Svar på:",
        "Videresendt:",
    ),  # nordic
    *("AW:", "Aw: AW:", "Antw:", "WG:", "Antwort:", "Betreff:", "Antw: Doorst:", "Beantw.:", "Doorst:"),  # de, nl
    *(
        "RES:",
        "Res:",
        "ENC:",
        "RIF:",
        "R:",
        "I:",
        "RV:",
        "Rsp:",
        "TR:",
        "Ré:",
        "RÉF.:",
        "Réf. :",
        "Réponse :",
    ),  # romance
    *("Odp:", "ODP:", "Odp.:", "PD:", "Vá:", "Továbbítás:", "Ynt:", "YNT: İLT:", "ATB:", "YML:", "SKD:", "Trả lời:"),
    *("На:", "Отв:", "Ответ:", "Пересл:", "Відп:", "НА: Отг:", "ΑΠ:", "ΣΧΕΤ:", "ΠΡΘ:"),
    *("רד:", "הועבר:", "השב:", "رد:", "إعادة توجيه:", "پاسخ:"),
    *("回复:", "回覆:", "答复:", "转发:", "轉寄:", "回复：", "返信:", "転送:", "회신:", "전달:", "ตอบกลับ:"),
)


@pytest.mark.parametrize("encoding", ["8-bit", "Q", "B", "split"])
def test_behind_reply_prefixes_however_they_are_encoded(encoding: str) -> None:
    for prefix in PREFIXES:
        text = f"{prefix} [#149943] Fråga – 質問"
        mail = read(f"Subject: {encoded(text, encoding)}\r\n\r\nx\r\n".encode())
        assert mail.subject == " ".join(text.split())
        assert subject_references(mail.subject) == (subject("149943"),), prefix


def encoded(text: str, encoding: str) -> str:
    """By RFC 2047, or as it is; ``split`` cuts within a character."""
    if encoding == "8-bit":
        return text
    data = text.encode()
    if encoding == "Q":
        return "=?utf-8?Q?" + "".join(f"={byte:02X}" for byte in data) + "?="
    cut = data.index("å".encode()) + 1 if encoding == "split" else len(data)
    words = [f"=?UTF-8?B?{base64.b64encode(part).decode()}?=" for part in (data[:cut], data[cut:]) if part]
    return "\r\n ".join(words)


def test_what_is_encoded_word_by_word_is_joined_before_it_is_searched() -> None:
    mail = read(b"Subject: Sv: =?utf-8?q?=5B=23149?=\r\n =?utf-8?q?943=5D?= =?iso-8859-1?q?_fr=E5ga?=\r\n\r\nx\r\n")
    assert mail.subject == "Sv: [#149943] fråga"
    assert subject_references(mail.subject) == (subject("149943"),)


@pytest.mark.parametrize(
    "line", [b"Subject: x\r\nSubject: [#2]", b"X-Subject: [#2]\r\nSubject: x", b"subject: x\r\n\r\n[#2]"]
)
def test_only_the_first_subject_is_searched_and_never_the_body(line: bytes) -> None:
    assert subject_references(read(line + b"\r\n\r\n[#2] tkt\r\n").subject) == ()


DOMAINS = frozenset({"example.com", "help.example.com"})
MESSAGE_IDS: dict[str, tuple[str, ...]] = {
    f"{ID}@example.com": (ID,),
    f"tmsg_1.{ID}@example.com": (ID,),
    f"a.b.{ID}.aidanxklejzu635uu@help.example.com": (ID,),
    f"{ID}@EXAMPLE.COM".upper(): (ID,),
    f"{ID}@evil.example": (),
    f"{ID}@example.com.evil.example": (),
    f"{ID}@sub.example.com": (),
    f"{ID}@evil@example.com": (),
    f"{ID}": (),
    f"x{ID}@example.com": (),
    f"{ID}x@example.com": (),
    f"{ID}.x@example.com": (),
    f"{ID}-1@example.com": (),
    "149943@example.com": (),
    "": (),
    f"{'x' * 998}.{ID}@example.com": (),
}


@pytest.mark.parametrize(("message_id", "tickets"), MESSAGE_IDS.items(), ids=[key[:40] for key in MESSAGE_IDS])
def test_message_ids(message_id: str, tickets: tuple[str, ...]) -> None:
    assert thread_tickets((message_id,), DOMAINS) == tickets


def test_several_message_ids() -> None:
    ids = (f"1.{ID}@example.com", f"2.{ID}@example.com", f"3.{OTHER}@example.com")
    assert thread_tickets(ids, DOMAINS) == (ID, OTHER)
    assert thread_tickets(("x@y",) * 100 + ids, DOMAINS) == (), "no more than a hundred are looked at"


@given(st.text(max_size=60))
def test_any_text_can_be_searched(text: str) -> None:
    subject_references(text)
    thread_tickets((text,), DOMAINS)
    assert not is_public_id(text + "\n")


ADDRESS = Reference("149943", "address", unguessable=False)
NUMBERS = {"149943": ID, "149944": OTHER}
BY_THREAD = Reference(ID, "thread", unguessable=False)
CERTAIN_THREAD = Reference(ID, "thread", unguessable=True)
CONFLICT = Choice(None, conflict=True)
N, M, FULL, OTHER_FULL = subject("149943"), subject("149944"), subject(ID), subject(OTHER)

CHOICES: list[tuple[Reference | None, tuple[str, ...], tuple[Reference, ...], tuple[str, ...], Choice]] = [
    # address, thread, subject, tagged Message-IDs, what is chosen
    (None, (), (), (), Choice(None)),
    (ADDRESS, (), (), (), Choice(ADDRESS)),
    (ADDRESS, (OTHER,), (M,), (OTHER,), Choice(ADDRESS)),
    (ADDRESS, (ID, OTHER), (N, M), (), Choice(ADDRESS)),
    (None, (ID,), (), (), Choice(BY_THREAD)),
    (None, (ID, ID), (), (), Choice(BY_THREAD)),
    (None, (ID,), (N,), (), Choice(BY_THREAD)),
    (None, (ID,), (FULL,), (), Choice(FULL)),
    (None, (), (N,), (), Choice(N)),
    (None, (), (FULL,), (), Choice(FULL)),
    (None, (), (N, FULL), (), Choice(FULL)),
    (None, (), (FULL, N), (), Choice(FULL)),
    (None, (), (), (ID,), Choice(CERTAIN_THREAD)),
    (None, (ID,), (N, FULL), (ID,), Choice(CERTAIN_THREAD)),
    # Whatever cannot all be right.
    (None, (ID, OTHER), (), (), CONFLICT),
    (None, (ID,), (M,), (), CONFLICT),
    (None, (ID,), (OTHER_FULL,), (), CONFLICT),
    (None, (), (N, M), (), CONFLICT),
    (None, (), (N, OTHER_FULL), (), CONFLICT),
    (None, (), (FULL, OTHER_FULL), (), CONFLICT),
    (None, (), (), (ID, OTHER), CONFLICT),
    (None, (ID,), (), (OTHER,), CONFLICT),
    (None, (), (N,), (OTHER,), CONFLICT),
    # A number that nobody has resolved differs from every id.
    (None, (ID,), (subject("7"),), (), CONFLICT),
    (None, (), (subject("7"), FULL), (), CONFLICT),
    (None, (), (subject("7"),), (), Choice(subject("7"))),
]


@pytest.mark.parametrize(("address", "thread", "subjects", "tagged", "expected"), CHOICES)
def test_which_reference_wins(
    address: Reference | None,
    thread: tuple[str, ...],
    subjects: tuple[Reference, ...],
    tagged: tuple[str, ...],
    expected: Choice,
) -> None:
    assert choose(address, thread, subjects, tagged=tagged, numbers=NUMBERS) == expected


REFERENCES = [
    Reference(ticket, source, unguessable=unguessable)
    for ticket, source, unguessable in itertools.product(
        (ID, "149943"), ("address", "thread", "subject"), (True, False)
    )
]


@pytest.mark.parametrize("policy", ["accept", "authenticated", "known"])
@pytest.mark.parametrize("result", ["pass", "fail", "unknown", ""])
def test_who_may_write(result: str, policy: str) -> None:
    """The whole table: only an unguessable reference or an authenticated sender opens a policy other than accept."""
    for reference, known, listed in itertools.product(REFERENCES, (True, False), (True, False)):
        if reference.unguessable or policy == "accept":
            expected = None
        elif result != "pass":
            expected = Reason.SENDER_NOT_AUTHENTICATED
        elif policy == "known" and not known and not listed:
            expected = Reason.SENDER_NOT_KNOWN
        else:
            expected = None
        said = authorise(
            reference, Authentication(result, ""), number_policy=policy, known_sender=known, allow_listed=listed
        )
        assert said is expected, (reference, known, listed)


@pytest.mark.parametrize(
    ("recent", "equal", "reason"),
    [
        (0, 0, None),
        (19, 3, None),
        (20, 0, Reason.TOO_MANY),
        (20, 4, Reason.TOO_MANY),
        (0, 4, Reason.REPEATED),
        (1000, 1000, Reason.TOO_MANY),
    ],
)
def test_the_back_stop(recent: int, equal: int, reason: Reason | None) -> None:
    """More than 20 in 10 minutes, or 5 equal ones in an hour; the counts are of the others."""
    assert back_stop(recent, equal) is reason
