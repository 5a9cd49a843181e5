"""Corners that no mail of the corpus has."""

from __future__ import annotations

import asyncio
import binascii
import importlib
from unittest import mock

import pytest

from bridge import allocator
from bridge.mail import attachment_bytes, containers, parse, read
from bridge.mail.charset import decode, words
from bridge.mail.cms import signed_content
from bridge.mail.containers import has_password, untnef, uudecode
from bridge.mail.dom import is_ordinary
from bridge.mail.transfer import payload
from bridge.mail.tree import tree

tree_module = importlib.import_module("bridge.mail.tree")


def attribute(level: int, name: int, data: bytes) -> bytes:
    """One attribute of a TNEF block (MS-OXTNEF §2.1.3)."""
    head = bytes((level,)) + name.to_bytes(4, "little") + len(data).to_bytes(4, "little")
    return head + data + (sum(data) & 0xFFFF).to_bytes(2, "little")


TNEF = b"\x78\x9f\x3e\x22\x01\x00"


@pytest.mark.parametrize(
    ("data", "locked"),
    [
        (b"PK\x03\x04\x14\x00\x01\x00", True),
        (b"PK\x03\x04\x14\x00\x00\x00", False),
        (b"7z\xbc\xaf\x27\x1c" + b"\x06\xf1\x07\x01", True),
        (b"7z\xbc\xaf\x27\x1c" + b"\x00" * 8, False),
        (b"Rar!\x1a\x07\x00\x00\x00\x73\x80\x00", True),
        (b"Rar!\x1a\x07\x00\x00\x00\x73\x00\x00", False),
        (b"Rar!\x1a\x07\x01\x00" + b"\x00" * 5 + b"\x04", True),
        (b"Rar!\x1a\x07\x01\x00" + b"\x00" * 5 + b"\x01", False),
        (b"%PDF-1.7 /Encrypt 5 0 R", True),
        (b"%PDF-1.7", False),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"), True),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", False),
        (b"plain", False),
    ],
)
def test_files_that_say_they_have_a_password(data: bytes, locked: bool) -> None:
    assert has_password(data) is locked


def test_tnef_that_its_reader_does_not_bear() -> None:
    with mock.patch.object(containers, "TNEF", side_effect=IndexError):
        assert untnef(TNEF) is None
    assert untnef(TNEF + attribute(1, 0x0007800C, b"words")) is not None


def test_tnef_with_words_in_rtf_only() -> None:
    raw = b"Content-Type: application/ms-tnef\r\n\r\n" + TNEF + attribute(1, 0x00069007, bytes(8))
    with mock.patch.object(containers, "TNEF") as made:
        made.return_value = mock.Mock(attachments=[], body=[], htmlbody=None, _rtfbody=b"x", rtfbody=b"{\\rtf1 words}")
        mail = read(raw)
        assert attachment_bytes(raw, "1!rtf") == b"{\\rtf1 words}"
    assert [(item.name, item.content_type, item.size) for item in mail.attachments] == [
        ("message.rtf", "application/rtf", 13)
    ]


@pytest.mark.parametrize("line", ["#}}}}}}}", "räksmörgås"])
def test_a_uuencoded_block_that_does_not_decode_is_text(line: str) -> None:
    text = f"begin 644 x\n{line}\nend\n"
    assert uudecode(text) == (text, [])


def test_html_past_its_limit_waits_for_a_person() -> None:
    mail = read(b"Content-Type: text/html\r\n\r\n<p>words" + b"<br>x" * 500_000)
    assert mail.defects == ("html_too_large",)
    assert mail.unseen


def test_a_report_is_a_file() -> None:
    mail = read(b"Content-Type: message/delivery-status\r\n\r\nAction: failed\r\n")
    assert [(item.name, item.size) for item in mail.attachments] == [("attachment-1.txt", 16)]


def test_encoded_words_of_two_charsets_side_by_side() -> None:
    assert words("=?utf-8?Q?=C3=A5?= =?iso-8859-1?Q?=E4?= =?utf-8?B?w7Y?= x") == "åäö x"


def test_bytes_that_were_made_utf_8_of_once_too_often() -> None:
    assert decode(
        "å".encode("shift_jis", "ignore") + "日本".encode("shift_jis").decode("latin-1").encode(), "shift_jis"
    )[0]
    assert decode("軟體".encode("big5").decode("latin-1").encode(), "big5") == ("軟體", "charset_wrong")
    assert decode("€".encode(), "ascii") == ("€", "charset_wrong")


@pytest.mark.parametrize("body", [b"QUJDR\r\n", b"QUJD!R"])
def test_base64_with_a_letter_too_many(body: bytes) -> None:
    assert payload(tree(b"Content-Transfer-Encoding: base64\r\n\r\n" + body + b"QUJD" * 40))[0].startswith(b"ABC")


def test_a_container_has_no_bytes_of_its_own() -> None:
    assert payload(tree(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n")) == (b"", "")


def test_more_containers_than_are_opened() -> None:
    one = b"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\nx\r\n--c--\r\n"
    mail = read(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + one * 250 + b"--b--\r\n")
    assert "too_many_parts" in mail.defects
    assert mail.unseen
    deep = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(60))
    assert "too_deep" in read(deep + b"\r\nwords\r\n").defects
    with mock.patch.object(tree_module, "MAX_CONTAINERS", 3):
        mail = read(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + one * 5 + b"--b--\r\n")
    assert mail.defects == ("too_deep",)
    assert [item.content_type for item in mail.attachments] == ["multipart/mixed"] * 3


def test_opaque_parts_that_are_not_encrypted() -> None:
    raw = b"Content-Type: application/pkcs7-mime; smime-type=certs-only\r\n\r\nx\r\n"
    mail = read(raw)
    assert (mail.protection, mail.attachments[0].encrypted) == ((), False)


def test_two_encrypted_parts_are_one_protection() -> None:
    part = b"--b\r\nContent-Type: application/pkcs7-mime\r\n\r\nx\r\n"
    mail = read(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + part * 2 + b"--b--\r\n")
    assert mail.protection == ("smime_encrypted",)


def test_ber_that_is_odd() -> None:
    oid = bytes.fromhex("06092a864886f70d010702")

    def wrapped(content: bytes) -> bytes:
        def tlv(tag: int, value: bytes) -> bytes:
            return bytes((tag, len(value))) + value

        info = tlv(0x30, tlv(0x06, b"\x2a") + tlv(0xA0, content))
        return tlv(0x30, oid + tlv(0xA0, tlv(0x30, tlv(0x02, b"\x01") + info)))

    assert signed_content(wrapped(b"\x04\x02hi")) == b"hi"
    assert signed_content(wrapped(b"\x24\x06\x04\x01h\x04\x01i")) == b"hi"
    assert signed_content(wrapped(b"\x05\x00")) == b""
    assert signed_content(b"\x30\x80" * 40) is None
    assert signed_content(b"\x30\x02\x05\x00") is None


def test_attributes_that_are_too_many_for_a_tree() -> None:
    crowded = "<p " + " ".join(f"a{number}" for number in range(700)) + ">"
    assert not is_ordinary(crowded + "<b>x</b>")
    assert not is_ordinary(crowded)


def test_a_mail_that_no_reader_survives_is_kept() -> None:
    with mock.patch.object(parse, "tree", side_effect=RecursionError):
        mail = read(b"Subject: x\r\n\r\nwords\r\n")
    assert mail.defects == ("unparseable:RecursionError",)
    assert mail.unseen
    assert mail.size == 21


@pytest.mark.parametrize("raw", [b"  \r\nSubject: x\r\n\r\nwords\r\n", b"\r\n\nSubject: x\r\n\r\nwords\r\n"])
def test_a_broken_first_line(raw: bytes) -> None:
    assert (read(raw).subject, read(raw).text) == ("x", "words\n")


def test_nothing_but_blanks() -> None:
    assert read(b"   ").subject == read(b" x").subject == ""


def test_an_attachment_that_is_not_there() -> None:
    with pytest.raises(KeyError):
        attachment_bytes(b"\r\nwords", "9")


def test_the_allocator_is_told_once_and_trims() -> None:
    allocator.return_large_blocks()

    async def trim() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(allocator.keep_trimmed(0.01), 0.2)

    asyncio.run(trim())
    with mock.patch.object(allocator.ctypes, "CDLL", side_effect=OSError):
        allocator.return_large_blocks()
        asyncio.run(allocator.keep_trimmed())


def test_uuencode_of_the_standard_library_decodes() -> None:
    line = binascii.b2a_uu(b"abc").decode()
    assert uudecode(f"begin 644 a.txt\n\n{line}`\nend\n")[1][0].data == b"abc"


def test_an_encoded_word_that_cannot_be_decoded_hides_no_address() -> None:
    mail = read(b"From: =?utf-8?B?SsO8cmdlbiBH$m/Dnw==?= <a@example.net>\r\nSubject: x\r\n\r\nHej\r\n")
    assert [address.address for address in mail.from_] == ["a@example.net"]
    assert mail.text is not None
    assert mail.text.strip() == "Hej"
    assert "broken_encoded_word" in mail.defects
