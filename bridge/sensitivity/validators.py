"""Named checks that a rule applies to what its pattern found: check digits, issuers' prefixes, the shape of a secret.

Check digits and birth dates are python-stdnum's work; each of its modules is imported when a rule first names it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from functools import partial
from importlib import import_module

from bridge.sensitivity import lexicon, shape
from bridge.sensitivity.worded import beside_address, worded, worded_alone, worded_once

Validator = Callable[[str], bool]

_STDNUM = {
    "luhn": "stdnum.luhn",
    "se_personnummer": "stdnum.se.personnummer",
    "no_fodselsnummer": "stdnum.no.fodselsnummer",
    "dk_cpr": "stdnum.dk.cpr",
    "fi_hetu": "stdnum.fi.hetu",
    "de_idnr": "stdnum.de.idnr",
    "nl_bsn": "stdnum.nl.bsn",
    "fr_nir": "stdnum.fr.nir",
    "es_dni": "stdnum.es.dni",
    "es_nie": "stdnum.es.nie",
    "it_codicefiscale": "stdnum.it.codicefiscale",
    "pl_pesel": "stdnum.pl.pesel",
    "us_ssn": "stdnum.us.ssn",
}


def _stdnum(module: str, text: str) -> bool:
    return bool(import_module(module).is_valid(text))


_CARD_LENGTHS = {"3": (14, 15, 16), "4": (13, 16, 19), "5": (16,), "2": (16,), "6": (16, 19)}


def _issued(digits: str) -> bool:
    """A prefix that a card network issues (ISO/IEC 7812): Visa, Mastercard, Amex, Diners, JCB, Discover, UnionPay."""
    four = int(digits[:4])
    return (
        digits[0] == "4"
        or 5100 <= four <= 5599
        or 2221 <= four <= 2720
        or digits[:2] in {"34", "37", "36", "38", "62", "65"}
        or 3528 <= four <= 3589
        or digits[:4] == "6011"
        or 3000 <= four <= 3059
        or 6440 <= four <= 6499
    )


def card(text: str) -> bool:
    """A payment card's number: an issued prefix, its length, the Luhn digit, and not one digit over and over."""
    digits = "".join(character for character in text if character.isdigit())
    if len(digits) not in _CARD_LENGTHS.get(digits[:1], ()) or len(set(digits)) < 2:
        return False
    return _issued(digits) and _stdnum("stdnum.luhn", digits)


def uk_nino(text: str) -> bool:
    """A UK National Insurance number: two allowed prefix letters, six digits, A to D (HMRC manual NIM39110)."""
    compact = "".join(text.split()).upper()
    prefix = compact[:2]
    barred = {"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"}
    return (
        len(compact) == 9
        and compact[2:8].isdigit()
        and compact[8] in "ABCD"
        and prefix not in barred
        and not set(prefix) & set("DFIQUV")
        and prefix[1] != "O"
        and prefix.isalpha()
    )


def fr_nir(text: str) -> bool:
    """A French social security number whose sex and month of birth are possible, too."""
    compact = "".join(character for character in text if character.isalnum())
    month = compact[3:5]
    return (
        compact[:1] in {"1", "2"}
        and (month.isdigit() and (1 <= int(month) <= 12 or 20 <= int(month) <= 42))
        and (_stdnum("stdnum.fr.nir", text))
    )


def entropy(text: str) -> float:
    """Shannon entropy of the characters, in bits per character."""
    counts = Counter(text).values()
    return -sum(count / len(text) * math.log2(count / len(text)) for count in counts)


def random_looking(text: str) -> bool:
    """At least 16 characters, letters and digits, over 3 bits of entropy per character, and no placeholder."""
    return (
        len(text) >= 16
        and any(c.isdigit() for c in text)
        and any(c.isalpha() for c in text)
        and entropy(text) > 3.0
        and not shape.is_placeholder(text)
    )


def secret(text: str) -> bool:
    """Something that was chosen or generated as a secret: no placeholder, no word, no address, date or version."""
    return shape.grade(text) >= shape.STRONG


def generated(text: str) -> bool:
    """Surely a password where nothing names it: three classes of characters, a sign among them, 8 to 24 long."""
    return (
        8 <= len(text) <= 24
        and "/" not in text
        and not text.endswith((":", "="))
        and not text[1:-1].isalnum()
        and any(character in "!#$^&*?~§_-@" for character in text)
        and shape.grade(text) == shape.SURE
    )


def mnemonic(text: str) -> bool:
    """Twelve words or more, all different but for one, none of them one that sentences are made of."""
    words = [word for word in text.lower().replace(",", " ").split() if word.isalpha()]
    small = lexicon.FUNCTION_WORDS | lexicon.COPULAS | lexicon.AND | lexicon.REMARKS | lexicon.STATES
    return len(words) >= 12 and len(set(words)) >= len(words) - 1 and not small & set(words)


def personal_number(text: str) -> bool:
    """Eight to fifteen digits, not all alike: what is named as a national identity number need not be typed right."""
    digits = [character for character in text if character.isdigit()]
    return 8 <= len(digits) <= 15 and len(set(digits)) > 2


def restricted_label(text: str) -> bool:
    """A Purview label that is switched on and whose name does not say that everybody may read it."""
    lowered = text.lower()
    return "_enabled=true" in lowered and not any(
        f"_name={name}" in lowered for name in ("public", "general", "non-business", "unrestricted")
    )


def not_placeholder(text: str) -> bool:
    """Anything but ``<password>``, ``****``, ``$VARIABLE`` and the like."""
    return not shape.is_placeholder(shape.trim(text))


def iban(text: str) -> bool:
    """An IBAN, whose last groups may be words of the sentence that the pattern took along."""
    groups = text.split()
    return any(_iban("".join(groups[:end])) for end in range(len(groups), max(0, len(groups) - 4), -1))


def _iban(text: str) -> bool:
    """Registered country, its length, ISO 7064's check digits. A country's own check digits are not asked for."""
    return bool(import_module("stdnum.iban").is_valid(text, check_country=False))


VALIDATORS: dict[str, Validator] = {
    **{name: partial(_stdnum, module) for name, module in _STDNUM.items()},
    "card": card,
    "iban": iban,
    "uk_nino": uk_nino,
    "fr_nir": fr_nir,
    "random": random_looking,
    "secret": secret,
    "generated": generated,
    "worded": worded,
    "worded_once": worded_once,
    "worded_alone": worded_alone,
    "beside_address": beside_address,
    "mnemonic": mnemonic,
    "personal_number": personal_number,
    "restricted_label": restricted_label,
    "not_placeholder": not_placeholder,
}
"""What a rule may name as ``validator``."""
