"""What the hints and the operator's settings change."""

from __future__ import annotations

import pytest

from bridge.reply import Hints, extract

SENT = """Hello Ann,

Could you tell us which browser you use, and since when the error appears?
Please also send the error message.

Kind regards
The support team"""
KNOWN = Hints(known_texts=(SENT,))


def text(mail: str, **hints: object) -> str:
    return extract(mail, None, hints=Hints(**hints)).text  # type: ignore[arg-type]  # keywords of Hints


INLINE = """On 06/03/2024 09:41, Support wrote:
> Hi Tom,
>
> is it connected by cable?

Yes.

> Good to know.
>
> Which system?

Windows.
"""


def test_trim_keeps_the_paragraph_that_is_answered() -> None:
    assert text(INLINE) == "> is it connected by cable?\n\nYes.\n\n> Which system?\n\nWindows."


def test_keep_keeps_all_that_is_answered_but_the_attribution() -> None:
    kept = text(INLINE, inline_quotes="keep")
    assert kept == INLINE.partition("\n")[2].strip()


SIGNED = "Yes.\n\nSent from my iPhone\n\n-- \nAnn Smith\nSmith Ltd\n"


@pytest.mark.parametrize(
    ("signature", "device", "expected"),
    [
        (True, True, "Yes."),
        (True, False, "Yes.\n\nSent from my iPhone"),
        (False, True, SIGNED.strip()),
        (False, False, SIGNED.strip()),
    ],
)
def test_signature_and_device_lines_are_cut_by_setting(signature: bool, device: bool, expected: str) -> None:
    assert text(SIGNED, cut_signature=signature, cut_device=device) == expected


def test_device_lines_in_a_row() -> None:
    assert text("Yes.\nSent from my TI-85\nSent from my iPhone\n") == "Yes.\nSent from my TI-85"
    assert text("Yes.\n\nSent from my TI-85\nGet Outlook for iOS\n") == "Yes."
    assert text("Sent from my iPhone") == ""
    assert text("Yes.\n\nᐧ\n") == "Yes."


FOOTER = "We cancel.\n\nThis e-mail and any attachments are confidential.\nIf you are not the addressee, delete it.\n"


def test_disclaimers_are_cut_by_setting() -> None:
    assert text(FOOTER) == FOOTER.strip()
    assert text(FOOTER, cut_disclaimer=True) == "We cancel."
    ruled = FOOTER.replace("\n\n", "\n\n*****\n")
    assert text(ruled, cut_disclaimer=True) == "We cancel."
    inside = "This e-mail and any attachments were lost, why?"
    assert text("Hello\n" + inside, cut_disclaimer=True) == "Hello\n" + inside
    assert text("No\n\nDisclaimer", cut_disclaimer=True) == "No\n\nDisclaimer"


@pytest.mark.parametrize(
    "signoff",
    [
        "Best regards,\nAnn Smith\nSmith Ltd",
        "Kind regards, Ann",
        "-Ann Smith",
        "Med vänlig hälsning\n\nPer Lund\nLund & Co AB",
        "Ann Smith\nHead of Sales\nTel: +44 20 7946 0991\nwww.smith.example",
        "--------------\n\nAnn Smith\n\nt. +44 20 7946 0991\n\nhttps://smith.example",
        "*Ann Smith* | *Sales*\n*Call +44 20 7946 0991*\n\nHigh Street 2, London\n\n*WEB  www.smith.example*",
    ],
)
def test_sign_offs_are_cut_by_setting(signoff: str) -> None:
    mail = f"Please change the address.\n\n{signoff}\n"
    assert text(mail) == mail.strip()
    assert text(mail, cut_signoff=True) == "Please change the address."


@pytest.mark.parametrize(
    "mail",
    [
        "Yes, please.\n\nThanks",
        "Yes, please.\n\nThanks,\nAnn",
        "Best regards,\nAnn",
        "Meet at:\n\n10/19/2017 @ 9:30 am, room 4\n1517 4th Avenue, 555-421-6780",
        "Call me.\n\nMonday 9:30\n555-421-6780\n\nAnn Smith\nSmith Ltd\n555-941-0697",
        "The new number is +44 20 7946 0991.",
        "New numbers:\n\n+44 20 7946 0991 is the office.\n+44 20 7946 0992 is the shop.",
        "Best regards,\n"
        + "this is a long sentence that is no part of any sign-off in the world, since it goes on " * 2,
        "Regards, to all of you who have helped me,\nand so on.",
        "\n".join(f"line {number}" for number in range(30)),
    ],
)
def test_what_is_no_sign_off_stays(mail: str) -> None:
    assert text(mail, cut_signoff=True) == mail


def test_the_device_line_above_a_sign_off_goes_too() -> None:
    assert text("Yes.\n\nSent from my iPhone\n\nBest regards,\nAnn", cut_signoff=True) == "Yes."


FORWARD = "Is this yours?\n\n---------- Forwarded message ---------\nFrom: X <x@b.example>\nDate: 1 May\n\nBody"
QUOTED_FORWARD = "See below\n\n> Begin forwarded message:\n>\n> From: X <x@b.example>\n> Date: 1 May\n>\n> Body\n"


def test_forwarded_mail_is_cut_only_by_setting() -> None:
    assert text(FORWARD) == FORWARD
    assert text(FORWARD, forwarded="cut") == "Is this yours?"
    assert text(QUOTED_FORWARD) == QUOTED_FORWARD.strip()
    assert text(QUOTED_FORWARD, forwarded="cut") == "See below"
    assert text(QUOTED_FORWARD + "\nBottom", forwarded="cut") == "See below\n\nBottom"


def test_a_forwarded_message_alone_is_never_cut() -> None:
    alone = FORWARD.partition("\n\n")[2]
    assert text(alone, forwarded="cut") == alone


def test_forwarded_with_quoted_body() -> None:
    mail = "Look\n\nForwarded message:\n\n> From: X <x@b.example>\n> To: Y <y@b.example>\n>\n> Body\n\nBottom"
    assert text(mail) == mail
    assert text(mail, forwarded="cut") == "Look\n\nBottom"


def test_the_word_forwarded_alone_is_no_forwarding() -> None:
    assert text("Forwarded\nthe thing to Jane") == "Forwarded\nthe thing to Jane"


def test_own_addresses_and_names_make_attributions() -> None:
    odd = "Fine.\n\nSupport @ 5 March:\n> All well?\n"
    assert text(odd) == "Fine.\n\nSupport @ 5 March:"
    assert text(odd, names=("Support",)) == "Fine."
    assert text("Fine.\n\nTicket desk:\n> All well?\n", names=("Ticket desk",), addresses=("a",)) == "Fine."


def test_own_markers() -> None:
    mail = "Fine.\n\nSomeone, sometime:\n\n*** ANSWER OVER THIS ***\n\nAll well?"
    assert text(mail, markers=("*** answer over  this ***",)) == "Fine.\n\nSomeone, sometime:"
    attributed = mail.replace("Someone, sometime:", "On 1 May 2024 Ann <a@b.example> wrote:")
    assert text(attributed, markers=("*** answer over this ***", " ")) == "Fine."
    assert text("*** answer over this ***\nold", markers=("*** answer over this ***",)) == ""


def test_known_text_is_history_whatever_it_looks_like() -> None:
    wrapped = "It works now.\n\n" + SENT.replace("since when the", "since when\nthe")
    assert text(wrapped, known_texts=(SENT,)) == "It works now."
    assert extract(wrapped, None, hints=KNOWN).confidence == 1.0


def test_words_typed_into_the_quotation_are_kept_whatever_their_prefix() -> None:
    mail = SENT.replace("appears?", "appears?\nFirefox, since Monday.").replace("message.", "message.\nIt says 500.")
    header = "See below.\n\nFrom: s@x.example\nSent: Monday\nTo: Ann\nSubject: Error\n\n"
    kept = text(header + mail, known_texts=(SENT,))
    assert kept == (
        "See below.\n\nCould you tell us which browser you use, and since when the error appears?\n"
        "Firefox, since Monday.\nPlease also send the error message.\nIt says 500."
    )
    quoted = "\n".join("> " + line for line in mail.splitlines())
    assert "> Firefox, since Monday." in text("On 1/2/2024 10:00, Support wrote:\n" + quoted, known_texts=(SENT,))


def test_what_only_resembles_known_text_is_the_authors() -> None:
    for mail in ("Please also send the invoice.", "Kind regards", "Hello Ann,\nall is well.", "browser"):
        assert text(mail, known_texts=(SENT, "")) == mail


def test_known_texts_are_read_up_to_a_bound() -> None:
    long = "a b c d e\n" * 20_000
    mail = "New.\n\n" + SENT
    assert text(mail, known_texts=(long, SENT)) == mail
    assert text(mail, known_texts=(SENT, long)) == "New."
