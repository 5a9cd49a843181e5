"""Every mail of the corpus, through the whole pipeline."""

from __future__ import annotations

import json

import pytest

from bridge.mail import attachment_bytes, read
from tests.mail.corpus import CORPUS, NEEDED, OPTIONAL, Case, cases, seen, wanted

CASES = cases()


def test_every_mail_has_its_expectation_and_no_other_file_is_there() -> None:
    mails = {path.stem for path in CORPUS.glob("*.eml")}
    assert mails == {path.stem for path in CORPUS.glob("*.json")}
    assert {path.suffix for path in CORPUS.iterdir()} == {".eml", ".json", ".md"}
    assert len(mails) >= 120


def test_expectations_say_all_that_is_to_be_said() -> None:
    for case in CASES:
        assert NEEDED <= set(case.expected) <= NEEDED | OPTIONAL, case.name


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_mail(case: Case) -> None:
    assert json.dumps(seen(case), indent=1, ensure_ascii=False, sort_keys=True) == json.dumps(
        wanted(case), indent=1, ensure_ascii=False, sort_keys=True
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_paths_lead_to_the_bytes(case: Case) -> None:
    for item in read(case.raw).attachments:
        assert len(attachment_bytes(case.raw, item.path)) == item.size
