"""Looks at a store for the tests of the doctor: all is well but for what a test says."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from core import conditionfile, plant
from core.circuits import Circuit
from deploy.doctor.page import Checked, Grade
from deploy.doctor.rules import Seen
from store.checkups import Alarms, Checkup, Work
from store.deliveries import Fared
from store.watched import AgentSeen

NOW: Final = datetime(2026, 11, 21, 8, tzinfo=UTC)
MINUTE: Final = timedelta(minutes=1)
HOUR: Final = timedelta(hours=1)
PLANT: Final = """
[site.gh-al]
name = { zh = "厂", en = "Plant" }
jurisdiction = "cn-qh"
[site.gh-al.agent.gw-01]
[site.gh-al.agent.gw-02]
[site.gh-al.unit.potline-1]
name = { zh = "一", en = "One" }
kind = "potline"
indicators = ["al.liquid.ac"]
[site.gh-al.unit.potline-1.point.ac]
kind = "counter"
carrier = "electricity"
unit = "kWh"
accuracy_percent = "0.35"
[site.nx-fa]
name = { zh = "厂", en = "Plant" }
jurisdiction = "cn-nx"
[site.nx-fa.agent.gw-01]
[site.nx-fa.unit.furnace-1]
name = { zh = "二", en = "Two" }
kind = "submerged_arc_furnace"
[site.nx-fa.unit.furnace-1.point.ac]
kind = "counter"
carrier = "electricity"
unit = "kWh"
accuracy_percent = "0.35"
"""
AGENT: Final = AgentSeen(
    site="gh-al",
    agent="gw-01",
    heard_at=NOW - MINUTE,
    state="online",
    depth=0,
    oldest_at=None,
    clock_offset_ms=12.0,
    troubles={},
    missing=0,
    missing_since=None,
    lost=0,
)
KEYS: Final = (("gh-al", "gw-01"), ("gh-al", "gw-02"), ("nx-fa", "gw-01"))
WORK: Final = Work(
    workers=1,
    idle_sites=[],
    slots_marked=2,
    units_marked=1,
    oldest_mark_at=NOW - MINUTE,
    newest_figure_at=NOW - MINUTE,
    newest_reading_at=NOW - MINUTE,
    letters_open=0,
    letters_removed=0,
    asked_at=NOW,
)


def agents(**changed: AgentSeen | None) -> dict[tuple[str, str], AgentSeen]:
    """Return every declared agent, well but for those named `site__agent`; None: never heard."""
    found = {key: replace(AGENT, site=key[0], agent=key[1]) for key in KEYS}
    for name, one in changed.items():
        site, _, agent = name.replace("_", "-").partition("--")
        if one is None:
            found.pop((site, agent), None)
        else:
            found[site, agent] = one
    return found


def look(**changed: Any) -> Seen:
    """Return a look at a store where all is well but for the parts given."""
    work = replace(WORK, **changed.pop("work", {}))
    declared = changed.pop("plant", plant.parse(PLANT, "plant.toml"))
    checkup = Checkup(
        work=work,
        alarms=changed.pop("alarms", Alarms({}, 0, 0)),
        agents=changed.pop("agents", agents()),
        channels=changed.pop("channels", [Fared("city", Circuit())]),
        bounds=changed.pop("bounds", []),
        reports=changed.pop("reports", []),
    )
    disk = {"total_bytes": 100, "free_bytes": 50, "days_left": 400.0}
    status = {"policies": {"problems": []}, "disk": disk} | changed.pop("status", {})
    seen = Seen(
        now=NOW,
        plant=declared,
        point_ids={point: number for number, point in enumerate(sorted(declared.points))},
        checkup=checkup,
        status=status,
        quiet=changed.pop("quiet", {}),
        unheard=changed.pop("unheard", []),
        sources=changed.pop("sources", set()),
        conditions=conditionfile.catalogue(),
    )
    assert not changed, changed
    return seen


def bad(found: list[Checked]) -> list[tuple[str, Grade, str]]:
    """Return what is neither well nor a note."""
    quiet = {Grade.WELL, Grade.NOTE}
    return [(each.topic, each.grade, each.seen) for each in found if each.grade not in quiet]
