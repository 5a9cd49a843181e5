"""What holds for any mail."""

from __future__ import annotations

import base64
import quopri
import unicodedata
import uuid
from email.message import EmailMessage
from email.policy import SMTP

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.mail import attachment_bytes, names, read
from bridge.mail.charset import codec_of, decode, words
from bridge.mail.cms import signed_content
from bridge.mail.containers import untnef, uudecode
from bridge.mail.flowed import unflow
from bridge.mail.html import render_text
from bridge.mail.transfer import payload
from bridge.mail.tree import tree
from bridge.model import InboundMail

quick = settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])

FIELDS = [
    b"From: a@b.example\r\n",
    b"Subject: =?utf-8?q?x?=\r\n",
    b"Content-Type: multipart/mixed; boundary=b\r\n",
    b"Content-Type: multipart/alternative; boundary=b\r\n",
    b"Content-Type: text/html; charset=x\r\n",
    b"Content-Type: text/plain; format=flowed; delsp=yes\r\n",
    b"Content-Type: message/rfc822\r\n",
    b"Content-Type: application/pkcs7-mime\r\n",
    b"Content-Type: application/ms-tnef; name=winmail.dat\r\n",
    b"Content-Disposition: attachment; filename*0*=utf-8''%; filename*1=\"\r\n",
    b"Content-Transfer-Encoding: base64\r\n",
    b"Content-Transfer-Encoding: quoted-printable\r\n",
    b"Content-Transfer-Encoding: x-uuencode\r\n",
]
LINES = [
    b"\r\n",
    b"\n",
    b"--b\r\n",
    b"--b--\r\n",
    b"> x \r\n",
    b"begin 644 x\r\n",
    b"#86)C\r\n",
    b"end\r\n",
    b"<div>",
    b"<!--",
    b"=E5",
]
HOSTILE = st.lists(st.one_of(st.sampled_from(FIELDS + LINES), st.binary(max_size=40)), max_size=40).map(b"".join)
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n"), max_size=300)
LINE = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=60)


@quick
@given(HOSTILE)
def test_any_bytes_are_read(raw: bytes) -> None:
    mail = read(raw)
    assert isinstance(mail, InboundMail)
    assert not [defect for defect in mail.defects if defect.startswith("unparseable")]
    for item in mail.attachments:
        assert len(attachment_bytes(raw, item.path)) == item.size
        assert item.name == names.safe(item.name)


@quick
@given(st.binary(max_size=400))
def test_any_bytes_are_borne_by_each_reader(data: bytes) -> None:
    signed_content(data)
    signed_content(bytes.fromhex("30803006") + data)
    untnef(b"\x78\x9f\x3e\x22\x01\x00" + data)
    text = data.decode("latin-1")
    uudecode(text)
    render_text(text)
    words(text)
    decode(data, "iso-2022-jp")


@quick
@given(TEXT, st.sampled_from(["utf-8", "utf-16", "gb18030"]), st.sampled_from(["base64", "quoted-printable", "8bit"]))
def test_words_arrive_as_they_were_written(text: str, charset: str, encoding: str) -> None:
    data = text.encode(charset)
    if encoding == "8bit" and charset == "utf-16":
        return
    body = {"base64": base64.encodebytes, "quoted-printable": quopri.encodestring}.get(encoding, bytes)(data)
    head = f"Content-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    seen = read(head.encode() + body).text or ""
    if "begin " not in text:
        assert seen.rstrip("\n") == text.removeprefix("\ufeff").rstrip("\n")


@quick
@given(st.lists(st.tuples(LINE, st.binary(max_size=200)), min_size=1, max_size=5), TEXT)
def test_attachments_of_the_standard_library_arrive(files: list[tuple[str, bytes]], text: str) -> None:
    message = EmailMessage(policy=SMTP)
    message["From"], message["Subject"] = "a@b.example", "x"
    message.set_content(text, cte="base64")
    for name, data in files:
        message.add_attachment(data, "application", "x-test", filename=f"x{name}", cte="base64")
    raw = message.as_bytes()
    found = read(raw).attachments
    assert [attachment_bytes(raw, item.path) for item in found] == [data for _, data in files]


@quick
@given(st.text(max_size=300))
def test_safe_names(name: str) -> None:
    made = names.safe(name)
    assert len(made.encode()) <= names.NAME_BYTES
    assert not set(made) & set("/\\\0\r\n")
    assert not any(unicodedata.category(char) in ("Cc", "Cf", "Cs") for char in made)
    assert names.safe(made) == made


def flow(paragraph: str, width: int, *, delsp: bool) -> str:
    """A paragraph in format=flowed, folded at blanks (RFC 3676 §4.2)."""
    lines, line = [], ""
    for word in paragraph.split(" "):
        if line and len(line) + len(word) > width:
            lines.append(line + (" " if delsp else ""))
            line = ""
        line += word + " "
    lines.append(line.removesuffix(" "))
    return "\n".join(" " + item if item.startswith((" ", ">", "From ")) else item for item in lines)


@quick
@given(st.lists(st.text("abcå> -", min_size=1, max_size=120), min_size=1, max_size=5), st.booleans())
def test_flowed_paragraphs_are_whole_again(paragraphs: list[str], delsp: bool) -> None:
    wanted = [" ".join(paragraph.split()) for paragraph in paragraphs]
    wanted = [paragraph for paragraph in wanted if paragraph not in ("--", "")]
    flowed = "\n".join(flow(paragraph, 40, delsp=delsp) for paragraph in wanted)
    assert unflow(flowed, delsp=delsp) == "\n".join(wanted)


@quick
@given(st.binary(max_size=600), st.integers(1, 80))
def test_base64_of_any_line_length_and_padding(data: bytes, width: int) -> None:
    packed = base64.b64encode(data).decode().rstrip("=")
    lines = "\r\n".join(packed[at : at + width] for at in range(0, len(packed), width))
    part = tree(f"Content-Transfer-Encoding: BASE64\r\n\r\n{lines}\r\n".encode())
    assert payload(part) == (data, "")


@quick
@given(st.text(max_size=40))
def test_any_charset_label_is_a_codec_for_text_or_none(label: str) -> None:
    codec = codec_of(label)
    assert not codec or isinstance("x".encode(codec, "replace"), bytes)


def test_a_boundary_with_anything_inside() -> None:
    for _ in range(20):
        boundary = uuid.uuid4().hex
        raw = (
            f"Content-Type: multipart/mixed; boundary={boundary}\r\n\r\n--{boundary}\r\n\r\nwords\r\n--{boundary}--\r\n"
        )
        assert read(raw.encode()).text == "words"
