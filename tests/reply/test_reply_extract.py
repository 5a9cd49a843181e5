"""The contract of ``extract``: what it takes, what it returns, and how it chooses."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bridge.reply import Hints, Reply, ReplyLine, extract
from bridge.reply.lines import split

PIECES = st.sampled_from(
    [
        "Hello",
        "> quoted",
        ">> deeper",
        ">",
        "",
        " ",
        "-- ",
        "--",
        "On Tue, Mar 5, 2024 at 2:02 PM Ann <a@b.example> wrote:",
        "On Tue, Mar 5, 2024 at 2:02 PM Ann <",
        "a@b.example> wrote:",
        "> wrote:",
        "From: a@b.example",
        "Sent: Tuesday, 5 March 2024",
        "To: c@d.example",
        "Subject: x",
        "Received: from a",
        "-----Original Message-----",
        "Original Message",
        "---------- Forwarded message ---------",
        "Begin forwarded message:",
        "________________________________",
        "Sent from my iPhone",
        "Best regards,",
        "+44 20 7946 0991",
        "www.smith.example",
        "## reply above this line ##",
        "This e-mail and any attachments are confidential.",
        "northwind mailing list",
        ">>> Ann <a@b.example> 1/2/2024 10:00 >>>",
        "| a",
        "Den tis 5 mars 2024 kl 14:02 skrev Ann:",
        "2024年3月5日(火) 14:02 Ann <a@b.example>:",
        "one two three four five six",
        "\u200f\u202bשלום:\u202c",
        "text\r",
    ]
)
TEXTS = st.lists(st.one_of(PIECES, st.text(max_size=30)), max_size=25).map("\n".join)
HINTS = st.builds(
    Hints,
    markers=st.sampled_from([(), ("## reply",)]),
    names=st.sampled_from([(), ("Ann",)]),
    known_texts=st.sampled_from([(), ("one two three four five six\nHello\nquoted",)]),
    inline_quotes=st.sampled_from(["trim", "keep"]),
    cut_signature=st.booleans(),
    cut_device=st.booleans(),
    cut_disclaimer=st.booleans(),
    cut_signoff=st.booleans(),
    forwarded=st.sampled_from(["keep", "cut"]),
)
TAGS = st.sampled_from(
    [
        "<div>",
        "</div>",
        "<blockquote type=cite>",
        "</blockquote>",
        "<br>",
        "<hr>",
        "<p>",
        "<table><tr><td>",
        "</table>",
        "<div class=gmail_attr>",
        "<div id=divRplyFwdMsg>",
        "<pre>",
        "<ul><li>",
        "<ol><li>",
        "<a href=https://x.example>",
        "</a>",
        "<img src=cid:1 alt=x>",
        "<div class=yahoo_quoted>",
        "<span hidden>",
        "<b>From:</b>",
        "&nbsp;",
    ]
)
HTML = st.lists(st.one_of(TAGS, PIECES, st.text(max_size=10)), max_size=30).map("".join)


def check(reply: Reply) -> None:
    assert reply.text == "\n".join(line.text for line in reply.lines if line.kept)
    assert reply.elided == "\n".join(line.text for line in reply.lines if not line.kept)
    assert 0 <= reply.confidence <= 1
    assert all(line.reason and line.kind for line in reply.lines)
    assert not reply.text or (reply.text.splitlines() and reply.text == reply.text.strip("\n"))


@given(TEXTS, HINTS)
def test_kept_and_cut_lines_together_are_the_input(text: str, hints: Hints) -> None:
    reply = extract(text, None, hints=hints)
    check(reply)
    assert [line.text for line in reply.lines] == split(text)


@given(HTML, HINTS)
def test_html_of_any_kind_is_borne(html: str, hints: Hints) -> None:
    check(extract(None, html, hints=hints))


@given(TEXTS, HTML, HINTS)
def test_two_alternatives_of_any_kind_are_borne(text: str, html: str, hints: Hints) -> None:
    check(extract(text, html, hints=hints))


@given(st.lists(st.from_regex(r"[a-z ]{1,20}[.!?]?", fullmatch=True), max_size=8).map("\n".join))
def test_text_without_history_is_kept_whole(text: str) -> None:
    kept = extract(text, None).text
    assert [line.strip() for line in kept.split("\n") if line.strip()] == [
        line.strip() for line in text.split("\n") if line.strip()
    ]
    assert extract(kept, None).text == kept


def test_nothing_gives_nothing() -> None:
    assert extract(None, None) == Reply("", "", (), 1.0)
    assert extract("", None).text == ""
    assert extract(None, "").source == "html"


def test_the_reply_says_why() -> None:
    reply = extract("Yes\n\nOn 1/2/2024 10:00, Ann wrote:\n> ?", None)
    assert reply.lines == (
        ReplyLine("Yes", True, "text", "written by the author"),
        ReplyLine("", False, "blank", "blank beside what is cut"),
        ReplyLine("On 1/2/2024 10:00, Ann wrote:", False, "attribution", "quotation under the answer"),
        ReplyLine("> ?", False, "quote", "quotation under the answer"),
    )
    assert reply.source == "text"


def test_text_is_preferred_when_it_is_as_good() -> None:
    reply = extract("Yes\n\n> ?", "<div>Yes</div><blockquote>?</blockquote>")
    assert (reply.text, reply.source) == ("Yes", "text")


def test_html_is_used_when_the_text_has_nothing_to_say() -> None:
    assert extract("", "<p>Yes").source == "html"
    assert extract("\n \n", "<p>Yes").text == "Yes"


def test_html_is_used_when_its_evidence_is_better() -> None:
    text = "On 8 May 2024 17:34, Ann <ann@a.example> wrote:\n\nOld.\n\nNew."
    html = (
        "<div class=gmail_attr>On 8 May 2024 17:34, Ann &lt;ann@a.example&gt; wrote:</div>"
        "<blockquote>Old.</blockquote><p>New."
    )
    assert extract(text, html).text == "New."
    assert extract(text, "<p>").source == "text"


def test_an_attribution_with_nothing_above_and_nothing_quoted_keeps_what_follows() -> None:
    reply = extract("On 8 May 2024 17:34, Ann <ann@a.example> wrote:\n\nOld or new?", None)
    assert reply.text == "Old or new?"
    assert reply.confidence < 0.5


def test_a_quotation_alone_is_kept_unless_it_says_whose_it_is() -> None:
    alone = extract("> Only this.\n", None)
    assert (alone.text, alone.lines[0].reason) == ("> Only this.", "low confidence: nothing but a quotation")
    assert extract("> On 8 May 2024 17:34, Ann <ann@a.example> wrote:\n>> Only this.\n", None).text == ""
    assert extract("On 8 May 2024 17:34, Ann wrote:\n> Only this.\n", None).text == ""


def test_pictures_of_the_kept_part_are_named() -> None:
    html = '<p>See<img src="cid:a@x" alt=""><blockquote type=cite>Old<img src="cid:b@x"></blockquote>'
    assert extract(None, html).cids == ("a@x",)


def test_words_in_the_line_of_an_attribution_stay() -> None:
    for front in ("yes--- On Wed, Apr 4, 2012 at 3:59 PM, ", "yes On Wed, Apr 4, 2012 at 3:59 PM, "):
        assert extract(f"{front}me@domain.example wrote:\n> Hi", None).text.startswith("yes")


def test_words_in_front_of_a_day_of_one_digit_stay() -> None:
    for day in ("5. Januar 2024 10:00", "5 Januar 2024 10:00"):
        text = f"Das ist gut am {day} schrieb Ann <a@b.example>:\n> x"
        assert extract(text, None).text.startswith("Das ist gut")


def test_headers_in_one_line_that_begin_with_a_subject_need_a_date_or_an_address() -> None:
    kept = "Hello\n\nSubject: broken From: the office Date: today To: all\n\nBye"
    assert extract(kept, None).text == kept


def test_attribution_broken_by_a_blank_line_and_a_mailto() -> None:
    mail = "New\n\nOn Tue, 11 Apr 2017 at 10:07 PM John\n\n<\nmailto:John <john@a.example>\n> wrote:\nOld"
    assert extract(mail, None).text == "New"


def test_mark_of_the_quotation_before_the_end_of_a_wrapped_attribution() -> None:
    assert extract("New\n\nOn 1/2/2024 10:00 Ann <a@b.example\n> wrote:\n\n>> Old\n", None).text == "New"


def test_gmail_in_the_old_form_without_verb_and_address() -> None:
    assert extract("New\n\n2016-03-03 17:21 GMT+01:00 Ann Smith\n\nOld", None).text == "New"
    assert extract("New\n\n2013/11/1 Ann Smith <\na@b.example>\n\n> Old", None).text == "New"


def test_name_and_address_in_brackets_wrote() -> None:
    assert extract("New\n\nAnn Smith <a@b.example> wrote:\n\nOld", None).text == "New"
    kept = "New\n\nAnn at a@b.example wrote:\n\nNot old"
    assert extract(kept, None).text == kept


def test_dashes_around_an_attribution() -> None:
    assert extract("New\n\n------On 12/29/1987 17:32 PM, Ann Smith wrote-----\n\nOld", None).text == "New"


def test_the_two_label_block_needs_an_address() -> None:
    assert extract("New\n\nFrom: Ann <a@b.example>\nSubject: x\n\nOld", None).text == "New"
    kept = "New\n\nFrom: Ann\nSubject: x\n\nNot old"
    assert extract(kept, None).text == kept


def test_original_message_without_dashes_needs_headers() -> None:
    assert extract("New\n\nOriginal Message\nFrom: a@b.example\nDate: 1 May\n\nOld", None).text == "New"
    kept = "New\n\nOriginal message\nI mean the first one."
    assert extract(kept, None).text == kept


def test_separators_and_header_blocks_above_a_quotation_leave_what_follows() -> None:
    assert extract("-----Original Message-----\n> Old\n\nNew", None).text == "New"
    assert extract("From: a@b.example\nDate: 1 May\nTo: c\n> Old\n\nNew", None).text == "New"


def test_lines_that_a_client_wrapped_out_of_the_quotation() -> None:
    head = "New\n\nOn 1/2/2024 10:00, Ann wrote:\n"
    assert extract(head + "> See (http://a.example/b\n_nonce=3dd518)\n> old\n", None).text == "New"
    assert extract(head + "> Old\n --- \n> old\n", None).text == "New"
    assert extract(head + "> Old?\nYes.\n> Older?\nNo.\n", None).text == "New\n\n> Old?\nYes.\n> Older?\nNo."


def test_headers_in_one_line_of_html() -> None:
    html = "New<div><hr><b>From: bob@a.example</b> <b>Date: Thu, 24 Mar 2016 08:07</b></div><div>Old</div>"
    assert extract(None, html).text == "New"


def test_list_footer_needs_its_words() -> None:
    assert extract("New\n____\nnorthwind mailing list\nhttps://l.example", None).text == "New"
    kept = "New\n____\nsomething else\nmore"
    assert extract(kept, None).text == kept


def test_signature_delimiters_that_are_none() -> None:
    for kept in ("--\n", "-- \n\n", "a\n--\n" + "b\n" * 20 + "c"):
        assert extract(kept, None).text.split() == kept.split()


def test_long_lines_are_no_separators() -> None:
    for line in ("-" * 200, "=" * 500, "-" + "a" * 200 + "-", "a" * 95 + ":"):
        assert extract(f"New\n{line}", None).text == f"New\n{line}"


def test_lotus_notes_forwarding() -> None:
    mail = "FYI\n\n----- Forwarded by Ann Smith/SMITH on 05/03/2024 14:02 -----\n\nFrom: a@b.example\nTo: c\nDate: 1"
    assert extract(mail, None).text == mail


def test_no_more_attributions_are_looked_for_after_many_in_vain() -> None:
    mail = "nothing here:\n" * 2001 + "\nOn 1/2/2024 10:00, Ann <a@b.example> wrote:\n\nOld"
    assert extract(mail, None).text == mail


def test_quoted_line_with_a_colon_under_an_address_is_no_attribution() -> None:
    assert extract("Ask tom@hale.example\n> His words:\n> none\n", None).text == "Ask tom@hale.example"


def test_a_quotation_with_blank_quoted_lines_at_its_end() -> None:
    mail = "> One\n>\n> Two\n>\n>\nYes.\n> Three\nNo."
    assert extract(mail, None).text == "> Two\n>\n>\nYes.\n> Three\nNo."


def test_words_before_the_name_of_a_day_are_not_the_authors() -> None:
    for line in ("Ann Smith wrote at 10:00 on Mon:", "a@b.example on Mon 1 May 2024 10:00 wrote:"):
        assert extract(f"New\n\n{line}\n> Old", None).text == "New"


def test_a_quotation_above_the_wrapped_end_of_an_attribution_is_none_of_it() -> None:
    assert extract("New\n> Old one\n\n1/2/2024 10:00 Ann <a@b.example> wrote:\n> Old\n", None).text == "New"


HEADER = "From: a@b.example\nDate: 1 May\nTo: c@d.example\n"


def test_a_code_block_hides_what_looks_like_history_but_one_without_end_is_none() -> None:
    block = f"The template:\n```\n{HEADER}```\nfails."
    assert extract(block, None).text == block
    assert extract(f"New\n```\n{HEADER}Old", None).text == "New\n```"
    assert extract("New\n```\n" + "a\n" * 300 + f"```\n{HEADER}Old", None).text.endswith("```")


def test_quotation_behind_initials_needs_an_attribution() -> None:
    prompt = "It fails at 10:00:\n\nSQL> select 1;\n\nWhy?"
    assert extract(prompt, None).text == prompt
    bat = "Monday, November 25, 2024, 2:02:11 PM, you wrote:\n\nJB> One?\n\nYes.\n\nJB> Two?\n\nNo."
    assert extract(bat, None).text == "JB> One?\n\nYes.\n\nJB> Two?\n\nNo."


def test_bars_are_quotation_marks_only_under_an_attribution() -> None:
    table = "The rules:\n\n| a\n| b"
    assert extract(table, None).text == table
    mail = "New\n\nOn 1/2/2024 10:00, Ann wrote:\n| Old\n| older"
    assert extract(mail, None).text == "New"


def test_a_bottom_answer_keeps_the_whole_paragraph_that_asks() -> None:
    head = "On 1/2/2024 10:00, Ann wrote:\n> Hello Tom,\n>\n"
    assert extract(head + "> which port?\n> Thank you.\n>\n> Jon\n\n8443", None).text == (
        "> which port?\n> Thank you.\n\n8443"
    )
    assert extract(head + "> it works.\n\nThanks", None).text == "Thanks"


def test_what_is_asked_is_not_cut_as_a_contact_card() -> None:
    hints = Hints(cut_signoff=True)
    asked = "The new contact:\n\nKim Lee\n+44 20 7946 0991\nkim@lee.example"
    assert extract(asked, None, hints=hints).text == asked


SIGNED = "-----BEGIN PGP SIGNATURE-----\n\nabc\n-----END PGP SIGNATURE-----"


def test_messages_signed_in_clear_text() -> None:
    head = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n"
    assert extract(f"{head}\nNew\n\n{SIGNED}\n", None).text == "New"
    assert extract(f"New\n\n{SIGNED}", None).text == "New"
    assert extract(f"{head}New\n{SIGNED}", None).text == f"{head}New"
    cut = "New\n-----END PGP SIGNATURE-----"
    assert extract(cut, None).text == cut
    kept = extract(f"New\n\n{SIGNED}", None, hints=Hints(cut_signature=False)).text
    assert kept.endswith("-----END PGP SIGNATURE-----")


def test_footers_of_virus_scanners() -> None:
    for footer in (
        "Virus-free. www.avast.com",
        "--\nThis email has been checked for viruses by AVG.\nhttps://www.avg.example",
        "<https://www.avast.example/sig> Virenfrei.www.avast.com\n<https://www.avast.example/sig>",
    ):
        assert extract(f"New\n\n{footer}\n", None).text == "New"
    kept = "Virus-free. Is that so?\nI doubt it."
    assert extract(kept, None).text == kept


def test_a_rule_of_two_dashes_before_sentences_is_no_signature() -> None:
    kept = "first\n--\nThis is what the rest of my message says."
    assert extract(kept, None).text == kept
    assert extract("first\n-- \nThis is what my favourite poet once said.", None).text == "first"
    assert extract("first\n--\nSent from my phone, which is a Samsung Galaxy.", None).text == "first"


def test_forwarded_by_the_subject() -> None:
    mail = f"Look\n\n{HEADER}Subject: x\n\nBody"
    for subject in ("FW: x", "[EXT] Fwd: x", "WG: x", "转发：x"):
        assert extract(mail, None, hints=Hints(subject=subject)).text == mail
        assert extract(mail, None, hints=Hints(subject=subject, forwarded="cut")).text == "Look"
    for subject in ("RE: FW: x", "[unclosed FW: x", "Forward", "AW: x", ""):
        assert extract(mail, None, hints=Hints(subject=subject)).text == "Look"


def test_attributions_that_are_too_long_are_prose() -> None:
    prose = "New\n\n" + "and " * 46 + "on 1/2/2024 at 10:00 she wrote:\n\nNot old"
    assert extract(prose, None).text == prose
    long = "a" * 400 + " a@b.example"
    assert extract(f"{long}\n> wrote:\n> Old", None).text == long


def test_a_marker_under_a_quotation() -> None:
    assert extract("New\n\n> a\n\n## reply above this line ##\nOld", None).text == "New"
