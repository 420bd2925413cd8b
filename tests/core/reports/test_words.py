"""Promises of words: every code that the store writes has words; only what binds is loud."""

from __future__ import annotations

from core import flags
from core.limits import Force
from core.reports import words
from core.reports.document import Tone
from core.verdicts import Verdict
from store import causes


def test_every_flag_verdict_force_and_cause_has_words_in_both_languages() -> None:
    assert set(words.FLAGS) == set(flags.words(-1))
    assert set(words.VERDICTS) == {one.value for one in Verdict}
    assert set(words.FORCES) == {one.value for one in Force}
    assert set(words.CAUSES) == set(causes.KINDS)


def test_a_new_code_is_printed_as_it_is() -> None:
    assert words.listed(words.FLAGS, ["gap", "brand_new"]).en == "has gaps, brand_new"
    assert words.listed(words.FLAGS, []) == words.NONE


def test_only_what_binds_is_coloured() -> None:
    tones = {
        (verdict.value, force.value): words.verdict(verdict.value, force.value).tone
        for verdict in Verdict
        for force in Force
    }
    assert tones["exceeds", "mandatory"] is Tone.OVER
    assert tones["exceeds", "target"] is Tone.WARN
    assert tones["exceeds", "reference"] is Tone.CALM
    assert {tone for (verdict, _), tone in tones.items() if verdict == "incomplete"} == {Tone.DOUBT}
    assert {tone for (verdict, _), tone in tones.items() if verdict == "within"} == {Tone.CALM}


def test_what_a_limit_binds_to_is_said_whole() -> None:
    assert words.force("mandatory", 3, lapsed=False).en == "mandatory, level 3"
    assert words.force("target", None, lapsed=True).zh == "目标·已过期"
