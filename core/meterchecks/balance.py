"""Main against sub-meters: which meter does not fit, since when, by how much, and how sure.

Every meter and every day on which an error may have begun, at once or slowly, is asked
(core.meterchecks.evidence); each meter's own past helps to tell which it was (core.meterchecks.
past). The best is named only where a change is all but certain and the other meters together are
less likely than one in twenty; else all that may be it are told. After a suspect the rest is asked
again with its error taken out, so two bad meters do not hide each other.

What was wrong before the window began has no past to be held against. Whole days are asked once
for errors that large; hours are not, because whole counts and seconds between readings look there
like errors of the meter whose load hardly moves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from core.meterchecks import evidence, past
from core.meterchecks.evidence import Change, Data, Sums
from core.meterchecks.rows import DAY_HOURS, data_of, intervals, joined

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.exactmath import Floats
    from core.meterchecks.evidence import Noise, Scan
    from core.meterchecks.network import Network

    Course = tuple[str, int, Floats]

LEAST_DAYS: Final = 21
LEAST_KNOWN: Final = 0.5  # of the intervals that there could be
FIRST_ONSET_DAY: Final = 7  # before it there is no past to compare with
LAST_ONSET_DAYS: Final = 2  # a change must have lasted so long
MOST_SLOPES: Final = 45  # days from which an error may grow, evenly apart in a longer window
LEAST_SLOPE_DAYS: Final = 7
MOST_SUSPECTS: Final = 4
PRIOR_OF_ANY: Final = 0.01  # how likely any change in the window is before a look at the data
LEAST_SURE: Final = 0.9999  # of a change at all, before anything is said
LEAST_NAMED: Final = 0.95  # of one meter among all, before it is named
LEAST_SIZE: Final = 0.003  # smaller errors lie within every class: nobody is called out for them
LEAST_UNMETERED: Final = 0.01  # of a main: what nobody meters moves by less all the time
# An error that was there before the window: what a class allows, more at low load, is smaller.
LEAST_ALWAYS: Final = 0.08
PASSES: Final = 2  # of noise and suspect in turn

STEP, SLOPE, ALWAYS = "step", "slope", "always"


@dataclass(frozen=True, slots=True)
class Suspect:
    """A meter that does not fit: `error` relative to the truth, from `since_day` of the window on.

    `meter` is None where it is no meter but something that nobody meters behind `node`: then the
    error is a share of its main. `sure` is the share of likelihood on it; `others` are the meters
    that may be it as well, likeliest first. `excess_kwh` is what it shows too much since then.
    """

    meter: int | None
    node: int | None
    course: str
    since_day: int
    error: float
    deviation: float
    any_change: float
    sure: float
    others: tuple[int, ...]
    excess_kwh: float = 0.0

    @property
    def is_named(self) -> bool:
        """Tell whether this meter and no other is meant."""
        return self.sure >= LEAST_NAMED


@dataclass(frozen=True, slots=True)
class Sharpness:
    """The least relative error of a meter from mid-window on that is found, and named."""

    found: float
    named: float


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked of a network: courses [course] with `weights` [course, day].

    `moved` and `spread` [course, meter] say how each meter's own level has gone along them.
    """

    network: Network
    courses: Sequence[Course]
    weights: Floats
    moved: Floats
    spread: Floats


@dataclass(frozen=True, slots=True)
class Outcome:
    """What balances say of a network; without intervals enough, `why_not` says so."""

    suspects: tuple[Suspect, ...]
    sharpness: tuple[Sharpness, ...]
    interval_hours: int
    intervals: int
    days: int
    why_not: str | None = None


def check(network: Network, hourly_kwh: Floats) -> Outcome:
    """Check a network over whole days of hours [hour, meter], NaN where energy is not known."""
    days = len(hourly_kwh) // DAY_HOURS
    hourly_kwh = hourly_kwh[: days * DAY_HOURS]
    hours, energy = intervals(network, hourly_kwh)
    known = int(np.isfinite(energy).all(axis=1).sum())
    if days < LEAST_DAYS or known < LEAST_KNOWN * days * DAY_HOURS / hours:
        return Outcome((), (), hours, known, days, "too_little_known")
    before = _always(network, hourly_kwh, days)
    data = data_of(network, energy, hours, days, steady=True)
    asked = _asked(network, energy, _courses(days))
    found, sums = _settled(asked, data, before)
    suspects = tuple(
        replace(suspect, excess_kwh=_excess_kwh(energy, hours, change, suspect))
        for change, suspect in found
    )
    sharpness = _sharpness(asked, sums, [change for change, _ in found])
    return Outcome(suspects, sharpness, hours, known, days)


def _asked(network: Network, energy: Floats, courses: Sequence[Course]) -> _Asked:
    weights = np.array([one[2] for one in courses])
    level = past.levels(energy, len(energy) // weights.shape[1])
    return _Asked(network, courses, weights, *past.moved(level, weights))


def _always(network: Network, hourly_kwh: Floats, days: int) -> list[tuple[Change, Suspect]]:
    """Return the large errors that have been there for the whole window, from whole days.

    What began within it is asked beside them, so that it is not taken for one of them.
    """
    daily = joined(hourly_kwh, DAY_HOURS)
    if np.isfinite(daily).all(axis=1).sum() < LEAST_DAYS:
        return []
    data = data_of(network, daily, DAY_HOURS, days, steady=False)
    sums = Sums(data.whitened([np.zeros(0)] * len(data.balances)))
    asked = _asked(network, daily, [(ALWAYS, 0, np.ones(days)), *_courses(days)])
    found: list[tuple[Change, Suspect]] = []
    while len(found) < MOST_SUSPECTS and all(one.is_named for _, one in found):
        more = _next(asked, sums, [change for change, _ in found])
        if more is None:
            break
        found.append(more)
    return [one for one in found if one[1].course == ALWAYS]


def _settled(
    asked: _Asked, data: Data, before: Sequence[tuple[Change, Suspect]]
) -> tuple[list[tuple[Change, Suspect]], Sums]:
    """Find suspects and learn what nobody meters in turn: an error looks like a long memory.

    The likeliest error is taken out before the memory is learned for the first time; what comes
    after the first suspect must be clear with nothing taken out but what was found.
    """
    found = list(before)
    if all(one.is_named for _, one in found):
        known = [change for change, _ in found]
        sums = _whitened(data, [*known, _likeliest(data, asked, known)])
        first = _next(asked, sums, known)
        found += [] if first is None else [first]
    while True:
        known = [change for change, _ in found]
        # An hour is whitened by those before it, so a step is blurred where it begins.
        begun = [one.since_day for _, one in found if one.course == STEP]
        sums = _whitened(data.without(begun), known)
        if len(found) >= MOST_SUSPECTS or not all(one.is_named for _, one in found):
            break
        more = _next(asked, sums, known)
        if more is None:
            break
        found.append(more)
    return found, sums


def _likeliest(data: Data, asked: _Asked, known: Sequence[Change]) -> Change:
    """Return the error that explains most while nothing is known of what is left over."""
    plain = Sums(data.whitened([np.zeros(0)] * len(data.balances)))
    scan = plain.fit(evidence.first_noise(plain.data), known).scan(asked.weights)
    course, column = np.unravel_index(int(scan.evidence.argmax()), scan.evidence.shape)
    return Change(int(column), asked.weights[course])


def _whitened(data: Data, known: Sequence[Change]) -> Sums:
    plain = Sums(data.whitened([np.zeros(0)] * len(data.balances)))
    left = plain.fit(_noise(plain, known), known).residuals(data)
    return Sums(data.whitened([evidence.memory_of(one) for one in left]))


def _courses(days: int) -> list[Course]:
    """Return how an error may come: at once on a day, or growing from a day until the last."""
    day = np.arange(days)
    found: list[Course] = []
    apart = max(days // MOST_SLOPES, 1)
    for onset in range(days - LAST_ONSET_DAYS, FIRST_ONSET_DAY - 1, -1):
        found.append((STEP, onset, (day >= onset).astype(np.float64)))
        if days - onset >= LEAST_SLOPE_DAYS and onset % apart == 0:
            grown = np.clip((day - onset + 0.5) / (days - onset), 0.0, 1.0)
            found.append((SLOPE, onset, grown))
    return found


def _next(asked: _Asked, sums: Sums, known: Sequence[Change]) -> tuple[Change, Suspect] | None:
    """Return the most likely error that is not known yet; None where none is all but certain."""
    weights = asked.weights
    noise = _noise(sums, known)
    for _ in range(PASSES):
        scan = sums.fit(noise, known).scan(weights)
        allowed = _allowed(asked, scan, known)
        course, column = np.unravel_index(int(allowed.argmax()), allowed.shape)
        best = Change(int(column), weights[course])
        noise = evidence.noise_of(sums, noise, [*known, best])
    scan = sums.fit(noise, known).scan(weights)
    return _judged(asked, scan, known)


def _noise(sums: Sums, known: Sequence[Change]) -> Noise:
    """Return the variance left over in each node once the unknowns and these errors are taken."""
    noise = evidence.first_noise(sums.data)
    for _ in range(PASSES):
        noise = evidence.noise_of(sums, noise, known)
    return noise


def _allowed(asked: _Asked, scan: Scan, known: Sequence[Change]) -> Floats:
    """Return the evidence, without errors too small to speak of or that cannot be.

    No meter shows less than nothing of the truth, and one that is a suspect is not asked again:
    the hours between the true beginning and the day it is dated to would be another one. What
    nobody meters is no error: only its change is, and only one beyond what it moves by anyway.
    """
    meters = len(asked.network.meters)
    always = np.array([one[0] == ALWAYS for one in asked.courses])
    least = np.where(always, LEAST_ALWAYS, LEAST_SIZE)[:, None]
    allowed = np.where(np.abs(scan.size) < least, -np.inf, scan.evidence)
    small = np.abs(scan.size[:, meters:]) < LEAST_UNMETERED
    allowed[:, meters:] = np.where(small, -np.inf, allowed[:, meters:])
    mains = _mains(asked.network)
    leaves = np.setdiff1d(np.arange(meters), mains)
    allowed[:, leaves] = np.where(scan.size[:, leaves] < 1, allowed[:, leaves], -np.inf)
    allowed[:, mains] = np.where(scan.size[:, mains] > -1, allowed[:, mains], -np.inf)
    allowed[np.ix_(always, np.arange(meters, allowed.shape[1]))] = -np.inf
    allowed[:, [one.column for one in known]] = -np.inf
    return np.asarray(allowed)


def _mains(network: Network) -> list[int]:
    return [node.main for node in network.nodes]


def _judged(asked: _Asked, scan: Scan, known: Sequence[Change]) -> tuple[Change, Suspect] | None:
    """Return the likeliest error, if the balances alone are sure of any.

    Which meter it is of is asked of the balances and of each meter's own past together.
    """
    allowed = _allowed(asked, scan, known)
    total = float(np.logaddexp.reduce(allowed.ravel()))
    if not np.isfinite(total):
        return None
    odds = total + np.log(PRIOR_OF_ANY / allowed.size)
    any_change = float(1 / (1 + np.exp(-min(odds, 700.0))))
    if any_change < LEAST_SURE:
        return None
    mains = _mains(asked.network)
    told = allowed + past.evidence(asked.moved, asked.spread, scan, mains)
    share = np.exp(np.logaddexp.reduce(told, axis=0) - np.logaddexp.reduce(told.ravel()))
    column = int(share.argmax())
    place = int(told[:, column].argmax())
    course, since_day, weights = asked.courses[place]
    meters = len(asked.network.meters)
    size, deviation = float(scan.size[place, column]), float(scan.deviation[place, column])
    is_meter = column < meters
    # The size of a main's error is one of what its sub-meters show, others' of what they show.
    is_share = is_meter and column not in mains
    suspect = Suspect(
        meter=column if is_meter else None,
        node=None if is_meter else column - meters,
        course=course,
        since_day=since_day,
        error=relative_to_truth(size) if is_share else size,
        deviation=deviation / (1 - size) ** 2 if is_share else deviation,
        any_change=any_change,
        sure=float(share[column]),
        others=_rest(share, column, meters),
    )
    return Change(column, weights), suspect


def _rest(share: Floats, best: int, meters: int) -> tuple[int, ...]:
    """Return the meters beside the best that are needed to hold nineteen parts in twenty."""
    held, found = float(share[best]), []
    for column in np.argsort(-share).tolist():
        if held >= LEAST_NAMED:
            break
        if column != best:
            held += float(share[column])
            if column < meters:
                found.append(column)
    return tuple(found)


def relative_to_truth(share: float) -> float:
    """Return the error relative to the truth of one that is this share of what is shown."""
    return share / (1 - share)


def _excess_kwh(energy: Floats, hours: int, change: Change, suspect: Suspect) -> float:
    if suspect.meter is None:
        return 0.0
    day = np.arange(len(energy)) * hours // DAY_HOURS
    share = suspect.error / (1 + suspect.error)
    return float(share * np.nansum(energy[:, change.column] * change.weights[day]))


def _sharpness(asked: _Asked, sums: Sums, known: Sequence[Change]) -> tuple[Sharpness, ...]:
    """Return per meter from which error on it would be found, and told from all others."""
    days, changing = sums.data.days, sums.data.changing
    fit = sums.fit(_noise(sums, known), known)
    middle = [one[:2] for one in asked.courses].index((STEP, days // 2))
    alone, beside = fit.apart(asked.weights[middle])
    # What tells meters apart is how their loads move, and whether their own level has moved.
    beside[: len(asked.network.meters)] += asked.spread[middle] ** -2.0
    # So much evidence is asked for by PRIOR_OF_ANY, LEAST_SURE and the number of questions.
    questions = len(asked.courses) * changing
    needed = np.sqrt(2 * np.log(questions / PRIOR_OF_ANY / (1 - LEAST_SURE)))
    between = np.sqrt(2 * np.log(changing * LEAST_NAMED / (1 - LEAST_NAMED)))
    found = np.maximum(needed / np.sqrt(alone), LEAST_SIZE)
    named = np.maximum(between / np.sqrt(beside), found)
    return tuple(
        Sharpness(float(found[place]), float(named[place]))
        for place in range(len(asked.network.meters))
    )
