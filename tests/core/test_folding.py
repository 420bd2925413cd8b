"""What receivers hear of an alert: never too much, never a word lost; stories as sentences."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import folding
from core.alerts import Notice
from core.folding import Cover, CoverKind, Event, Known, Say, Standing

START = datetime(2026, 11, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
QUIET = timedelta(hours=24)
SHELVED = Cover(CoverKind.SHELVED)
BEHIND = Cover(CoverKind.BEHIND)
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "alerts.md"
SHORT = {
    Notice.FIRING: "F",
    Notice.FINDING: "X",
    Notice.RESOLVED: "R",
    Notice.WITHDRAWN: "W",
    Notice.OVERDUE: "O",
    Notice.ESCALATED: "E",
}
NOTICES = {
    "f": Notice.FIRING,
    "x": Notice.FINDING,
    "r": Notice.RESOLVED,
    "w": Notice.WITHDRAWN,
    "o": Notice.OVERDUE,
    "e": Notice.ESCALATED,
}
KEEPS = {"s": SHELVED, "b": BEHIND, "u": None}


@dataclass
class Story:
    """One alert, an hour between two things that happen to it."""

    at: datetime = START
    cover: Cover | None = None
    raised: bool = False
    standing: Standing = field(default_factory=Standing)
    told: str = ""
    words: list[Notice] = field(default_factory=list)

    def play(self, events: str) -> str:
        """Play `f x r w o e` notices, `s b u` silenced, behind, uncovered, and `.` only time.

        `n`: nothing keeps it back from this moment on, as core.silences says of a finding.

        Of each letter what is told stands in the answer as a capital, `.` where nothing is.
        """
        for letter in events:
            self._happen(letter)
            self.at += HOUR
        return self.told

    def _happen(self, letter: str) -> None:
        word: Notice | None = None
        notice = NOTICES.get(letter)
        if letter == "n":
            self.cover = None
        elif notice is not None:
            self.raised = {"f": True, "r": False, "w": False}.get(letter, self.raised)
            step = folding.take(self.standing, notice, self.cover, self.at, QUIET)
            self.standing, word = step.standing, step.told
        else:
            self.cover = KEEPS.get(letter, self.cover)
            waited = folding.wait(self.standing, self.cover, self.at, QUIET, raised=self.raised)
            if waited is not None:
                self.standing, word = waited.standing, waited.told
        self.words += [word] if word else []
        self.told += SHORT[word] if word else "."


STORIES: Final = {  # what it says: what happens, what is told
    "raised and over": ("f.r", "F.R"),
    "grows": ("fxr", "FXR"),
    "over while shelved: nobody hears of it": ("sf.r", "...."),
    "still raised when the silence ends: told then": ("sf.u.r", "...F.R"),
    "told before, still raised when the silence ends: told again": ("fs.u.r", "F..F.R"),
    "whoever heard that it is raised hears that it is over, silence or not": ("fs.r", "F..R"),
    "the gravest word that was kept back is told at the end": ("fsx.u.r", "F...X.R"),
    "what stood behind another and is still there is told for itself": ("bf..u.r", "....F.R"),
    "what stood behind another and went with it is told to nobody": ("bf..ru", "......"),
    "what was told before it came to stand behind another is not told again": ("fb.u.r", "F....R"),
    "no escalation of what nobody was told of": ("sfe", "..."),
    "an escalation waits for the end of the silence": ("fse.u", "F...E"),
    "so does a deadline": ("fsou", "F..O"),
    "each word in its order": ("fox", "FOX"),
    "a clock of the case runs on after the alert is over": ("fro", "FRO"),
    "what was wrong is withdrawn after it is over": ("frw", "FRW"),
    "what nobody heard of needs no withdrawal": ("sfw", "..."),
    "what was withdrawn and is raised again is no hovering": ("fwf", "FWF"),
    "what was over in silence is told when it is raised again": ("sfruf", "....F"),
    "and so is what came back in silence": ("frsfruf", "FR....F"),
    "a finding of what came to stand behind another is told at the end": ("fbxu", "F..X"),
    "and a deadline": ("fbou", "F..O"),
    "over in silence while it hovers: told once it stayed over": (
        "frfsru" + 23 * ".",
        "FRF..." + 22 * "." + "R",
    ),
    "what hovers may grow": ("frfrfx", "FRF..X"),
    "also when it came back behind another": ("frfrbfux", "FRF....X"),
    "a deadline of what hovers is told while it is over": ("frfro", "FRF.O"),
    "whatever keeps the alert quiet": ("frfrso", "FRF..O"),
    "what hovers can be withdrawn": ("frfrw", "FRF.W"),
    "a deadline of what is over is told, whatever keeps the alert quiet": ("frso", "FR.O"),
    "what was withdrawn in silence is told when it is raised again": ("sfwuf", "....F"),
    "who knew hears of the withdrawal, silence or not": ("fsw", "F.W"),
    "what comes back in silence is told at its end": ("frsfu", "FR..F"),
    "a finding breaks through to those who knew nothing": ("sfnx", "...F"),
    "and to those who knew, as what it is": ("fsnx...", "F..X..."),
    "so does a deadline of what is grave": ("fsno...", "F..O..."),
}


@pytest.mark.parametrize(("happens", "told"), STORIES.values(), ids=STORIES)
def test_what_happens_leads_to_what_is_told(happens: str, told: str) -> None:
    assert Story().play(happens) == told


@pytest.mark.parametrize("row", folding.TABLE, ids=" ".join)
def test_without_any_row_of_the_table_some_story_is_told_otherwise(
    row: tuple[Known, Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    rest = {key: after for key, after in folding.TABLE.items() if key != row}
    monkeypatch.setattr(folding, "TABLE", rest)
    assert any(Story().play(happens) != told for happens, told in STORIES.values())


def test_an_alert_that_comes_and_goes_for_a_day_is_told_as_raised_and_over_twice_at_most() -> None:
    assert Story().play("frfrfrfrfrfr" + "." * 30).replace(".", "") == "FRFR"


def test_what_hovers_is_over_once_it_stayed_over_for_a_whole_day() -> None:
    story = Story()
    assert story.play("frfr") == "FRF."
    assert story.play("." * 23) == "FRF." + "." * 23
    assert story.play("...").replace(".", "") == "FRFR"


def test_what_comes_back_after_a_quiet_day_is_a_new_story() -> None:
    assert Story().play("fr" + "." * 30 + "fr").replace(".", "") == "FRFR"
    assert Story().play("fr" + "." * 30 + "fr")[-1] == "R"


def test_each_return_begins_the_quiet_day_anew() -> None:
    story = Story()
    story.play("frfr" + 20 * "." + "fr" + 20 * ".")
    assert story.told.replace(".", "") == "FRF"
    story.play(5 * ".")
    assert story.told.replace(".", "") == "FRFR"


@pytest.mark.parametrize("known", Known)
@pytest.mark.parametrize("event", Event)
def test_every_state_meets_every_event_in_the_table_or_stays_as_it_was(
    known: Known, event: Event
) -> None:
    after, say = folding.TABLE.get((known, event), (known, Say.NOTHING))
    heard = {Known.TOLD, Known.STALE, Known.ENDING}
    if say in {Say.RAISED, Say.OWED}:
        assert after is Known.TOLD
    if known not in heard and after in {Known.TOLD, Known.STALE, Known.ENDING}:
        assert say in {Say.NOTICE, Say.RAISED}, "nobody knows what nobody told"
    if known in heard and after not in heard:
        assert say in {Say.NOTICE, Say.ENDED}, "whoever heard of it hears that it is over"


def test_every_state_is_entered_and_left() -> None:
    entered = {Known.UNKNOWN} | {after for after, _ in folding.TABLE.values()}
    assert entered == set(Known)
    assert {before for before, _ in folding.TABLE} == set(Known)


# Notices come from a state machine of their own: raised, grown any number of times, over.
LETTERS = st.lists(st.sampled_from("fxrwoe.sbu"), max_size=60)


def lawful(letters: list[str]) -> str:
    """Return the letters without notices that an alert cannot give in its state."""
    kept, raised, ever = "", False, False
    for letter in letters:
        allowed = {"f": not raised, "x": raised, "r": raised, "w": ever, "o": ever, "e": ever}
        if allowed.get(letter, True):
            kept += letter
            raised = {"f": True, "r": False, "w": False}.get(letter, raised)
            ever = ever or raised
    return kept


def believed(words: list[Notice]) -> list[bool]:
    """Return after each word whether a receiver takes the alert for raised."""
    states = itertools.accumulate(
        words,
        lambda raised, word: (
            word not in {Notice.RESOLVED, Notice.WITHDRAWN}
            and (raised or word in {Notice.FIRING, Notice.FINDING})
        ),
        initial=False,
    )
    return list(states)[1:]


@given(LETTERS)
def test_once_nothing_keeps_it_back_receivers_believe_what_is_so(letters: list[str]) -> None:
    story = Story()
    story.play(lawful(letters))
    story.play("u" + "." * 25)
    assert (believed(story.words) or [False])[-1] is story.raised
    assert story.standing.known in {Known.UNKNOWN, Known.TOLD, Known.OVER}


@given(LETTERS)
def test_nobody_hears_the_end_of_what_they_never_heard_of(letters: list[str]) -> None:
    story = Story()
    story.play(lawful(letters))
    before = [False, *believed(story.words)]
    for raised, word in zip(before, story.words, strict=False):
        if word is Notice.RESOLVED:
            assert raised
        if word is Notice.FINDING:
            assert raised


@given(LETTERS)
def test_what_is_silent_all_the_time_is_told_to_nobody(letters: list[str]) -> None:
    story = Story(cover=SHELVED)
    story.play(lawful([each for each in letters if each not in "sbu"]))
    assert story.words == []


@given(st.lists(st.booleans(), max_size=200), st.integers(1, 20))
def test_in_any_day_at_most_two_stories_are_told_however_it_hovers(
    raised: list[bool], minutes: int
) -> None:
    story, times = Story(), []
    for want in raised:
        before = len(story.words)
        story._happen("f" if want else "r") if want is not story.raised else story._happen(".")
        times += [story.at] * (len(story.words) - before)
        story.at += timedelta(minutes=minutes)
    day = [at for at in times if at - START < QUIET]
    assert len(day) <= 4


def test_the_picture_in_the_document_is_drawn_from_the_table() -> None:
    assert folding.diagram() in DOCUMENT.read_text("utf-8")
