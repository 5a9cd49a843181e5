"""What is posted beside the customer's words, and which attachments belong to them."""

from __future__ import annotations

from email.message import EmailMessage

import pytest

from bridge import pipeline
from bridge.message import compose, describe, wanted
from bridge.model import Address, Attachment, Context, Envelope
from bridge.reference import AddressKeys

SCREENSHOT, LOGO, PIXEL = b"\x89PNG" + b"s" * 5000, b"\x89PNG" + b"l" * 3000, b"\x89PNG" + b"p" * 60
ANNA = Address("Anna", "anna@example.org")


def attachment(name: str = "scan.pdf", size: int = 1_234_567) -> Attachment:
    return Attachment("2", name, "application/pdf", size, "00")


def decided(html: str, pictures: dict[str, bytes], *, text: str | None = None, mode: str = "upload") -> list[str]:
    """The Content-IDs of the attachments that the bridge would take along."""
    mail = EmailMessage()
    mail["From"], mail["Subject"] = "anna@example.org", "Re: x"
    if text is not None:
        mail.set_content(text)
        mail.add_alternative(html, subtype="html")
    else:
        mail.set_content(html, subtype="html")
    part = mail.get_payload()[1] if text is not None else mail  # type: ignore[index]  # an alternative has two parts
    for cid, data in pictures.items():
        part.add_related(data, maintype="image", subtype="png", cid=f"<{cid}>", filename=f"{cid}.png")  # type: ignore[union-attr]  # so does a part
    read = pipeline.read(mail.as_bytes())
    envelope = Envelope("anna@example.org", "support+tkt_01hxa3b4c5d6e7f8g9h0j1k2m3@example.com")
    addressed = pipeline.address(
        envelope, domains=frozenset({"example.com"}), mailboxes=frozenset({"support"}), keys=AddressKeys(), signed="off"
    )
    policy = pipeline.Policy("x@example.com", attachments=mode)
    return [item.content_id for item in pipeline.decide(read, envelope, addressed, policy, Context()).attachments]


QUOTE = (
    '<div class="gmail_quote">On Mon, 1 Jan 2024, Support &lt;support@example.com&gt; wrote:'
    "<blockquote>{}</blockquote></div>"
)


def test_a_picture_in_the_kept_part_comes_along_and_one_in_the_history_does_not() -> None:
    html = '<p>See here:</p><img src="cid:shot"><p>Best</p>' + QUOTE.format('<p>Old</p><img src="cid:old">')
    assert decided(html, {"shot": SCREENSHOT, "old": LOGO}) == ["shot"]


def test_position_is_told_by_the_html_also_when_the_words_are_the_plain_text() -> None:
    html = '<p>See here:</p><img src="cid:shot"><p>Best</p>' + QUOTE.format('<p>Old</p><img src="cid:old">')
    text = "See here:\n\nBest\n\nOn Mon, 1 Jan 2024, Support <support@example.com> wrote:\n> Old\n"
    assert decided(html, {"shot": SCREENSHOT, "old": LOGO}, text=text) == ["shot"]


def test_a_picture_that_the_history_shows_too_is_a_logo() -> None:
    html = '<p>Hello</p><img src="cid:logo1">' + QUOTE.format('<p>Old</p><img src="cid:logo2">')
    assert decided(html, {"logo1": LOGO, "logo2": LOGO}) == []


def test_spacers_stay_away_and_percent_encoded_ids_are_known() -> None:
    html = '<p>Hello</p><img src="cid:px"><img src="cid:shot%40home">'
    assert decided(html, {"px": PIXEL, "shot@home": SCREENSHOT}) == ["shot@home"]


def test_a_picture_that_nothing_places_is_an_attachment() -> None:
    assert decided("<p>Hello</p>", {"loose": LOGO}) == ["loose"]


@pytest.mark.parametrize(("mode", "taken"), [("upload", ["a"]), ("name", ["a"]), ("ignore", [])])
def test_modes(mode: str, taken: list[str]) -> None:
    assert decided("<p>Hello</p>", {"a": LOGO}, mode=mode) == taken


def test_nothing_inline_is_lost_without_html() -> None:
    mail = pipeline.read(b"From: a@example.org\r\n\r\nHello\r\n")
    assert wanted(mail, (), (), "upload") == ()


def test_words_come_whole_and_names_stand_below() -> None:
    assert compose("\nHello\n\n", ANNA, (), mode="upload", template="") == "Hello"
    named = compose("Hello", ANNA, (attachment(),), mode="name", template="")
    assert named == 'Hello\n\n[attachment not uploaded: "scan.pdf" (1.2 MB)]'
    assert compose("Hello", ANNA, (attachment(),), mode="upload", template="") == "Hello"
    assert compose(" \n", ANNA, (), mode="upload", template="{name}") == ""
    only = compose("", ANNA, (attachment(), attachment("b.txt", 12)), mode="upload", template="")
    assert only == '[no text; attached: "scan.pdf" (1.2 MB), "b.txt" (12 bytes)]'
    assert describe(attachment("c", 45_000)) == '"c" (45 KB)'


@pytest.mark.parametrize(
    ("size", "told"), [(0, "0 bytes"), (999, "999 bytes"), (1_000, "1 KB"), (999_499, "999 KB"), (1_000_000, "1.0 MB")]
)
def test_a_size_is_told_in_the_unit_that_fits(size: int, told: str) -> None:
    assert describe(attachment("c", size)) == f'"c" ({told})'


@pytest.mark.parametrize(
    ("sender", "line"),
    [
        (ANNA, "From Anna <anna@example.org>:"),
        (Address("", "anna@example.org"), "From anna@example.org <anna@example.org>:"),
        (Address("{address}\n> forged", "a@example.org"), "From {address} > forged <a@example.org>:"),
        (None, "From unknown <unknown>:"),
    ],
)
def test_the_first_line_names_the_sender_and_stays_one_line(sender: Address | None, line: str) -> None:
    assert compose("Hi", sender, (), mode="upload", template="From {name} <{address}>:") == f"{line}\n\nHi"
