"""When in doubt, flag: whatever cannot be scanned is, and every option does what its description says."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import pipeline, sensitivity
from bridge.model import Attachment, Finding
from bridge.sensitivity import COULD_NOT_SCAN, Content, Options, Rules, scan
from bridge.sensitivity.fold import fold
from bridge.sensitivity.rules import Hit, Rule
from tests.sensitivity.test_sensitivity_rules import GOOD

CLEAN = Content(subject="Hello", posted="Thank you, it works now.", elided="")
SECRET = "The password is Qz7!kfp2"


class Broken:
    """A matcher that raises, with the mail's words in its mouth."""

    gate = ""

    def find(self, text: str) -> Iterator[Hit]:
        raise RuntimeError(text)


def found(content: Content, options: Options | None = None, rules: Rules | None = None) -> sensitivity.Scan:
    return scan(rules or sensitivity.load(), content, options or Options())


def test_a_clean_mail_is_not_flagged() -> None:
    assert found(CLEAN) == sensitivity.Scan(encrypted=False, findings=())


def test_a_rule_that_raises_flags_and_the_others_still_look() -> None:
    shipped = sensitivity.load()
    rules = Rules((Rule("broken", "probable", Broken(), frozenset({"body"})), *shipped.known))
    result = found(replace(CLEAN, posted=SECRET), rules=rules)
    assert result.encrypted
    assert Finding(COULD_NOT_SCAN, "certain", "body") in result.findings
    assert "password" in {finding.rule for finding in result.findings}
    assert "Qz7" not in repr(result)


def test_rules_that_cannot_even_be_asked_flag() -> None:
    class Unusable:
        def candidates(self, _scope: str, _text: str) -> Iterator[Rule]:
            raise MemoryError

    result = scan(Unusable(), CLEAN, Options())  # type: ignore[arg-type]
    assert result == sensitivity.Scan(encrypted=True, findings=(Finding(COULD_NOT_SCAN, "certain", "mail"),))


def test_more_than_any_letter_holds_flags() -> None:
    assert [f.rule for f in found(replace(CLEAN, posted="x" * 2_000_001)).findings] == [COULD_NOT_SCAN]
    many = found(replace(CLEAN, posted="password " * 6_000))
    assert COULD_NOT_SCAN in {f.rule for f in many.findings}
    rules = sensitivity.load("extend = false\n" + GOOD)
    assert [f.rule for f in found(replace(CLEAN, posted="BADGE-1234x " * 6_000), rules=rules).findings] == [
        COULD_NOT_SCAN
    ]


@pytest.mark.parametrize("defect", ["unparseable", "too_deep", "too_many_parts: 600", "html_too_large"])
def test_a_mail_of_which_words_were_not_seen_flags(defect: str) -> None:
    assert found(replace(CLEAN, defects=(defect,))).findings == (Finding(COULD_NOT_SCAN, "certain", "mail"),)
    assert not found(replace(CLEAN, defects=("missing_date",))).encrypted


def test_an_encrypted_attachment_of_a_real_mail_flags() -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("plan.txt", "x")
    data = bytearray(archive.getvalue())
    for encrypted in (False, True):
        data[6] |= encrypted  # general purpose bit 0 (APPNOTE 4.4.4)
        mail = EmailMessage()
        mail["From"] = "a@b.example"
        mail.set_content("see attached")
        mail.add_attachment(bytes(data), maintype="application", subtype="zip", filename="plan.zip")
        read = pipeline.read(mail.as_bytes())
        result = found(replace(CLEAN, attachments=read.attachments))
        assert result.encrypted is encrypted
        if encrypted:
            assert result.findings == (Finding(COULD_NOT_SCAN, "certain", 'attachment "plan.zip"'),)


def test_a_text_attachment_is_scanned_and_named() -> None:
    file = Attachment("1", "notes.txt", "text/plain", 9, "", text=f"x\n{SECRET}")
    assert (
        Finding("password", "certain", 'attachment "notes.txt"') in found(replace(CLEAN, attachments=(file,))).findings
    )


def test_the_tier_decides_what_counts() -> None:
    unsure = replace(CLEAN, posted="You can log in with admin / Fjord88lamp")
    assert found(unsure).encrypted
    assert found(unsure, Options(tier="certain")) == sensitivity.Scan(encrypted=False, findings=())
    assert found(replace(CLEAN, posted=SECRET), Options(tier="certain")).encrypted


def test_what_was_cut_counts_when_asked() -> None:
    cut = replace(CLEAN, elided=SECRET)
    assert not found(cut).encrypted
    assert {(f.where, f.posted) for f in found(cut).findings} == {("cut line 1", False)}
    assert found(cut, Options(quoted=True)).encrypted
    other = replace(CLEAN, other_text=f"Thank you, it works now.\n\n{SECRET}")
    assert {f.where for f in found(other).findings} == {"other text line 3"}


def test_domains_that_always_and_never_flag() -> None:
    secret = replace(CLEAN, posted=SECRET, sender_domain="News.example", recipient_domain="x.example")
    assert not found(secret, Options(never_domains=frozenset({"news.example"}))).encrypted
    assert found(secret, Options(never_domains=frozenset({"x.example"}))).findings, "still told"
    always = Options(always_domains=frozenset({"x.example"}), never_domains=frozenset({"news.example"}))
    assert found(replace(secret, posted="Hello"), always) == sensitivity.Scan(
        encrypted=True, findings=(Finding("always_domain", "certain", "header"),)
    )
    assert not found(CLEAN, Options(always_domains=frozenset({""}))).encrypted


@pytest.mark.parametrize(
    ("header", "flags"),
    [
        (("sensitivity", "Company-Confidential"), True),
        (("sensitivity", "Normal"), False),
        (("msip_labels", "MSIP_Label_1_Enabled=true; MSIP_Label_1_Name=Confidential"), True),
        (("msip_labels", "MSIP_Label_1_Enabled=true; MSIP_Label_1_Name=General"), False),
    ],
)
def test_fields_that_say_how_confidential_it_is(header: tuple[str, str], flags: bool) -> None:
    assert found(replace(CLEAN, headers=(header,))).encrypted is flags


@pytest.mark.parametrize("protection", ["smime_encrypted", "pgp_encrypted"])
def test_an_encrypted_mail_flags(protection: str) -> None:
    assert found(replace(CLEAN, protection=(protection,))).encrypted


@pytest.mark.parametrize("hidden", ["Qz7!kf\u200bp2x", "Ｑｚ７！ｋｆｐ２", "Q\u00adz7!kfp2", "\u202eQz7!kfp2"])
def test_folding_undoes_what_hides_a_secret(hidden: str) -> None:
    assert found(replace(CLEAN, posted=f"The pass\u200bword is {hidden}")).encrypted


def test_findings_stay_few() -> None:
    result = found(replace(CLEAN, posted=f"{SECRET}\n" * 100))
    assert sum(finding.rule == "password" for finding in result.findings) == 20


@given(st.text(max_size=400))
def test_any_text_is_scanned_and_masked_without_error(text: str) -> None:
    rules = sensitivity.load()
    result = found(replace(CLEAN, subject=text, posted=text, elided=text, other_text=text))
    assert COULD_NOT_SCAN not in {finding.rule for finding in result.findings}
    masked = sensitivity.mask(text, rules)
    assert len(masked) == len(fold(text))
    for span in sensitivity.spans(text, rules):
        assert set(masked.split("\n")[span.line - 1][span.start : span.end]) == {"•"}


@given(
    st.text(alphabet="aA1!-_ .:,@/#\n\"'", max_size=60), st.sampled_from(["password", "code", "sms", "login", "key"])
)
def test_any_text_around_a_keyword_is_read_without_error(text: str, keyword: str) -> None:
    result = found(replace(CLEAN, posted=f"{text}{keyword}{text}"))
    assert COULD_NOT_SCAN not in {finding.rule for finding in result.findings}
