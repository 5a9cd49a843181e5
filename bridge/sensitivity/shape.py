"""How much a word looks like a secret, by its characters alone.

``grade`` orders words: nothing of a secret (an address, a date, a version, a placeholder), a plain word or number, a
mixed one, and one that hardly anybody writes for another reason.
"""

from __future__ import annotations

import re
from itertools import pairwise

NONE, WORD, NUMBER, MIXED, STRONG, SURE = range(6)
"""The grades. NUMBER: 4 to 12 digits. MIXED: letters and digits, short or common. STRONG: classes of characters mixed
as people and generators mix them in passwords. SURE: three classes or more, with a digit and a sign inside."""

_PLACEHOLDER = re.compile(
    r"[*xX•●.#_\-?·…=~+]+|<[^<>]*>|\[[^\[\]]*\]|\{+[^{}]*\}+|\$\{?\w+\}?|%\w+%?|\$\(.*|"
    r".*(?:redacted|removed|masked|hidden|placeholder|example|your[_-]?\w*|changeme|change-me|change_me|insert|dummy).*|"
    r"(?:dein|ihr|votre|ton|tu|su|din|ditt|sinun|jouw|uw|mio|tuo|twoje)[_-]\w+|"
    r"(?:\w+=)?(?:dein|ihr|euer|votre|din|ditt|jouw|uw|mein|mitt|mit|my)(?:e|es|en|er)?"
    r"(?:passwor[td]|kennwort|wachtwoord|lösenord|passord|adgangskode|kodeord|motdepasse|benutzer(?:name)?|schlüssel|token|key)|"
    r"(?:my|the)?[_-]?(?:password|passwd|secret|token|key|apikey|api[_-]key|lösenord|passwort|wachtwoord|"
    r"contraseña|hasło|motdepasse|salasana|passord|adgangskode)|"
    r"(?:\w*(?:user|login|name|naam|namn|navn|nom|nutzer)\w*[:/])?(?:pass\w*|wachtwoord|lösenord|kennwort|contraseña|hasło|adgangskode|motdepasse|mdp|pwd|pw)(?:@.*)?|"
    r"UGFzc3dvcmQ6|VXNlcm5hbWU6|"  # what SMTP AUTH LOGIN asks
    r"(?:abc|xyz|foo|bar|test|todo|tbd|null|none|nil|n/a|undefined|true|false|void|empty|string)",
    re.IGNORECASE,
)
_ADDRESS = re.compile(
    r"(?:[a-z][a-z0-9+.-]*://|www\.)\S*|\S+@[\w-]+(?:\.[\w-]+)+|"  # URL, mail address
    r"(?:[\w-]+\.)+(?-i:[a-z]{2,24}|[A-Z]{2,24})(?::\d+)?(?:/\S*)?|"  # host name, file name
    r"[\w.+-]+@localhost\S*|(?:root|admin|user|git|deploy|ubuntu|debian|www-data|pi|test|info|support)@[\w-]+|(?:process|os|self|this|config|settings|env|system|import|module)\.[\w.()\[\]]+|"
    r"[\w-]{1,63}\.(?:service|local|lan|php|"
    r"conf|log|txt|html?|js|css|json|ya?ml|xml|zip|gz|sql|pdf|png|jpe?g|env|key|pem)|"
    r"\d{1,3}(?:\.\d{1,3}){3}(?:[:/]\d+)?|(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}(?:/\d+)?|"  # IP addresses
    r"(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}|"  # MAC
    r"~?[\w.-]*(?:/[\w.@~#-]*){1,20}(?:\?\S*)?|[A-Z]:\\.*|[\w.+-]+@|"  # paths
    r"[?&]\w+=.*|[\w.-]+['\"]@\S+|[\w.-]+=[\"'].*|![a-z-]+|[\w.]*\(.*|"  # queries, markup
    r"\{?[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\}?",  # UUID
    re.IGNORECASE,
)
_FIGURE = re.compile(
    r"[+-]?\d+(?:[.,:/\-]\d+)*(?:st|nd|rd|th|:e|[.%])?|[*#\d]*[*#][\d*#]+|"  # number, date, time, phone, dial code
    r"[~<>±≥≤]*[$€£]?\d+(?:[.,]\d+)*(?:[-–]\d+)?[-\s]?(?:k|m|g|t|kb|mb|gb|tb|mib|gib|kib|ms|s|sec|min|h|hrs?|x|px|pt|am|pm|kr|sek|nok|dkk|"
    r"eur|usd|gbp|pln|zł|€|\$|%|°c|mbps|gbps|mbit|gbit|khz|mhz|ghz|bits?|chars?|kl|uhr|tkn|st|v|w|cm|mm|km)|"
    r"v?\d+(?:\.\d+){1,4}(?:[-.]?(?:rc|beta|alpha|lts|p|dev|deb|ubuntu|el)\d*\w*)?|"  # versions
    r"\d{4}-\d\d-\d\dT[\d:.+Z-]+|0x[0-9a-f]+|[A-Z]?\d{1,2}/\d{1,2}(?:/\d{2,4})?|"
    r"(?:q[1-4]|h[12]|kw|w|v|wk|uke|uge|week)\d{1,4}|\d{1,2}(?:jan|feb|mar|apr|ma[yji]|jun|jul|aug|sep|o[ck]t|nov|de[czs])\w*\d{0,4}",
    re.IGNORECASE,
)
_PRODUCT = re.compile(
    r"(?:windows|win|office|o|microsoft|ms|php|mysql|mariadb|postgres(?:ql)?|iphone|ipad|ios|galaxy|samsung|pixel|android|"
    r"chrome|firefox|safari|edge|outlook|exchange|server|centos|ubuntu|debian|rhel|python|node|java|ruby|perl|sha|md|aes|rsa|"
    r"wpa|wep|ipv|utf|iso|http|tls|ssl|smtp|imap|pop|oauth|web|s|ec|x|mp|h|ie|vb|vs|log4j|drupal|joomla|wordpress|wp|"
    r"magento|typo|plesk|cpanel|directadmin|thunderbird|redis|nginx|apache|covid|core|i|ddr|usb|cat|rj|tcp|udp|"
    r"port|base|bcrypt|argon|pbkdf|ed|b|p|dns|ns|mx|web|srv|vps|db|host|node|hotel|mail|app|prod|stage|dev|client|vm|"
    r"eth|enp\ds|ens|sd|nvme|rev|id|no|nr|ref|step|version|ver|v|r|lts|stretch|el|fedora|alma|rocky|debian)"
    r"[-_/ ]?\d{1,5}(?:[.\-/]\d{1,5}){0,3}(?:[a-z]{0,8})|"
    r"(?:2fa|mfa|3d|4g|5g|1und1|1password|7zip|7-zip|k8s|i18n|l10n|s/mime|a/b|ip/host|b2b|b2c|e2e|p2p|p12|pkcs\#?\d+|x509|x86(?:_64)?|"
    r"amd64|arm64|h264|h265|mp3|mp4|log4j2?|oauth2(?:\.0)?|vb6|o365|m365|f2b|base64|utf8mb4\w*|gtag|ga4|s3|ec2|rds|r2|k3s|mod_\w+|"
    r"[a-z]+_php\d|ea-php\d+|alt-php\d+|ed25519|rsa\d+|sha\d+sum|md5sum|argon2id?)",
    re.IGNORECASE,
)
_REFERENCE = re.compile(
    r"#\S*|[A-Z]{1,6}[-_/]?\d{3,}(?:[-/]\d+){0,4}|[A-Z]{2,6}(?:[-/]\d{2,})+|"  # ticket, order, invoice, error numbers
    r"[A-Z]{2}\d{9}[A-Z]{2}|1Z[0-9A-Z]{16}|"  # postal and parcel tracking
    r"[A-Z]{2}\d{2}(?:[A-Z0-9]{4}){2,7}[A-Z0-9]{0,3}|"  # IBAN
    r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+){1,8}|"  # CONSTANT_NAMES
    r"[A-Z]{2,4}(?:-[A-Z0-9]{2,10})+|"  # model numbers
    r"CVE-\d{4}-\d+|tkt_\w+|req_\w+|[0-9a-f]{7,12}|[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128}"
)
_IDENTIFIER = re.compile(r"(?:[A-Z]{1,3}|[a-z]+)(?:_[a-z]+)+_?\d*")
_SIGNS = frozenset("!@#$%^&*+=?~|§€£¤")
_TRIM_LEFT = "\"'`´‘’“”„«»‹›‚([{<*_"
_TRIM_RIGHT = "\"'`´‘’“”„«»‹›‚)]}>*_,;:.?…"
AROUND = frozenset(_TRIM_RIGHT)
"""What may stand behind a word without being part of it."""


def trim(word: str) -> str:
    """The word without the quotes, brackets and punctuation that a sentence puts around it."""
    return word.lstrip(_TRIM_LEFT).rstrip(_TRIM_RIGHT)


def is_placeholder(word: str) -> bool:
    """Stands for a secret without being one: ``<password>``, ``****``, ``$VARIABLE``, ``your_password``."""
    return _PLACEHOLDER.fullmatch(word) is not None


def grade(word: str, *, named: bool = False) -> int:
    """The grade of one word without white space; over 256 characters nothing is a secret that a person states.

    ``named`` says that the word stands where a secret is named (``password: …``): what looks like a product or a
    reference number is then taken for one.
    """
    if not 3 <= len(word) <= 256:
        return NONE
    if word.isdigit():
        return NUMBER if 4 <= len(word) <= 12 else NONE
    if word.isalpha():
        return _letters(word)
    if is_placeholder(word) or _FIGURE.fullmatch(word) or _ADDRESS.fullmatch(word):
        return NONE
    if not named and (_PRODUCT.fullmatch(word) or _REFERENCE.fullmatch(word)):
        return NONE
    return _mixture(word)


def _letters(word: str) -> int:
    """Letters alone: a word, unless capitals stand where no language and no brand puts them."""
    if word[1:].islower() or len(word) < 8:
        return WORD if len(word) >= 4 else NONE
    turns = sum(a.islower() and b.isupper() for a, b in pairwise(word))
    if not is_placeholder(word) and (turns >= 3 or (word.isupper() and len(word) >= 16)):
        return STRONG
    return WORD


def _mixture(word: str) -> int:
    lower = any(c.islower() for c in word)
    upper = any(c.isupper() for c in word)
    digit = any(c.isdigit() for c in word)
    sign = any(c in _SIGNS for c in word)
    other = any(not c.isalnum() and c not in _SIGNS for c in word)
    letters = lower or upper
    if not letters and not (sign and digit):
        return NONE
    if digit and letters:
        if len(word) < 6 or _IDENTIFIER.fullmatch(word):
            return MIXED
        return SURE if (sign and len(word) >= 7) or (lower and upper and len(word) >= 8) else STRONG
    if sign and not digit and not _inner_sign(word):
        return WORD if sum(c.isalpha() for c in word) >= 4 else NONE
    if sign:
        return STRONG if len(word) >= 7 else MIXED
    if lower and upper and len(word) >= 8 and sum(c.isupper() for c in word) >= 2:
        return MIXED
    return WORD if other and len(word) >= 4 else NONE


def _inner_sign(word: str) -> bool:
    """A sign stands between letters, not only where a sentence would end with it."""
    return any(c in _SIGNS for c in word.rstrip("!?~^*+=|")[1:])
