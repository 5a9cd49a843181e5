"""What stands under an answer: signatures, "Sent from my …" lines, confidentiality footers, footers of lists."""

from __future__ import annotations

from bridge.reply.lines import Lines
from bridge.reply.vocabulary import WORD, vocabulary

MAX_SIGNATURE = 16
"""Lines with words that a signature may have; what is longer is not cut."""
MAX_DEVICE = 120
"""Characters of a "Sent from my …" line."""

_PRODUCTS_NAMES = """
    iphone ipad ipod android samsung galaxy mobile phone smartphone tablet blackberry outlook mail yahoo gmail
    windows huawei xiaomi redmi nokia htc lg sony xperia oneplus oppo vivo motorola moto pixel honor realme
    bluemail proton protonmail spark superhuman hey mailspring thunderbird airmail edison newton polymail
    canary fairemail aqua tutanota tuta fastmail zimbra roundcube webmail gmx ios mac macbook watch handy
    telefon mobil mobile mobiltelefon smartphone tablette telephone puhelin mobiele telefoon app aol icloud
    samsungs surface lumia cell palm treo verizon wireless t tele2 telia orange laposte free sfr libero
    virgilio poczta onet wp seznam mailbird em client téléphone móvil celular telefone cellulare telefonino
    komórki telefonu айфона iphonea iphonen iphone'umdan почты mail.ru yandex яндекс 携帯 スマートフォン
"""
_PRODUCTS = frozenset(_PRODUCTS_NAMES.split())


def is_device(bare: str) -> bool:
    """A "Sent from my …" line of a mobile client or of a program that advertises itself."""
    if len(bare) > MAX_DEVICE:
        return False
    folded = bare.strip("*_-–— <>()[].").casefold()
    words = WORD.findall(folded)
    if not words:
        return False
    known = vocabulary().devices
    patterns = known.get(words[0], ()) + known.get("", ())
    return any(
        folded.startswith(before) and folded.endswith(after) and len(folded) > len(before) + len(after)
        for before, after in patterns
    ) and (len(words) <= 7 or not _PRODUCTS.isdisjoint(words))


def names_product(bare: str) -> bool:
    """The line names a device, an operating system or a mail program."""
    return not _PRODUCTS.isdisjoint(WORD.findall(bare.casefold()))


def is_delimiter(raw: str) -> bool:
    """The signature delimiter: ``-- `` (RFC 3676 §4.3), also without its blank, as clients that trim lines leave it."""
    return raw.rstrip("\r") in ("-- ", "--", "--\xa0")


def is_closing(bare: str) -> bool:
    """A sign-off: "Best regards," and its like, alone in the line."""
    return len(bare) <= 60 and bare.strip(",.!;:* \uff0c\u3002\uff01").casefold() in vocabulary().closings


def is_disclaimer(bare: str) -> bool:
    """Begins a confidentiality footer."""
    if len(bare) < 10:
        return False
    start = bare[:160].casefold().lstrip("*_ \"'(")
    return start.startswith(vocabulary().disclaimers)


def is_list_footer(bare: str) -> bool:
    """Belongs to the footer that a mailing list adds."""
    return any(phrase in bare[:300].casefold() for phrase in vocabulary().lists)


def signature(lines: Lines, start: int, stop: int) -> int:
    """Where the signature begins in the unquoted lines ``start`` to ``stop``; ``stop`` when there is none.

    The last delimiter counts. A delimiter with nothing in front of it, or too much behind it, is not one (a YAML
    document and a diff begin with dashes too).
    """
    words = 0
    for at in range(stop - 1, start - 1, -1):
        if is_delimiter(lines.raw[at]):
            return at if words else stop
        words += bool(lines.bare[at])
        if words > MAX_SIGNATURE:
            break
    return stop
