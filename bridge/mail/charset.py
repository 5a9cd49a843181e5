"""Bytes to text: the charset ladder (design §7), and encoded words (RFC 2047)."""

from __future__ import annotations

import binascii
import codecs
import quopri
import re

_ALIASES = {
    # What is labelled so is in practice the larger set (WHATWG Encoding Standard, section 4.2).
    "ascii": "cp1252",
    "us-ascii": "cp1252",
    "iso-8859-1": "cp1252",
    "latin-1": "cp1252",
    "latin1": "cp1252",
    "iso8859-1": "cp1252",
    "iso-8859-9": "cp1254",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "x-gbk": "gb18030",
    "gb_2312-80": "gb18030",
    "ks_c_5601-1987": "cp949",
    "ks_c_5601": "cp949",
    "euc-kr": "cp949",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "x-sjis": "cp932",
    "sjis": "cp932",
    "iso-2022-jp": "iso2022_jp_ext",
    "iso-8859-8-i": "iso-8859-8",
    "iso-8859-6-i": "iso-8859-6",
    "windows-874": "cp874",
    "x-mac-roman": "mac_roman",
    "macintosh": "mac_roman",
    "unicode-1-1-utf-8": "utf-8",
    "utf8": "utf-8",
    "utf-8mb4": "utf-8",
    "x-unknown": "",
    "unknown-8bit": "",
    "unknown": "",
    "default": "",
    "x-user-defined": "",
}
_WINDOWS_1252 = "".join(
    chr(octet) if octet in (0x81, 0x8D, 0x8F, 0x90, 0x9D) else bytes((octet,)).decode("cp1252") for octet in range(256)
)
"""The five octets that cp1252 leaves open are taken for the control characters of latin-1, as browsers do."""
_SURROGATE = re.compile("[\ud800-\udfff]")
_BYTE_ORDER_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_REFUSED = frozenset({"utf-7", "unicode-1-1-utf-7", "idna", "punycode", "unicode_escape", "raw_unicode_escape"})
_META = re.compile(rb"<meta[^>]{0,300}?charset\s{0,5}=\s{0,5}[\"']?([A-Za-z0-9_:.-]{1,40})", re.IGNORECASE)
_WORD = re.compile(r"=\?([A-Za-z0-9_.:+-]{1,60})(?:\*[A-Za-z0-9-]{0,20})?\?([bBqQ])\?([^?]{0,100000})\?=")


def codec_of(label: str) -> str:
    """The Python codec for a charset label, or empty when there is none that decodes text."""
    name = label.strip().strip("\"'").lower()
    name = _ALIASES.get(name, name)
    try:
        info = codecs.lookup(name) if name and name not in _REFUSED else None
    except (LookupError, ValueError):
        return ""
    return info.name if info is not None and info._is_text_encoding else ""


def decode(data: bytes, declared: str = "", *, html: bool = False) -> tuple[str, str]:
    """The text, and a defect's name when what was declared did not hold (empty otherwise).

    Declared, then utf-8, then the HTML's own, then cp1252: the first that decodes every byte.
    """
    codec = codec_of(declared)
    if codec.startswith(("utf-16", "utf-32")) and b"\0" not in data and not data.startswith(_BYTE_ORDER_MARKS):
        # Even a line break has a zero octet there; without any, pairs of letters would be taken for ideographs.
        return decode(data, "utf-8", html=html)[0], "charset_wrong"
    if codec == "cp1252" and not data.isascii():
        # utf-8 that is labelled latin-1 is common; latin-1 that happens to be valid utf-8 hardly exists.
        text = _strict(data, "utf-8")
        if text is not None:
            return text, "charset_wrong"
    if codec:
        text = _strict(data, codec)
        if text is None and codec == "iso2022_jp_ext":
            # NEC's row 13 (①, ㈱) under the label of JIS X 0208, which has none: X 0213 reads both.
            text = _strict(data.replace(b"\x1b$B", b"\x1b$(Q"), "iso2022_jp_2004")
        if text is not None:
            return text, ""
    defect = "charset_wrong" if codec else ("charset_unknown" if declared.strip() else "")
    meta = _META.search(data[:4096]) if html else None
    for candidate in ("utf-8", codec_of(meta[1].decode("ascii")) if meta else ""):
        text = _strict(data, candidate) if candidate else None
        if text is not None:
            return _once_encoded(text, codec) or text, defect
    if codec and codec not in ("cp1252", "utf-8"):
        text = data.decode(codec, "replace")
        if text.count("\ufffd") * 20 <= len(text):
            return text, defect
    return _cp1252(data), defect or "charset_missing"


def _once_encoded(text: str, codec: str) -> str | None:
    """Bytes of the declared charset that a gateway took for latin-1 and made utf-8 of, if that is what they are."""
    if not codec or text.isascii() or max(text) > "\xff":
        return None
    return _strict(text.encode("latin-1"), codec)


def _strict(data: bytes, codec: str) -> str | None:
    try:
        text = data.decode(codec)
    except (UnicodeError, LookupError):
        return _cp1252(data) if codec == "cp1252" else None
    return None if _SURROGATE.search(text) else text


def _cp1252(data: bytes) -> str:
    return codecs.charmap_decode(data, "strict", _WINDOWS_1252)[0]


def raw_header(value: str) -> str:
    """A header value as the parser gives it (8-bit bytes as surrogates), unfolded, with its bytes decoded."""
    value = value.replace("\r", "").replace("\n", "")
    if value.isascii():
        return value
    return decode(value.encode("utf-8", "surrogateescape"), "utf-8")[0]


def words(value: str) -> str:
    """Encoded words decoded (RFC 2047 §2); those next to each other are joined first, as their bytes may be split."""
    out: list[str] = []
    pending: tuple[str, bytes] | None = None
    position = 0
    for match in _WORD.finditer(value):
        between = value[position : match.start()]
        data = _word_bytes(match[2], match[3])
        if pending is not None and not between.strip() and pending[0] == match[1].lower():
            pending = (pending[0], pending[1] + data)
        else:
            if pending is not None:
                out.append(decode(pending[1], pending[0])[0])
                between = between if between.strip() else ""
            out.append(between)
            pending = (match[1].lower(), data)
        position = match.end()
    if pending is not None:
        out.append(decode(pending[1], pending[0])[0])
    out.append(value[position:])
    return "".join(out)


def _word_bytes(encoding: str, text: str) -> bytes:
    if encoding in "qQ":
        return quopri.decodestring(text.replace("_", " ").encode("utf-8", "replace"), header=False)
    packed = re.sub(r"[^A-Za-z0-9+/]", "", text)
    return binascii.a2b_base64(packed[: len(packed) - (len(packed) % 4 == 1)] + "==")
