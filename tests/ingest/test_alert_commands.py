"""`danhao alerts rehearse`: what a person reads, exit codes, errors that say what to do."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

import danhao
from core.alerts import Finding
from core.clock import to_us
from core.errors import Misconfigured
from core.periods import SLOT_US
from core.rehearsal import Closing
from core.rehearsed import Rehearsed, Ring, Use, Watched
from ingest import alert_commands
from store.rehearsals import Past
from tests.store import pastworld
from tests.store.pastworld import BEGIN, NOVEMBER, UNTIL

if TYPE_CHECKING:
    from pathlib import Path

    from store.connection import Pool

DAY_US = 96 * SLOT_US
NOW_US = to_us(UNTIL)
DRAFT = """
[[rule]]
force = "target"
period = "month"
hold_s = {hold_s}
keep_s = 300
open_severity = 3
closed_severity = 4
source = "a draft of the tests"
"""


@pytest.mark.parametrize(
    ("last", "length_us"), [("90d", 90 * DAY_US), ("36h", 36 * 4 * SLOT_US), ("2w", 14 * DAY_US)]
)
def test_a_span_ends_with_the_last_whole_slot(last: str, length_us: int) -> None:
    begin, end = alert_commands.span_of(last, None, NOW_US + 17)
    assert (end, end - begin) == (NOW_US, length_us)


def test_a_span_may_end_in_the_past() -> None:
    _, end = alert_commands.span_of("1d", "2026-11-01T00:07:00+08:00", NOW_US)
    assert end == to_us(NOVEMBER)


@pytest.mark.parametrize(
    ("last", "until", "told"),
    [
        ("90", None, "--last"),
        ("0d", None, "--last"),
        ("401d", None, "--last"),
        ("1d", "yesterday", "--until"),
        ("1d", "2027-01-01T00:00:00Z", "lies ahead"),
    ],
)
def test_a_span_that_cannot_be_is_told(last: str, until: str | None, told: str) -> None:
    with pytest.raises(Misconfigured, match=told):
        alert_commands.span_of(last, until, NOW_US)


def test_all_mistakes_of_a_span_are_told_at_once() -> None:
    with pytest.raises(Misconfigured) as caught:
        alert_commands.span_of("x", "y", NOW_US)
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("mandatory-day", "there are target-month, mandatory-month"),
        ("nothing", "neither a rule of limits .* nor a condition"),
        ("agent_silent", "agent_silence, which cannot be rehearsed: the store knows .* now"),
        ("data_quality", "quality, which cannot be rehearsed: .* not only slots"),
        ("forecast_law_month", "forecast, which cannot be rehearsed: .* stored nowhere"),
    ],
)
def test_a_rule_that_cannot_be_rehearsed_says_so(name: str, told: str) -> None:
    with pytest.raises(Misconfigured, match=told):
        alert_commands.find(name, None)


def test_a_draft_of_rules_or_conditions_may_be_tried(tmp_path: Path) -> None:
    file = tmp_path / "draft.toml"
    file.write_text(DRAFT.format(hold_s=7200), "utf-8")
    found = alert_commands.find("target-month", file)
    assert (found.rule.hold, found.rule.open_severity) == (timedelta(hours=2), 3)
    with pytest.raises(Misconfigured, match="there are target-month"):
        alert_commands.find("mandatory-month", file)
    file.write_text("[[rule]]\nforce = 'odd'\n", "utf-8")
    with pytest.raises(Misconfigured, match=r"draft.toml"):
        alert_commands.find("target-month", file)
    file.write_text("[condition.point_silent]\noff = true\n", "utf-8")
    with pytest.raises(Misconfigured, match="nor a condition"):
        alert_commands.find("point_silent", file)


def outcome(*, periodic: bool = True) -> tuple[Rehearsed, Past]:
    watched = [Watched("s.u", "law.one", "Asia/Shanghai")]
    ring = Ring(0, to_us(NOVEMBER) + 5, None, 2, to_us(BEGIN), Use.USEFUL)
    silent = [Closing(0, to_us(BEGIN), to_us(NOVEMBER), Finding.EXCEEDS)] if periodic else []
    found = Rehearsed(
        "mandatory-month", (to_us(BEGIN), NOW_US), watched, 960, 1, [ring], silent, silent, periodic
    )
    looks: Any = None
    return found, Past(watched, looks, hourly=1, every_us=4 * SLOT_US)


def test_a_person_reads_how_often_how_long_and_what_was_silent() -> None:
    text = "\n".join(alert_commands.lines(*outcome()))
    for words in (
        "mandatory-month from 2026-10-26T16:00:00Z to 2026-11-05T16:00:00Z",
        "1 of them looked at every 1 h",
        "1 times (severity 2: 1)",
        "1 still ringing at the end",
        "useful 1, false 0, unproven 0, open 0",
        "1 rings from 2026-10-31T16:00:00.000005Z",
        "1 of 1 that exceeded had no ring before",
        "2026-10-27 s.u law.one",
    ):
        assert words in text


def test_of_a_condition_no_use_is_said() -> None:
    text = "\n".join(alert_commands.lines(*outcome(periodic=False)))
    assert "of use" not in text
    assert "silent " not in text


async def test_a_rule_is_played_over_a_store(pool: Pool) -> None:
    """The target of 7500 kWh/t is below what the furnace needs: it rings all the time."""
    async with pool.connection() as link:
        world = await pastworld.begin(link)
        await world.fill(UNTIL)
        span = (to_us(BEGIN), NOW_US)
        _, found = await alert_commands.play(
            link, world.loaded, alert_commands.find("target-month", None), span
        )
        past, silences = await alert_commands.play(
            link, world.loaded, alert_commands.find("point_silent", None), span
        )
        _, days = await alert_commands.play(
            link, world.loaded, alert_commands.find("completeness", None), span
        )
    rang = {found.watched[ring.alert].subject for ring in found.rings}
    assert "s.furnace" in rang
    assert all(ring.use in set(Use) for ring in found.rings)
    assert {what.subject for what in silences.watched} == set(pastworld.ENERGY)
    assert past.is_periodic is False
    # A slot in fifty is lost, and one in fifty guessed: half an hour of nothing is rare, not never.
    assert 0 < len(silences.rings) < 60
    assert {what.subject for what in days.watched} == {"s.furnace", "s.line", "s.pots"}


def test_the_command_prints_and_its_code_says_whether_it_is_bad_news(
    database_url: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    store = ["--database-url", database_url]
    rehearse = ["alerts", "rehearse", "mandatory-month"]
    file = tmp_path / "plant.toml"
    file.write_text(pastworld.PLANT, "utf-8")
    assert danhao.main(["plant", "apply", str(file), *store]) == danhao.WELL
    capsys.readouterr()
    assert danhao.main([*rehearse, "--last", "2d", *store]) == danhao.WELL
    assert "0 times" in capsys.readouterr().out
    assert danhao.main([*rehearse, "--last", "2d", "--json", "--unit", "s.line", *store]) == 0
    item = json.loads(capsys.readouterr().out)
    assert (item["alerts"]["watched"], item["rings"], item["look_every_s"]) == (1, [], 900)
    assert danhao.main([*rehearse, "--unit", "s.no", "--site", "no", *store]) == danhao.WRONG_USE
    told = capsys.readouterr().err
    assert "'s.no' is not declared" in told
    assert "'no' is not declared" in told


@pytest.mark.parametrize(("rings", "silent", "code"), [(0, 0, 0), (11, 0, 1), (0, 1, 1)])
def test_a_flood_or_a_silence_is_bad_news(rings: int, silent: int, code: int) -> None:
    one = Ring(0, NOW_US - DAY_US, NOW_US, 1, to_us(BEGIN), Use.OPEN)
    closing = Closing(0, to_us(BEGIN), to_us(NOVEMBER), Finding.EXCEEDS)
    watched = [Watched("s.u", "law.one", "UTC")]
    found = Rehearsed(
        "x", (to_us(BEGIN), NOW_US), watched, 1, 1, [one] * rings, [], [closing] * silent
    )
    assert alert_commands.code_of(found) == code
