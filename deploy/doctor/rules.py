"""What the doctor makes of how the work stands: pure rules over one look at the store.

Thresholds are those of the conditions that alerts are raised by, so that the page and the alerts
agree. Promise: a plant behind dead agents is told as those agents, not as each of its points; what
is past and cannot be mended is a note, so that bad news always is something to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from core.circuits import State
from core.names import site_of
from deploy.doctor.page import Checked, Grade, lasting, named
from store import status

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    from core.conditions import Condition
    from core.plant import Plant
    from store.checkups import Checkup
    from store.watched import AgentSeen

DISK_OUT_DAYS: Final = 3.0
LEAST_FREE_SHARE: Final = 0.05  # of a disk whose growth is not known yet
CLOCKS_APART: Final = timedelta(seconds=5)
LETTERS_MANY: Final = 100


@dataclass(frozen=True, slots=True)
class Seen:
    """One look; `quiet` are points by number with their newest reading, `unheard` their ids.

    `sources` are agents that sent production facts: of them nothing else need be heard.
    """

    now: datetime
    plant: Plant
    point_ids: Mapping[str, int]
    checkup: Checkup
    status: Mapping[str, Any]
    quiet: Mapping[int, datetime]
    unheard: Sequence[str]
    sources: Collection[tuple[str, str]]
    conditions: Mapping[str, Condition]

    def bound(self, condition: str) -> timedelta:
        """Return from when on a condition is there; it is one that counts seconds."""
        return timedelta(seconds=float(self.conditions[condition].raise_at))


def judge(seen: Seen) -> list[Checked]:
    """Return what every rule says, in the order in which a reading takes its way."""
    return [told for rule in RULES for told in rule(seen)]


def workers(seen: Seen) -> Iterator[Checked]:
    """Judge who is at work."""
    work = seen.checkup.work
    if not seen.plant.sites:
        remedy = "declare a plant: `danhao plant apply plant.toml` (docs/plant-file.md)"
        yield Checked("plant", Grade.WARNING, "nothing is declared", remedy)
    if not work.workers:
        remedy = "start `danhao ingest run`; its log says what keeps it from working"
        yield Checked("workers", Grade.BROKEN, "no ingest worker is at work", remedy)
    elif work.idle_sites:
        what = f"no worker has {named(work.idle_sites)}"
        remedy = "look again in a minute; if it stays, read the log of `danhao ingest run`"
        yield Checked("workers", Grade.BROKEN, what, remedy)
    else:
        yield Checked("workers", Grade.WELL, f"{work.workers} at work, every site has one")


def clocks(seen: Seen) -> Iterator[Checked]:
    """Hold this machine's clock against the database server's."""
    apart = abs(seen.now - seen.checkup.work.asked_at)
    if apart > CLOCKS_APART:
        what = f"this machine's clock and the database server's are {lasting(apart)} apart"
        yield Checked("clock", Grade.BROKEN, what, "let both follow a time server (chrony, NTP)")
    else:
        yield Checked("clock", Grade.WELL, "this machine and the database server agree")


def readings(seen: Seen) -> Iterator[Checked]:
    """Judge whether readings arrive."""
    newest = seen.checkup.work.newest_reading_at
    if newest is None:
        remedy = "start an agent: `danhao edge check edge.toml`, then `danhao edge run edge.toml`"
        yield Checked("readings", Grade.WARNING, "no reading was ever stored", remedy)
        return
    age = seen.now - newest
    if age > seen.bound("agent_silent"):
        remedy = "see workers and agents; is the broker up, and does the ACL let them publish?"
        what = f"the newest reading is {lasting(age)} old"
        yield Checked("readings", Grade.BROKEN, what, remedy)
    else:
        yield Checked("readings", Grade.WELL, f"the newest is {lasting(age)} old")


def figures(seen: Seen) -> Iterator[Checked]:
    """Judge whether figures follow the readings."""
    work = seen.checkup.work
    if work.oldest_mark_at is not None:
        age = seen.now - work.oldest_mark_at
        if age > status.MOST_MARK_AGE:
            what = f"figures are {lasting(age)} behind their readings"
            remedy = "is a worker at work? then it has more than it can do: start another"
            yield Checked("figures", Grade.BROKEN, what, remedy)
            return
    if work.newest_figure_at is None:
        remedy = "has a unit an indicator, its points a carrier? `danhao plant check plant.toml`"
        yield Checked("figures", Grade.UNKNOWN, "no figure was computed yet", remedy)
    else:
        waiting = work.slots_marked + work.units_marked
        what = f"the newest is {lasting(seen.now - work.newest_figure_at)} old, {waiting} wait"
        yield Checked("figures", Grade.WELL, what)


# -- agents and their points ---------------------------------------------------------------------


def silent_agents(seen: Seen) -> dict[str, timedelta | None]:
    """Return declared agents that are not heard, with how long; None: they never were."""
    found: dict[str, timedelta | None] = {}
    for key in seen.plant.agents:
        known = seen.checkup.agents.get(key)
        if known is None and key in seen.sources:
            continue
        if known is None:
            found[".".join(key)] = None
        elif seen.now - known.heard_at > seen.bound("agent_silent"):
            found[".".join(key)] = seen.now - known.heard_at
    return found


def agents(seen: Seen) -> Iterator[Checked]:
    """Judge who is heard, and who should not be."""
    silent = silent_agents(seen)
    never = [name for name, span in silent.items() if span is None]
    gone = {name: span for name, span in silent.items() if span is not None}
    if gone:
        longest = max(gone.values())
        what = f"{named(gone)} not heard, the longest for {lasting(longest)}"
        yield Checked("agents", Grade.BROKEN, what, "check power and network of the gateway")
    if never:
        remedy = "start `danhao edge run` there; account and topic are named {site}.{agent}"
        yield Checked("agents", Grade.WARNING, f"{named(never)} never heard", remedy)
    strange = [".".join(key) for key in seen.checkup.agents.keys() - seen.plant.agents.keys()]
    if strange:
        remedy = "declare it in plant.toml, or take its account from the broker"
        yield Checked("agents", Grade.WARNING, f"{named(strange)} sends undeclared", remedy)
    if seen.plant.agents and not silent:
        yield Checked("agents", Grade.WELL, f"{len(seen.plant.agents)} declared, all are heard")


def outboxes(seen: Seen) -> Iterator[Checked]:
    """Judge what agents still hold, what is missing, and what they lost."""
    declared = {".".join(key): seen.checkup.agents[key] for key in _heard(seen)}
    for trouble in _TROUBLES:
        found = [name for name, each in declared.items() if trouble.applies(seen, each)]
        if found:
            what = f"{named(found)} {trouble.what}"
            yield Checked(trouble.topic, trouble.grade, what, trouble.remedy)
        elif trouble.else_well and declared:
            yield Checked(trouble.topic, Grade.WELL, trouble.else_well)
    depth = sum(each.depth or 0 for each in declared.values())
    yield Checked("outboxes", Grade.NOTE, f"agents hold {depth} envelopes that are not sent")


@dataclass(frozen=True, slots=True)
class _Trouble:
    """What may be wrong with an agent that is heard, and what is said where it is with none."""

    topic: str
    grade: Grade
    applies: Callable[[Seen, AgentSeen], bool]
    what: str
    remedy: str = ""
    else_well: str = ""


def _heard(seen: Seen) -> list[tuple[str, str]]:
    return [key for key in seen.plant.agents if key in seen.checkup.agents]


def _waits(seen: Seen, each: AgentSeen) -> bool:
    old = each.oldest_at is not None and seen.now - each.oldest_at > seen.bound("agent_outbox")
    return old and bool(each.depth)


def _has_hole(seen: Seen, each: AgentSeen) -> bool:
    since = each.missing_since
    return each.missing > 0 and since is not None and seen.now - since > timedelta(hours=1)


def _is_off(seen: Seen, each: AgentSeen) -> bool:
    off_ms = each.clock_offset_ms
    return off_ms is not None and abs(off_ms) / 1000 > seen.bound("agent_clock").total_seconds()


_TROUBLES: Final = (
    _Trouble(
        "outboxes",
        Grade.WARNING,
        _waits,
        "has old envelopes unsent",
        "check the link's bandwidth; is ingest at work?",
    ),
    _Trouble(
        "outboxes",
        Grade.WARNING,
        lambda _, each: any(each.troubles.values()),
        "reports trouble of its own",
        "read its log; run `danhao edge check` on the gateway",
    ),
    _Trouble(
        "holes",
        Grade.WARNING,
        _has_hole,
        "has envelopes that never came",
        "look at its outbox: `danhao edge outbox edge.toml`, and at `danhao ingest dead-letters`",
        "every envelope that agents sent has come",
    ),
    _Trouble(
        "clocks",
        Grade.WARNING,
        _is_off,
        "has a clock that is off",
        "let the gateway follow a time server (chrony, NTP)",
        "no agent says that its clock is off",
    ),
    _Trouble(
        "losses",
        Grade.NOTE,
        lambda _, each: each.lost > 0,
        "lost envelopes: its outbox was full or spoiled",
    ),
)


def points(seen: Seen) -> Iterator[Checked]:
    """Judge which points are quiet although an agent of their site is heard."""
    silent = silent_agents(seen)
    dead = {
        site
        for site in seen.plant.sites
        if all(".".join(key) in silent for key in seen.plant.agents if key[0] == site)
    }
    bound = seen.bound("point_silent")
    quiet = [
        point
        for point, number in seen.point_ids.items()
        if point in seen.plant.points
        and site_of(point) not in dead
        and number in seen.quiet
        and seen.now - seen.quiet[number] > bound
    ]
    unheard = [p for p in seen.unheard if p in seen.plant.points and site_of(p) not in dead]
    if quiet:
        what = f"{named(quiet)} without a reading for more than {lasting(bound)}"
        yield Checked("points", Grade.BROKEN, what, "check the meter and its wiring")
    if unheard:
        remedy = "is it in edge.toml, by the same id? `danhao edge check edge.toml`"
        yield Checked("points", Grade.WARNING, f"{named(unheard)} never had a reading", remedy)
    if seen.plant.points and not quiet and not unheard:
        told = f"{len(seen.plant.points)} declared, all that can be heard are"
        yield Checked("points", Grade.WELL, told)


# -- what waits, what was lost, what is full -----------------------------------------------------


def letters(seen: Seen) -> Iterator[Checked]:
    """Judge what could not be admitted."""
    work = seen.checkup.work
    if work.letters_open:
        grade = Grade.BROKEN if work.letters_open >= LETTERS_MANY else Grade.WARNING
        what = f"{work.letters_open} open: readings that could not be stored"
        remedy = "see why, mend and replay or discard them: `danhao ingest dead-letters --help`"
        yield Checked("letters", grade, what, remedy)
    else:
        yield Checked("letters", Grade.WELL, "none is open")
    if work.letters_removed:
        what = f"{work.letters_removed} open ones made room for newer ones and are gone"
        yield Checked("letters", Grade.NOTE, what)


def channels(seen: Seen) -> Iterator[Checked]:
    """Judge whether alerts reach those who must know."""
    told = seen.checkup.channels
    out = [each.channel for each in told if each.circuit.state is not State.CLOSED]
    gave_up = [each.channel for each in told if each.abandoned]
    if out:
        remedy = "`danhao alerts deliveries` says why, `danhao alerts try CHANNEL` tries it"
        yield Checked("channels", Grade.BROKEN, f"{named(out)} cannot be reached", remedy)
    if gave_up:
        what = f"{named(gave_up)} was given up for some alerts within a day"
        yield Checked("channels", Grade.BROKEN, what, "tell them by other means; mend the channel")
    if not told:
        remedy = "write a [[channel]] into danhao.toml (docs/channels.md), if anybody is to know"
        yield Checked("channels", Grade.UNKNOWN, "nothing was ever to be told", remedy)
    elif not out and not gave_up:
        yield Checked("channels", Grade.WELL, f"{named([c.channel for c in told])} can be reached")


def cases(seen: Seen) -> Iterator[Checked]:
    """Tell what alerts stand and judge what was not done in time."""
    alarms = seen.checkup.alarms
    firing = sum(alarms.firing.values())
    yield Checked("alerts", Grade.NOTE, f"{firing} stand, {alarms.cases_open} cases are open")
    if alarms.cases_lapsed:
        what = f"{alarms.cases_lapsed} wait for longer than they may"
        yield Checked("cases", Grade.WARNING, what, "open the page's list of cases")


def reports(seen: Seen) -> Iterator[Checked]:
    """Judge what the platforms of the national system still lack."""
    bound = seen.bound("report_behind")
    late = [
        f"{each.site} ({each.destination})"
        for each in seen.checkup.reports
        if seen.now - each.oldest_at > bound
    ]
    if late:
        what = f"{named(late)} behind by more than {lasting(bound)}"
        yield Checked("reports", Grade.WARNING, what, "`danhao national status` says why")


def bounds(seen: Seen) -> Iterator[Checked]:
    """Tell which bounds were ever run into; while it goes on, an alert stands."""
    for each in seen.checkup.bounds:
        if each.hits:
            told = f"{each.bound} was run into {each.hits} times: {each.detail}"
            yield Checked("bounds", Grade.NOTE, told)


def policies(seen: Seen) -> Iterator[Checked]:
    """Judge what keeps the readings in order every hour."""
    problems = seen.status["policies"]["problems"]
    for problem in problems:
        remedy = "`danhao db status` shows each; the worker's log says more"
        yield Checked("keeping", Grade.WARNING, problem, remedy)
    if not problems:
        yield Checked("keeping", Grade.WELL, "days are made ahead, packed and dropped on time")


def disk(seen: Seen) -> Iterator[Checked]:
    """Judge the room below the database."""
    found = seen.status["disk"]
    free, left = found["free_bytes"], found["days_left"]
    if free is None:
        what = "the database server's disk cannot be asked from here"
        yield Checked("disk", Grade.UNKNOWN, what, "run `danhao doctor` on that server as well")
        return
    share = free / found["total_bytes"]
    told = f"{share:.0%} free" + ("" if left is None else f", full in {left:.0f} days")
    remedy = "archive and drop old readings (`danhao db archive --drop`), or give it more room"
    if left is not None and left < DISK_OUT_DAYS:
        yield Checked("disk", Grade.BROKEN, told, remedy)
    elif share < LEAST_FREE_SHARE or (left is not None and left < status.LEAST_DAYS_LEFT):
        yield Checked("disk", Grade.WARNING, told, remedy)
    else:
        yield Checked("disk", Grade.WELL, told)


RULES: Final = (
    workers, clocks, readings, figures, agents, outboxes, points, letters, channels, cases,
    reports, bounds, policies, disk,
)  # fmt: skip
