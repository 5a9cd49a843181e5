"""What the elements of a mail's HTML say about who wrote what stands in them.

Clients put the message that is answered into elements of their own. They are evidence for the same classifier that
reads plain text, not verdicts: people type into quotations, and forwarding uses the same elements as answering.
"""

from __future__ import annotations

from collections.abc import Mapping

ATTRIBUTION = "attribution"
"""Says who wrote what follows."""
QUOTE = "quote"
"""Holds the message that is answered."""
REST = "rest"
"""From here on everything is the message that is answered."""
CONTAINER = "container"
"""Holds the attribution and the quotation (Gmail)."""
OWN = "own"
"""A quotation that Gmail makes for an answer and, outside its container, for who presses its quote button."""
FORWARD = "forward"
"""Holds a forwarded message."""
SIGNATURE = "signature"

_IDS = {
    "divrplyfwdmsg": REST,  # Outlook on the web, new Outlook, Outlook mobile
    "olk_src_body_section": REST,  # Outlook for Mac 2011 to 2019
    "mail-editor-reference-message-container": REST,  # Outlook mobile and Windows Mail
    "replysplit": REST,  # older Hotmail
    "stopspelling": REST,  # Hotmail, Windows Live Mail
    "appendonsend": "",  # Outlook on the web; the rule and the header block follow it
    "mailcontainer-quote": QUOTE,
    "isreplycontent": QUOTE,  # Huawei and NetEase mobile
    "ntescontent": "",
    "divtagdefaultwrapper": "",
    "signature": SIGNATURE,  # Outlook on the web
    "ms-outlook-mobile-signature": SIGNATURE,
    "applemailsignature": SIGNATURE,
    "applelinksignature": SIGNATURE,
}
_CLASSES = {
    "gmail_attr": ATTRIBUTION,
    "moz-cite-prefix": ATTRIBUTION,  # Thunderbird
    "moz-email-headers-table": FORWARD,
    "moz-forward-container": FORWARD,
    "gmail_signature": SIGNATURE,
    "moz-signature": SIGNATURE,
    "gmail_extra": "",
    "yahoo_quoted": QUOTE,
    "protonmail_quote": QUOTE,
    "tutanota_quote": QUOTE,
    "zmail_extra": QUOTE,  # Zoho
    "outlookmessageheader": REST,  # Outlook 2003
    "wordsection1-reply": REST,
    "freemail_quote": QUOTE,
    "quoted_original": QUOTE,
    "front-blockquote": QUOTE,
    "email_quote": QUOTE,
    "mail_quote": QUOTE,
    "b_quote": QUOTE,
    "mcntquote": QUOTE,
    "replyforwardcontainer": REST,
    "mailquote": QUOTE,
    "replied-message": QUOTE,
    "protonmail_signature_block": SIGNATURE,
    "superhuman_quote": QUOTE,
    "hey-quoted": QUOTE,
}
_OUTLOOK_RULES = (
    "border-top:solid#e1e1e11.0pt",
    "border-top:solid#b5c4df1.0pt",
    "border-top:solid#e1e1e11pt",
    "border-top:solid#b5c4df1pt",
    "border-top:1ptsolid#e1e1e1",
    "border-top:1ptsolid#b5c4df",
    "border-top:1ptsolidrgb(225,225,225)",
    "border-top:1ptsolidrgb(181,196,223)",
    "border-top:1pxsolid#e1e1e1;padding",
    "border-top:solid#b5c4df1.0pt",
)


def mark(tag: str, attributes: Mapping[str, str | None]) -> str:
    """Name what an element is, as ``bridge.mail.html.render`` asks for it; empty for nothing of note."""
    name = (attributes.get("id") or "").lower()
    if name:
        found = _IDS.get(name.removeprefix("x_").removeprefix("x_"))
        if found:
            return found
    classes = attributes.get("class")
    if classes:
        if "gmail_quote" in classes:
            return OWN if tag == "blockquote" else CONTAINER
        for word in classes.lower().split():
            found = _CLASSES.get(word.removeprefix("x_").removeprefix("x_"))
            if found:
                return found
    if tag == "div" and _is_outlook_rule(attributes.get("style")):
        return REST
    return ""


def _is_outlook_rule(style: str | None) -> bool:
    """The rule that Outlook for Windows (Word) draws above the header block of the message that is answered."""
    if not style or len(style) > 300:
        return False
    flat = style.lower().replace(" ", "").replace("\n", "")
    return any(rule in flat for rule in _OUTLOOK_RULES)
