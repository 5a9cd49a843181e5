"""Mails made to break their reader: each is made here, from its size."""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import partial

HEAD = b"From: c@example.net\r\nTo: support@example.com\r\nMessage-ID: <b@example.net>\r\nMIME-Version: 1.0\r\n"
WORDS = b"Subject: x\r\n\r\nhello\r\n"
MB = 1024 * 1024


def nesting(depth: int = 10_000) -> bytes:
    """Containers in one another, each with a boundary of its own."""
    opens = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (level, level) for level in range(depth)
    )
    return HEAD + b"Subject: x\r\n" + opens + b"Content-Type: text/plain\r\n\r\nhello\r\n"


def same_boundary(depth: int = 10_000) -> bytes:
    """The same with one boundary for all."""
    return (
        HEAD
        + b"Subject: x\r\n"
        + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" * depth
        + b"\r\nhello\r\n"
    )


def forwarded(depth: int = 10_000) -> bytes:
    """Forwarded messages in one another."""
    return HEAD + b"Subject: x\r\n" + b"Content-Type: message/rfc822\r\n\r\nSubject: y\r\n" * depth + b"\r\nhello\r\n"


def headers(count: int = 100_000) -> bytes:
    """As many fields."""
    return HEAD + b"".join(b"X-%d: y\r\n" % number for number in range(count)) + WORDS


def distinct_long_headers(count: int = 4_000) -> bytes:
    """Fields of 4 KB each."""
    return HEAD + b"".join(b"X-%d: %s\r\n" % (number, b"y" * 4000) for number in range(count)) + WORDS


def subject(size: int = MB) -> bytes:
    """A subject of encoded words."""
    word = b"=?utf-8?Q?=C3=A5=C3=A4=C3=B6?=\r\n "
    return HEAD + b"Subject: " + word * (size // len(word)) + b"x\r\n\r\nhello\r\n"


def one_encoded_word(size: int = MB) -> bytes:
    """A subject of one encoded word."""
    return HEAD + b"Subject: =?utf-8?B?" + base64.b64encode(b"a" * size) + b"?=\r\n\r\nhello\r\n"


def quotes(size: int = 97_000) -> bytes:
    """Quotation marks in From."""
    return b"From: " + b'"' * size + b" <c@example.net>\r\n" + WORDS


def comments(size: int = 97_000) -> bytes:
    """Brackets in From."""
    return b"From: " + b"(" * size + b" <c@example.net>\r\n" + WORDS


def parts(count: int = 10_000) -> bytes:
    """Small parts, one after another."""
    part = b"--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n"
    return HEAD + b"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + part * count + b"--b--\r\n"


def addresses(count: int = 20_000) -> bytes:
    """Recipients in To, folded."""
    return HEAD + b"Cc: " + b",\r\n ".join(b'"N %d" <n%d@example.net>' % (n, n) for n in range(count)) + b"\r\n" + WORDS


def parameters(count: int = 100_000) -> bytes:
    """Parameters of Content-Type, with quotation marks that never match."""
    return HEAD + b"Content-Type: text/plain" + b'; a"=b' * count + b"\r\n" + WORDS


def continued_name(count: int = 20_000) -> bytes:
    """A file name in as many pieces (RFC 2231)."""
    pieces = b"".join(b";\r\n filename*%d*=a" % number for number in range(count))
    return HEAD + b"Content-Disposition: attachment" + pieces + b"\r\n" + WORDS


def encoded(size: int = 25 * MB) -> bytes:
    """One file in base64."""
    packed = base64.encodebytes(bytes(range(256)) * (size * 3 // 4 // 256)).replace(b"\n", b"\r\n")
    return (
        HEAD
        + b"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n--b\r\n"
        + b"Content-Type: application/pdf; name=a.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + packed[: size - 1000]
        + b"\r\n--b--\r\n"
    )


def eight_bit(size: int = 25 * MB) -> bytes:
    """One file, 8-bit."""
    line = ("räksmörgås " * 6).encode() + b"\r\n"
    return (
        HEAD
        + b"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n--b\r\n"
        + b"Content-Type: text/csv; charset=utf-8; name=a.csv\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        + line * ((size - 1000) // len(line))
        + b"--b--\r\n"
    )


def words(size: int = 8 * MB) -> bytes:
    """Plain words, and nothing else."""
    line = b"words and words and words and words and words and words and words\r\n"
    return HEAD + b"Subject: x\r\nContent-Type: text/plain\r\n\r\n" + line * ((size - 1000) // len(line))


def _html(source: bytes) -> bytes:
    return HEAD + b"Subject: x\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + source


def divs(depth: int = 50_000) -> bytes:
    """Elements in one another."""
    return _html(b"<div>" * depth + b"hello")


def blockquotes(depth: int = 50_000) -> bytes:
    """Quotes in one another."""
    return _html(b"<blockquote>" * depth + b"hello")


def attributes(count: int = 50_000) -> bytes:
    """Attributes of one element."""
    return _html(b"<p " + b" ".join(b"a%d=1" % number for number in range(count)) + b">hello</p>")


def comment_openings(count: int = 500_000) -> bytes:
    """Comments that never close."""
    return _html(b"hello" + b"<!--" * count)


def tables(count: int = 50_000) -> bytes:
    """Tables in one another, misnested."""
    return _html(b"<table><tr><td>" * count + b"hello")


def formatting(count: int = 12_500) -> bytes:
    """Four times as many formatting elements that close in the wrong order."""
    return _html(b"<a><b><i><font>" * count + b"hello" + b"</a></b></i></font>" * count)


def entities(count: int = 200_000) -> bytes:
    """Character references."""
    return _html(b"<p>hello" + b"&CounterClockwiseContourIntegral;" * count)


def links(count: int = 50_000) -> bytes:
    """Links in one paragraph."""
    return _html(b"<p>hello" + b'<a href="https://example.net/x">y</a>' * count)


def charset_lie(codec: bytes, size: int = MB) -> bytes:
    """Random-looking bytes under a label that does not fit."""
    body = bytes(range(128, 256)) * (size // 128)
    return HEAD + b"Subject: x\r\nContent-Type: text/plain; charset=" + codec + b"\r\n\r\nhello\r\n" + body


def quoted_lines(count: int = 200_000) -> bytes:
    """Lines with deep quotes."""
    return (
        HEAD
        + b"Subject: x\r\nContent-Type: text/plain; format=flowed\r\n\r\nhello\r\n"
        + b">" * 60
        + b" a \r\n" * count
    )


def uu_beginnings(count: int = 200_000) -> bytes:
    """Beginnings of uuencoded blocks, and one end."""
    return HEAD + b"Subject: x\r\n\r\nhello\r\n" + b"begin 644 a\r\n" * count + b"end\r\n"


_MAKERS: tuple[Callable[[], bytes], ...] = (
    *(nesting, same_boundary, forwarded, headers, distinct_long_headers, subject, one_encoded_word, quotes, comments),
    *(parts, addresses, parameters, continued_name, encoded, eight_bit, words, divs, blockquotes, attributes),
    *(comment_openings, tables, formatting, entities, links, quoted_lines, uu_beginnings),
)
_CHARSETS = (b"iso-2022-jp", b"utf-8", b"gb2312", b"utf-16", b"hz", b"utf-7", b"idna", b"base64", b"euc-kr")
BOMBS: dict[str, Callable[[], bytes]] = {
    **{maker.__name__: maker for maker in _MAKERS},
    **{f"charset_{codec.decode()}": partial(charset_lie, codec) for codec in _CHARSETS},
}
"""Every bomb by its name."""
