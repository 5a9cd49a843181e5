"""Runs in an environment of its own, where the libraries are that we are compared with; imports nothing of ours.

Reads a JSON list of mails from standard input, writes a JSON list of ``{"text": …}`` or ``{"html": …}``.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from typing import Any

Mail = dict[str, str | None]
Found = dict[str, str]


def _plain(mail: Mail) -> str:
    return mail["text"] or mail["rendition"] or ""


def talon(mails: list[Mail]) -> list[Found]:
    """Mailgun's, without its machine-learned signatures."""
    quotations = import_module("talon.quotations")

    def one(mail: Mail) -> Found:
        if mail["text"] is None:
            return {"html": str(quotations.extract_from_html(mail["html"]))}
        return {"text": str(quotations.extract_from_plain(mail["text"]))}

    quotations.register_xpath_extensions()
    return [one(mail) for mail in mails]


def mail_parser_reply(mails: list[Mail]) -> list[Found]:
    """alfonsrv's, with all its languages."""
    languages = list(import_module("mailparser_reply.constants").MAIL_LANGUAGES)
    parser = import_module("mailparser_reply").EmailReplyParser(languages=languages)
    return [{"text": parser.parse_reply(text=_plain(mail)) or ""} for mail in mails]


def email_reply_parser(mails: list[Mail]) -> list[Found]:
    """Zapier's port of GitHub's."""
    parser = import_module("email_reply_parser").EmailReplyParser
    return [{"text": parser.parse_reply(_plain(mail))} for mail in mails]


def quotequail(mails: list[Mail]) -> list[Found]:
    """Close's."""
    library = import_module("quotequail")

    def shown(parts: list[tuple[bool, str]] | None, separator: str) -> str:
        return separator.join(text for expanded, text in parts or () if expanded)

    def one(mail: Mail) -> Found:
        if mail["text"] is None:
            return {"html": shown(library.quote_html(mail["html"], quote_intro_line=True), "")}
        return {"text": shown(library.quote(mail["text"], quote_intro_line=True), "\n")}

    return [one(mail) for mail in mails]


def unquotemail(mails: list[Mail]) -> list[Found]:
    """getfernand's."""
    library = import_module("unquotemail")

    def one(mail: Mail) -> Found:
        unquote = library.Unquote(mail["html"], mail["text"])
        return {"html": unquote.get_html() or ""} if mail["text"] is None else {"text": unquote.get_text() or ""}

    return [one(mail) for mail in mails]


def main() -> None:
    """Answer for the library that the command line names."""
    libraries: dict[str, Any] = {
        "talon": talon,
        "mail-parser-reply": mail_parser_reply,
        "email-reply-parser": email_reply_parser,
        "quotequail": quotequail,
        "unquotemail": unquotemail,
    }
    json.dump(libraries[sys.argv[1]](json.load(sys.stdin)), sys.stdout)


if __name__ == "__main__":
    main()
