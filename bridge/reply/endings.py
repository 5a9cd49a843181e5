"""What stands under an answer: signatures, "Sent from my …" lines, confidentiality footers, footers of lists."""

from __future__ import annotations

import re

from bridge.reply.lines import Lines
from bridge.reply.vocabulary import WORD, vocabulary

MAX_SIGNATURE = 16
"""Lines with words that a signature may have; what is longer is not cut."""
MAX_CONTACT = 90
"""Characters of a line of a contact card."""
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


_LINK = re.compile(r"[<(\[]? ?https?://[^\s<>()\[\]]+ ?[>)\]]?|\]\(|[\[\]]")
"""Addresses of pages, and the brackets that Markdown puts around what they are linked from."""


def is_device(bare: str) -> bool:
    """A "Sent from my …" line of a mobile client or of a program that advertises itself."""
    if len(bare) > MAX_DEVICE:
        return False
    folded = _LINK.sub(" ", bare).strip("*_-–— <>()[].~!").casefold()
    words = WORD.findall(folded)
    if not words:
        return False
    known = vocabulary()
    patterns = known.devices.get(words[0], ())
    if folded.endswith(known.device_ends) or folded.startswith(known.device_starts):
        patterns += known.devices[""]
    return any(
        folded.startswith(before) and folded.endswith(after) and len(folded) > len(before) + len(after)
        for before, after in patterns
    ) and (len(words) <= 7 or (len(words) <= 14 and not _PRODUCTS.isdisjoint(words[:7])))


def names_product(bare: str) -> bool:
    """The line names a device, an operating system or a mail program."""
    return not _PRODUCTS.isdisjoint(WORD.findall(bare.casefold()))


TRACKERS = frozenset("ᐧ")
"""What Streak and Mailtrack leave of their tracking pictures in plain text."""


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
            return at if words and not _goes_on(lines, at, stop) else stop
        words += bool(lines.bare[at])
        if words > MAX_SIGNATURE:
            break
    return stop


def _goes_on(lines: Lines, at: int, stop: int) -> bool:
    """Sentences follow a delimiter without its blank: a rule between parts of the text, as in Markdown."""
    if lines.raw[at] != "--":
        return False
    below = [bare for bare in lines.bare[at + 1 : stop] if bare]
    if is_device(below[0]) or is_disclaimer(below[0]):
        return False
    return below[-1][-1] in ".?!" and all(len(bare.split()) >= 5 for bare in below)


def disclaimer(lines: Lines, start: int, stop: int) -> int:
    """Where the confidentiality footer at the end of the lines ``start`` to ``stop`` begins; ``stop`` without one."""
    for at in range(max(start, stop - 40), stop):
        if is_disclaimer(lines.bare[at]) and (at == start or not lines.bare[at - 1] or is_rule(lines.bare[at - 1])):
            return at - 1 if at > start and is_rule(lines.bare[at - 1]) else at
    return stop


def is_rule(bare: str, least: int = 4) -> bool:
    """A line of at least so many dashes or the like."""
    return len(bare) >= least and not bare.strip("-_=*#~")


def is_link(bare: str) -> bool:
    """Nothing but addresses of pages."""
    return not _LINK.sub("", bare).strip() or (" " not in bare and bare.startswith("www."))


def is_scanner(bare: str) -> bool:
    """Begins what a virus scanner (Avast, AVG) appends to mail."""
    return len(bare) < 300 and _LINK.sub("", bare).strip().casefold().startswith(vocabulary().scanners)


def signoff(lines: Lines, start: int, stop: int) -> int:
    """Where the sign-off at the end of the lines ``start`` to ``stop`` begins; ``stop`` when there is none.

    It begins with "Best regards," or its like, or is a last paragraph that holds the author's ways of contact.
    Something must be left in front of it.
    """
    at, words = stop, 0
    found = stop
    while at > start and words <= MAX_SIGNATURE:
        at -= 1
        bare = lines.bare[at]
        if not bare:
            continue
        words += 1
        if opens_signoff(bare):
            if (words > 1 or not is_closing(bare)) and has_words(lines, start, at):
                found = at
                if is_closing(bare):
                    break
        elif _goes_on_below(bare) or (len(bare) > MAX_CONTACT and not is_disclaimer(bare)):
            break
    return found if found < stop else _contact_card(lines, start, stop)


_POSTSCRIPT = re.compile(r"(?:p\. ?s\.?|ps|p\. ?d\.|pd|nb|n\. ?b\.)(?: ?[:.)-]| )", re.IGNORECASE)


def _goes_on_below(bare: str) -> bool:
    """A postscript, a question or a sentence: what stands above it is not the end."""
    if _is_sentence(bare) and not is_disclaimer(bare):
        return True
    return bare[-1] in "?\uff1f\u061f" or _POSTSCRIPT.match(bare) is not None or bare.startswith("追伸")


_AND = re.compile(r" (?:and|&|\+|und|u\.|et|en|och|og|y|e|i|и|та|a|ve|ja) |, ")
"""Between thanks and a sign-off, in the languages that have one word for it."""
_AMBIGUOUS = ("best", "yours", "greetings")
"""Sign-offs that are words of the text too, unless they stand alone."""
_DASHED_NAME = re.compile(r"(?:-|–|—|~) ?[^\W\d_a-z][\w.'-]{1,20}(?: [^\W\d_a-z][\w.'-]{0,20}){0,2}")
"""``-Ann Smith``"""


def opens_signoff(bare: str) -> bool:
    """A sign-off alone in its line, in two languages, or with the name behind it: "Kind regards, Ann"."""
    if is_closing(bare) or _DASHED_NAME.fullmatch(bare):
        return True
    if len(bare) <= 200 and bare.casefold().startswith(vocabulary().closing_starts):
        return True
    if len(bare) > 60:
        return False
    front, comma, name = bare.partition(",")
    if comma and is_closing(front) and 0 < len(name.split()) <= 4:
        return True
    if "/" in bare:
        return all(is_closing(part) for part in bare.split("/"))
    return _is_closing_with_name(bare) or _is_closing_with_thanks(bare)


def _is_closing_with_thanks(bare: str) -> bool:
    """ "Many thanks and kind regards" """
    parts = _AND.split(bare.casefold())
    return len(parts) == 2 and len(parts[0].split()) <= 3 and is_closing(parts[1]) and parts[1] not in _AMBIGUOUS


def _is_closing_with_name(bare: str) -> bool:
    """ "Regards Tom Hale": no comma between, and nothing but names behind. "Best" begins too much else."""
    words = bare.split()
    for count in range(1, min(len(words), 5)):
        front, names = " ".join(words[:count]), words[count:]
        if is_closing(front) and front.casefold() not in _AMBIGUOUS:
            if len(front) < 3 and (len(names) > 1 or len(names[0]) > 8):  # "LG Eva", not "LG Electronics"
                return False
            return len(names) <= 3 and all(name[0].isupper() and name.strip(".").isalpha() for name in names)
    return False


def has_words(lines: Lines, start: int, stop: int) -> bool:
    """Something stands in the lines ``start`` to ``stop``."""
    return any(lines.bare[at] for at in range(start, stop))


_CONTACT = re.compile(r"\+?\d[\d ()./-]{6,}\d|[^\s@]+@[^\s@]+\.\w|(?:https?://|www\.)\S")


def _contact_card(lines: Lines, start: int, stop: int) -> int:
    """The last paragraphs, when they hold the author's ways of contact: at least two, and no prose."""
    found, contacts, words = stop, 0, 0
    end = stop
    while end > start and words <= MAX_SIGNATURE:
        if not lines.bare[end - 1]:
            end -= 1
            continue
        begin = end
        while begin > start and lines.bare[begin - 1]:
            begin -= 1
        paragraph = lines.bare[begin:end]
        words += len(paragraph)
        if is_rule(paragraph[0]):
            contacts += _contacts(paragraph)
            found = begin
            break
        if any(_APPOINTMENT.search(bare) for bare in paragraph):
            break
        if any(_is_prose(bare) for bare in paragraph) or not has_words(lines, start, begin):
            break
        contacts += _contacts(paragraph)
        end = begin
        if any(_holds_figures(bare) for bare in paragraph):
            found = begin
    return found if contacts >= 2 and found < stop and _is_card(lines, start, found) else stop


def _contacts(paragraph: list[str]) -> int:
    return sum(len(_CONTACT.findall(bare)) for bare in paragraph if len(bare) <= MAX_CONTACT)


def _is_card(lines: Lines, start: int, at: int) -> bool:
    """The card begins with a rule or a name, and the line above does not announce it."""
    first = lines.bare[at]
    above = next((lines.bare[row] for row in range(at - 1, start - 1, -1) if lines.bare[row]), "")
    if is_rule(first):
        return not _announces(above)
    return not (_announces(above) or _CONTACT.search(first) or ":" in first or first[0].isdigit())


def _announces(above: str) -> bool:
    """ "The new contact:", "Our address is": most languages' words for "is" and "to" are short."""
    if above.endswith((":", "\uff1a")):
        return above[-2:-1].isalpha()
    last = above.split()[-1:]
    return bool(last) and len(last[0]) <= 3 and last[0].isalpha() and last[0].islower()


_APPOINTMENT = re.compile(r"\d[:.]\d\d(?!\d)| @ ")


def _is_prose(bare: str) -> bool:
    if len(bare) > MAX_CONTACT:
        return True
    words = bare.split()
    if bare[-1] in ".?!" and len(words) > 4 and not (words[-1][0].isupper() and len(words[-1]) < 6):  # "Hale Ltd."
        return True
    return _is_sentence(bare)


def _is_sentence(bare: str) -> bool:
    """Ends with a word in lower case and a full stop; companies and addresses end with names."""
    words = bare.split()
    return len(words) > 2 and bare[-1] in ".!" and words[-1][:-1].isalpha() and words[-1].islower()


def _holds_figures(bare: str) -> bool:
    return bare[0] == "[" or "@" in bare or any(character.isdigit() for character in bare)


def footer(lines: Lines, start: int, stop: int) -> int:
    """Where the footer of a mailing list (Mailman, Google Groups) begins, under its line of dashes."""
    for at in range(max(start, stop - 12), stop - 1):
        if is_rule(lines.bare[at]) or lines.bare[at] in ("__", "--"):
            return at if any(is_list_footer(lines.bare[below]) for below in range(at + 1, min(at + 4, stop))) else stop
    return stop
