"""Events in words: each kind that is written has some, with what it is about and why."""

import re
from typing import Any

import pytest

from boomerang.catalog.records.states import Event
from boomerang.catalog.records.words import in_words, tone
from tests.support.places import ROOT

TOLD: list[tuple[str, dict[str, Any], str, str]] = [
    ("student", {"state": "distilling", "step": 40}, "Distilling began, from step 40", "plain"),
    ("student", {"state": "ready", "step": 8}, "The student is ready", "good"),
    ("student", {"state": "failed", "reason": "out of memory"},
     "Distilling failed: out of memory", "bad"),
    ("family", {"state": "outdated", "commit": "abc"},
     "Its teacher has a newer commit, abc", "plain"),
    ("family", {"state": "rebuild", "force": True}, "A new generation was asked for", "plain"),
    ("member", {"size": "2B", "fact": "measured", "state": "yes", "perplexity": 9.5, "kl": 0.12},
     "2B is measured, perplexity 9.5, KL 0.12", "good"),
    ("member", {"size": "2B", "fact": "published", "state": "yes", "repo": "me/it"},
     "2B is published as me/it", "good"),
    ("task", {"size": "2B", "name": "arc", "failed": None,
              "metrics": [{"metric": "acc", "value": 0.5}]}, "2B was tried in arc: acc 0.5",
     "plain"),
    ("task", {"size": "2B", "name": "arc", "failed": "no data"},
     "2B has no result in arc: no data", "bad"),
    ("estimate", {"seconds": 7200, "devices": 2, "memory_bytes": 2**30},
     "It will take about 2.0 h on 2 devices and 1.00 GiB of memory", "plain"),
    ("want", {"kind": "publish", "what": "*", "state": "no", "reason": None},
     "Publishing every size waits", "plain"),
    ("measuring", {"state": "yes", "reason": None}, "Measuring is done", "good"),
    ("map", {"kept": [0, 2], "layers": 4, "reason": None}, "It keeps 2 of 4 layers: 0, 2",
     "plain"),
    ("not-kept", {"reason": "the Hub said 403"},
     "The student could not be kept on the Hub: the Hub said 403", "bad"),
    ("something-new", {}, "something new", "plain"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "payload", "words", "how"), TOLD)
def test_what_happened_is_said(kind: str, payload: dict[str, Any], words: str, how: str) -> None:
    event = Event(id=1, time=0.0, family="f", student=None, kind=kind, payload=payload)
    assert in_words(event) == words
    assert tone(event) == how


def test_every_kind_that_is_written_has_words() -> None:
    written = set[str]()
    for path in (*(ROOT / "boomerang/catalog").rglob("*.py"), *(ROOT / "workers").rglob("*.py")):
        text = path.read_text("utf-8")
        written |= set(re.findall(r'\.note\(\s*"([a-z-]+)"', text))
        written |= set(re.findall(r'student_note\)?[(,][^()"]*"([a-z-]+)"', text))
    assert {"student", "member", "not-taken"} <= written
    words = (ROOT / "boomerang/catalog/records/words.py").read_text("utf-8")
    left_out = {"checkpoint", "hashing"}
    assert {kind for kind in written - left_out if f'    "{kind}": ' not in words} == set()
