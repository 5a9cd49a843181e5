"""What an element's attributes say of its look: whether it is seen at all, quotes, stands tight, counts visits."""

from __future__ import annotations

from collections.abc import Mapping

Attributes = Mapping[str, str | None]

_HIDING = ("display:none", "visibility:hidden", "mso-hide:all", "color:transparent")
_INLINE = frozenset(("span", "p", "font", "a", "b", "i", "small"))


def flat_style(attributes: Attributes) -> str:
    """The ``style`` attribute in lower case without blanks; empty without one."""
    style = attributes.get("style")
    return "".join(style.lower().split()) if style else ""


def is_hidden(tag: str, attributes: Attributes, style: str) -> bool:
    """True for what a client does not show, as preview texts and copies for other devices are."""
    if "hidden" in attributes:
        return True
    if not style:
        return False
    if any(hiding in style for hiding in _HIDING) or _is_nought(style, "opacity"):
        return True
    if "overflow:hidden" in style and (_is_nought(style, "max-height") or _is_nought(style, "height")):
        return True
    # Layout tables set font-size:0 on cells to close gaps and set it again inside; inline elements hide with it.
    return tag in _INLINE and _is_nought(style, "font-size")


def _is_nought(style: str, name: str) -> bool:
    for declaration in style.split(";"):
        if declaration.startswith(name + ":"):
            value = declaration[len(name) + 1 :].removesuffix("!important").rstrip("pxemt%")
            return value.strip("0") in ("", ".") and value != ""
    return False


def is_quote(attributes: Attributes, style: str) -> bool:
    """A quoting block, unless its look says that it only indents (Gmail, Outlook on the web: no border, a margin)."""
    if (attributes.get("type") or "").lower() == "cite" or "quote" in (attributes.get("class") or ""):
        return True
    return not ("border:none" in style or "border:0" in style or "border-width:0" in style)


def is_tight(attributes: Attributes, style: str) -> bool:
    """Paragraphs without space around them, as Outlook writes one for each line."""
    return "Mso" in (attributes.get("class") or "") or "margin:0" in style or "margin-bottom:0" in style


def is_pixel(attributes: Attributes) -> bool:
    """A picture too small to be seen: it tells its server that the mail was opened."""
    return any((attributes.get(side) or "").strip() in ("0", "1", "0px", "1px") for side in ("width", "height"))


def is_emoji(alt: str) -> bool:
    """The alternative text is the character that the picture stands for."""
    return len(alt) <= 8 and not any(character.isascii() for character in alt)
