"""The readable rendition of HTML, and what stays readable of HTML that no browser would like."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.mail.dom import MAX_HTML, Event, events, is_ordinary
from bridge.mail.html import render, render_text
from bridge.reply import Hints, extract


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>One</p><p>Two<br>Three</p>", "One\n\nTwo\nThree"),
        ("<div>One</div><div><br></div><div>Two</div>", "One\n\nTwo"),
        ("<p>&nbsp;</p><div>One</div><p style='margin:0'>&nbsp;</p><div>Two</div>", "One\n\nTwo"),
        ("<ul><li>a<li>b<ul><li>c</ul></ul>", "- a\n- b\n  - c"),
        ("<ol><li>a<li>b</ol>", "1. a\n2. b"),
        ("<table><tr><th>a<td>b<tr><td>c<td>d</table>", "a | b\nc | d"),
        ("<li>alone", "- alone"),
        ("<pre>a\n  b\r\n</pre>", "a\n  b"),
        ("a<hr>b", "a\n________________________________\nb"),
        ("<blockquote>a<blockquote>b</blockquote></blockquote>c", "> a\n>\n>> b\n\nc"),
        ("<blockquote style='border:none'>a</blockquote>", "a"),
        ("a <a href='https://x.example/'>x.example</a>", "a x.example"),
        ("a <a href='https://x.example/p'>here</a>", "a here (https://x.example/p)"),
        ("a <a href='https://x.example/p'>here </a>", "a here (https://x.example/p)"),
        ("<a href='mailto:a@b.example?subject=x'>Ann</a>", "Ann (a@b.example)"),
        ("<a href='mailto:a@b.example'>a@b.example</a>", "a@b.example"),
        ("<a href='#top'>up</a> <a>none</a>", "up none"),
        ("a<img src=x alt='Logo'>b", "a[Logo]b"),
        ("a<img src=x alt=''>b", "ab"),
        ("a<img src=x alt='🎉'>", "a🎉"),
        ("<img src='cid:1' alt=''>", "[image]"),
        ("a<img src=x alt=t width=1 height=1>", "a"),
        ("a<img src=x alt=t style='display:none'>", "a"),
        ("a<style>b</style><script>c</script><!-- d -->", "a"),
        ("a<span style='display: none'>b<br><hr><ul><li>c</ul></span>d", "a\n\nd"),
        ("<div style='max-height:0;overflow:hidden'>a</div>b", "b"),
        ("<span style='font-size:0px'>a</span>b", "b"),
        ("<td style='font-size:0'>a</td>", "a"),
        ("<p hidden>a</p>b", "b"),
        ("a </b> b </x>", "a b"),
        ("", ""),
    ],
)
def test_rendition(html: str, text: str) -> None:
    assert render_text(html) == text


def test_pictures_and_marks_are_told() -> None:
    lines = render(
        "<div id=m>a<img src='cid:1'><hr></div><hr>b", lambda tag, attributes: attributes.get("id") or tag[:1]
    )
    assert [(line.mark, line.cids) for line in lines] == [("m", ("1",)), ("h", ()), ("h", ()), ("b", ())]


@pytest.mark.parametrize(
    "html",
    [
        "<div>" * 2000 + "words",
        "<div " + "".join(f"a{number}=b " for number in range(2000)) + ">words",
        "<p>" + "<b>" * 900 + "words<br>more</p>",
    ],
)
def test_out_of_the_ordinary_html_keeps_its_words(html: str) -> None:
    assert not is_ordinary(html)
    assert render_text(html).startswith("words")


@pytest.mark.parametrize("html", ["<p>x" * 2000, "<br>" * 2000, "a" * 5000, "<i>x</i>" * 2000, "</div>" * 2000])
def test_long_html_is_ordinary(html: str) -> None:
    assert is_ordinary(html)


def test_tokens_say_what_the_tree_says() -> None:
    html = "<p>a<br><img src=x><!-- c --></p>"
    deep = "<b>" * 900
    tokens = list(events(deep + html))[900:]
    assert [token[:2] for token in tokens] == [
        ("start", "p"),
        ("text", "a"),
        ("start", "br"),
        ("end", "br"),
        ("start", "img"),
        ("end", "img"),
        ("end", "p"),
    ]
    assert tokens[4] == Event("start", "img", {"src": "x"})
    assert [event[:2] for event in events("<p>a<!-- c -->b</p><!-- d -->")][-6:] == [
        ("start", "p"),
        ("text", "a"),
        ("text", "b"),
        ("end", "p"),
        ("end", "body"),
        ("end", "html"),
    ]


def test_what_is_beyond_the_bound_is_not_read() -> None:
    assert render_text("a" * MAX_HTML + "b").count("b") == 0


@given(st.text(alphabet="<>/ab=\"'! -&;#\n\xa0\x00", max_size=200))
def test_any_source_is_borne(html: str) -> None:
    for event in events(html):
        assert event.kind in ("start", "end", "text")
    assert isinstance(render_text(html), str)


def test_what_the_author_quoted_with_gmails_button_stays() -> None:
    quote = '<blockquote class="gmail_quote"><div>All the world is a stage.</div></blockquote>'
    assert extract(None, f"<div>As they say:</div>{quote}").text == "As they say:\n\n> All the world is a stage."
    assert extract(None, f'<div>New</div><div class="gmail_quote"><div>unknown tongue</div>{quote}</div>').text == (
        "New\nunknown tongue"
    )
    attributed = "<div>New</div><div>On 8 May 2024 17:34, Ann &lt;ann@a.example&gt; wrote:</div>"
    assert extract(None, attributed + quote).text == "New"


@pytest.mark.parametrize("element", ['id="Signature"', 'class="gmail_signature"', 'class="moz-signature"'])
def test_what_the_client_marks_as_signature_is_cut_with_the_sign_off(element: str) -> None:
    html = f"<p>New</p><div {element}><p>Ann Smith</p><p>Sales</p></div>"
    assert extract(None, html, hints=Hints(cut_signoff=True)).text == "New"
    assert extract(None, html).text == "New\n\nAnn Smith\n\nSales"
    alone = f"<div {element}>Ann Smith</div>"
    assert extract(None, alone, hints=Hints(cut_signoff=True)).text == "Ann Smith"
