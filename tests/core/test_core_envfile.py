"""One env file reads the same by the bridge, systemd and Docker, or it is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import envfile
from bridge.errors import ConfigurationError

AWKWARD = """\
# a comment, with = and "quotes"
BRIDGE_HASH=value # not a comment
BRIDGE_DOLLAR=$HOME ${HOME} $$ `id`
BRIDGE_EQUALS=a=b==c
BRIDGE_INSIDE=it's "inside" the value
BRIDGE_EMPTY=
BRIDGE_LIST=10.0.0.0/8, ::1/128,,x
BRIDGE_UNICODE=Lösenord åäö 日本 €

BRIDGE_SEMICOLON=a;b#c
BRIDGE_PERCENT=100% {sure} <b> & | ! ~ * ? [x]
"""


def systemd(text: str) -> dict[str, str]:
    """EnvironmentFile= as systemd.exec(5) describes it: a shell-like reader of quotes, escapes and continuations."""
    values: dict[str, str] = {}
    text = text.replace("\r\n", "\n")
    lines = iter(text.split("\n"))
    for line in lines:
        stripped = line.strip(" \t")
        if not stripped or stripped[0] in "#;":
            continue
        key, equals, rest = line.partition("=")
        if not equals:
            continue
        out, quote, position, pending = "", "", 0, rest.lstrip(" \t")
        while position < len(pending):
            char = pending[position]
            if char == "\\" and quote != "'":
                if position + 1 == len(pending):
                    pending, position = next(lines, ""), 0
                    continue
                position += 1
                out += pending[position]
            elif quote:
                quote, out = ("", out) if char == quote else (quote, out + char)
            elif char in "'\"" and not out:
                quote = char
            else:
                out += char
            position += 1
        values[key.strip(" \t")] = out if rest.rstrip(" \t").endswith(("'", '"')) else out.rstrip(" \t")
    return values


def docker(text: str) -> dict[str, str]:
    """``docker run --env-file``: everything behind the first ``=``, as it stands."""
    values: dict[str, str] = {}
    for line in text.removeprefix("\ufeff").split("\n"):
        bare = line.removesuffix("\r").lstrip(" \t")
        if not bare or bare.startswith("#"):
            continue
        key, equals, value = bare.partition("=")
        if any(blank in key for blank in " \t"):
            raise ValueError(key)
        if equals:
            values[key] = value
    return values


def test_awkward_values_read_alike() -> None:
    ours = envfile.parse(AWKWARD, name="x.env")
    assert ours == systemd(AWKWARD) == docker(AWKWARD)
    assert ours["BRIDGE_HASH"] == "value # not a comment"
    assert ours["BRIDGE_DOLLAR"] == "$HOME ${HOME} $$ `id`"
    assert ours["BRIDGE_EMPTY"] == ""
    assert len(ours) == 9


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("A='x'", "starts with a quote"),
        ('A="x"', "starts with a quote"),
        ("A= x", "blanks around"),
        ("A=x ", "blanks around"),
        ("A=a\\nb", "backslash"),
        (" A=x", "starts with a blank"),
        ("; x", "comments start with"),
        ("A", "not of the form"),
        ("A B=x", "letters, digits"),
        ("=x", "letters, digits"),
        ("export A=x", "letters, digits"),
        ("A=x\x07y", "control character"),
    ],
)
def test_what_would_be_read_differently_is_refused(line: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why) as caught:
        envfile.parse(f"B=1\n{line}\n", name="bad.env")
    assert str(caught.value).startswith("bad.env, line 2: ")


def test_twice_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="line 2: A is set twice"):
        envfile.parse("A=1\nA=2", name="x")


@given(st.lists(st.text(alphabet=st.sampled_from("AZ_09= \t#;'\"\\$xö\r\n"), max_size=12), max_size=6))
def test_whatever_is_accepted_reads_alike(lines: list[str]) -> None:
    text = "\n".join(lines)
    try:
        ours = envfile.parse(text, name="x")
    except ConfigurationError:
        return
    assert ours == systemd(text) == docker(text)
