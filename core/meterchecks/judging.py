"""All checks of one site together: from columns of hours to findings, one a fault.

Order matters: what is frozen, held or out of scale is found first and taken out of the balances,
so that a register that shows a thousand times too much does not hide a drift of another.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from core.facts import DAY_US
from core.meterchecks import balance, bounds, factors, leaps, network, power
from core.meterchecks.findings import Finding, Kind, Report, Sharp, Unchecked, Witness
from core.meterchecks.rows import DAY_HOURS
from core.periods import HOUR_US
from core.relations import CHECK_ROLE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.exactmath import Floats
    from core.meterchecks.bounds import DayFigure
    from core.meterchecks.frozen import Stretch
    from core.meterchecks.leaps import Leap
    from core.meterchecks.network import Meter, Network
    from core.plant import Plant, Point

LEAST_SCALE: Final = 0.15  # an error larger than this is told as a factor
LEAP_TOLERANCE: Final = 0.08  # a leap's factor is only as good as the load is steady
MOST_GROSS: Final = 3  # gross errors that are set right one after another in one network
LEAST_HELD_SLOTS: Final = 8  # two hours: fewer are a start-up or a late reading


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of a site from `from_us` on, for whole days of hours.

    `hourly` [hour] is energy in kWh as each point shows it, NaN where it is not known; where steps
    are held as impossible it holds what the register says, and `held` counts such slots and tells
    since when. `gauges` are stretches without any digit moving; `days` are the units' day figures.
    """

    plant: Plant
    site: str
    from_us: int
    hours: int
    hourly: Mapping[str, Floats]
    held: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    gauges: Mapping[str, Sequence[Stretch]] = field(default_factory=dict)
    days: Mapping[tuple[str, str], Sequence[DayFigure]] = field(default_factory=dict)
    made_us: Mapping[str, Sequence[int]] = field(default_factory=dict)

    @property
    def until_us(self) -> int:
        """Return the end of the window."""
        return self.from_us + self.hours * HOUR_US

    def at(self, hour: int) -> int:
        """Return the instant at which an hour of the window begins."""
        return self.from_us + hour * HOUR_US


@dataclass(slots=True)
class _Work:
    """Findings so far, and hours with what has been explained set right or taken out."""

    seen: Seen
    hourly: dict[str, Floats]
    findings: list[Finding] = field(default_factory=list)
    unchecked: list[Unchecked] = field(default_factory=list)
    sharpness: list[Sharp] = field(default_factory=list)
    explained: set[str] = field(default_factory=set)


def check(seen: Seen) -> Report:
    """Run every check on what was seen of a site."""
    work = _Work(seen, {point: hours.copy() for point, hours in seen.hourly.items()})
    nets = network.networks(seen.plant, seen.site)
    pairs = network.checked_by(seen.plant)
    alone = _alone(seen, nets)
    _gauges(work)
    for net in nets:
        _leaps(work, net, pairs)
    for point in alone:
        _leaps_alone(work, point, pairs)
    _held(work)
    _repeated(work)
    for net in nets:
        _balances(work, net)
    _powers(work, pairs)
    _productions(work)
    checked = {
        "meters": len(seen.hourly),
        "balances": sum(len(net.nodes) for net in nets),
        "pairs": len([point for point in pairs if point in seen.hourly]),
        "gauges": len(seen.gauges),
        "figures": len(seen.days),
    }
    order = sorted(work.findings, key=lambda one: (one.since_us, one.kind.value, one.subject))
    return Report(
        seen.site, seen.from_us, seen.until_us, order, work.unchecked, work.sharpness, checked
    )


def _alone(seen: Seen, nets: Sequence[Network]) -> list[str]:
    within = {meter.point for net in nets for meter in net.meters}
    alone = [point for point in seen.hourly if point not in within]
    return [point for point in alone if seen.plant.points[point].role != CHECK_ROLE]


def _gauges(work: _Work) -> None:
    for point, stretches in sorted(work.seen.gauges.items()):
        for one in stretches:
            detail = {"value": f"{one.value:g}", "readings": str(one.readings)}
            work.findings.append(
                Finding(
                    Kind.FROZEN, point, one.since_us, one.until_us, named=point,
                    witnesses=(Witness.PAST,), detail=detail,
                )
            )  # fmt: skip


def _matrix(work: _Work, net: Network) -> Floats:
    """Return the hours of a network [hour, meter], signed; what has no hours is not known."""
    unknown = np.full(work.seen.hours, np.nan)
    columns = [work.hourly.get(meter.point, unknown) * meter.sign for meter in net.meters]
    return np.column_stack(columns)


def _leaps(work: _Work, net: Network, pairs: Mapping[str, Point]) -> None:
    """Find registers that stand or leap while the balances around them say otherwise."""
    asked = [each for each in enumerate(net.meters) if each[1].point in work.hourly]
    for place, meter in asked:
        shown = _matrix(work, net)
        leap = leaps.leap(shown[:, place])
        if leap is None:
            continue
        witness = leaps.ask_balances(net, shown, place, leap)
        if witness.agrees and witness.factor is not None:
            _scale(work, meter, leap, witness.factor, Witness.BALANCE)
        elif not witness.denies:
            _leaps_alone(work, meter.point, pairs)
    for place, meter in asked:
        shown = _matrix(work, net)
        for stood in leaps.still(shown[:, place]):
            if leaps.ask_balances(net, shown, place, stood).agrees:
                _frozen(work, meter.point, stood, Witness.BALANCE)


def _leaps_alone(work: _Work, point: str, pairs: Mapping[str, Point]) -> None:
    """Ask a meter's own power, and the taps of its unit, where no balance can be asked."""
    shown = work.hourly[point]
    gauge = pairs.get(point)
    meant = None if gauge is None else work.hourly.get(gauge.id)
    for found in leaps.still(shown):
        if meant is not None and leaps.ask_power(meant, shown, found).agrees:
            _frozen(work, point, found, Witness.POWER)
        elif meant is None and _made(work.seen, point, found):
            _frozen(work, point, found, Witness.PRODUCTION)
    leap = leaps.leap(shown)
    if leap is None or point in work.explained:
        return
    if meant is not None:
        witness = leaps.ask_power(meant, shown, leap)
        if witness.agrees and witness.factor:
            _scale(work, network.meter_of(work.seen.plant.points[point]), leap, witness.factor,
                   Witness.POWER)  # fmt: skip
            return
    rated = work.seen.plant.points[point].rated_power_kw
    if rated is not None and leap.after_kwh > float(rated) * leaps.OVER_RATED:
        factor = leap.ratio
        _scale(work, network.meter_of(work.seen.plant.points[point]), leap, factor, Witness.RATED)


def _made(seen: Seen, point: str, found: Leap) -> bool:
    """Tell whether the unit made something well inside a stretch in which its meter stood."""
    first = seen.at(found.since) + leaps.LAG_HOURS * HOUR_US
    last = seen.at(found.until)
    made = seen.made_us.get(seen.plant.points[point].unit, ())
    return sum(first <= at_us < last for at_us in made) >= leaps.LEAST_MADE


def _frozen(work: _Work, point: str, found: Leap, witness: Witness) -> None:
    hours = found.until - found.since
    lost = -found.before_kwh * hours
    until = None if found.until >= work.seen.hours else work.seen.at(found.until)
    work.findings.append(
        Finding(
            Kind.FROZEN, point, work.seen.at(found.since), until, named=point, sure=1.0,
            error=-1.0, excess_kwh=lost, witnesses=(witness,),
        )
    )  # fmt: skip
    work.hourly[point][found.since : found.until] = np.nan
    work.explained.add(point)


def _scale(work: _Work, meter: Meter, found: Leap, factor: float, witness: Witness) -> None:
    """Tell of a factor and set the hours right, by the cause where one fits, else as estimated."""
    point = meter.point
    if point in work.explained or factor <= 0:
        return
    told = factors.explain(factor, LEAP_TOLERANCE)
    right = told[0].factor if told else factor
    shown = np.nansum(work.hourly[point][found.since :])
    work.findings.append(
        Finding(
            Kind.SCALE, point, work.seen.at(found.since), named=point, sure=1.0,
            error=factor - 1, factor=factor, explained=told,
            excess_kwh=float(shown * (1 - 1 / factor)), witnesses=(witness,),
        )
    )  # fmt: skip
    work.hourly[point][found.since :] /= right
    work.explained.add(point)


def _held(work: _Work) -> None:
    for point, (slots, since_us) in sorted(work.seen.held.items()):
        if slots >= LEAST_HELD_SLOTS and point not in work.explained:
            work.findings.append(
                Finding(
                    Kind.HELD, point, since_us, named=point, witnesses=(Witness.RATED,),
                    detail={"slots": str(slots)},
                )
            )  # fmt: skip


def _repeated(work: _Work) -> None:
    for point, hours in sorted(work.seen.hourly.items()):
        for first, later in leaps.repeated_days(hours):
            since = work.seen.from_us + later * DAY_US
            work.findings.append(
                Finding(
                    Kind.REPEATED, point, since, since + DAY_US, named=point,
                    witnesses=(Witness.PAST,),
                    detail={"day": str(first), "days_before": str(later - first)},
                )
            )  # fmt: skip


def _balances(work: _Work, net: Network) -> None:
    missing = [meter.point for meter in net.meters if meter.point not in work.hourly]
    root = net.named(net.nodes[0].main)
    if missing:
        work.unchecked.append(Unchecked(root, f"no_energy_of:{','.join(missing[:5])}"))
        return
    for _ in range(MOST_GROSS):
        outcome = balance.check(net, _matrix(work, net))
        if not _set_right(work, net, outcome):
            break
        _stood_after_all(work, net)
    else:
        outcome = balance.check(net, _matrix(work, net))
    if outcome.why_not is not None:
        work.unchecked.append(Unchecked(root, outcome.why_not))
        return
    work.sharpness += [
        Sharp(meter.point, one.found, one.named)
        for meter, one in zip(net.meters, outcome.sharpness, strict=True)
    ]
    found = [_suspected(work.seen, net, suspect) for suspect in outcome.suspects]
    work.findings += [one for one in found if one.named not in work.explained]


def _stood_after_all(work: _Work, net: Network) -> None:
    """Take back that registers stand, where balances deny it once another meter is set right.

    With the error of that meter in it a balance may have moved just as the load that stopped.
    """
    place = {meter.point: number for number, meter in enumerate(net.meters)}
    for told in [*work.findings]:
        if told.kind is not Kind.FROZEN or Witness.BALANCE not in told.witnesses:
            continue
        if told.subject not in place:
            continue
        since = (told.since_us - work.seen.from_us) // HOUR_US
        shown, meter = _matrix(work, net), place[told.subject]
        shown[:, meter] = work.seen.hourly[told.subject] * net.meters[meter].sign
        stood = [one for one in leaps.still(shown[:, meter]) if one.since == since]
        if any(leaps.ask_balances(net, shown, meter, one).denies for one in stood):
            work.findings.remove(told)
            span = slice(since, stood[0].until)
            work.hourly[told.subject][span] = work.seen.hourly[told.subject][span]
            work.explained.discard(told.subject)


def _set_right(work: _Work, net: Network, outcome: balance.Outcome) -> bool:
    """Tell of the first suspect with a gross error and set it right; False: there is none.

    The days around its beginning are left out: what is left of it there would be another fault.
    """
    for suspect in outcome.suspects:
        found = _suspected(work.seen, net, suspect)
        point = found.named
        if point is None or point in work.explained or found.kind is not Kind.SCALE:
            continue
        factor = found.explained[0].factor if found.explained else 1 + suspect.error
        since = suspect.since_day * DAY_HOURS
        work.findings.append(found)
        work.explained.add(point)
        work.hourly[point][since:] /= factor
        if suspect.course != balance.ALWAYS:
            edge = slice(max(since - DAY_HOURS, 0), since + DAY_HOURS)
            work.hourly[point][edge] = np.nan
        return True
    return False


def _suspected(seen: Seen, net: Network, suspect: balance.Suspect) -> Finding:
    since = seen.from_us + suspect.since_day * DAY_US
    if suspect.meter is None:
        main = net.named(net.nodes[suspect.node or 0].main)
        return Finding(
            Kind.UNMETERED, main, since, sure=suspect.sure, error=suspect.error,
            doubt=2 * suspect.deviation, grows=suspect.course == balance.SLOPE,
            candidates=tuple(net.named(one) for one in suspect.others),
            witnesses=(Witness.BALANCE,),
        )  # fmt: skip
    point = net.named(suspect.meter)
    big = abs(suspect.error) >= LEAST_SCALE
    factor = 1 + suspect.error
    others = tuple(net.named(one) for one in suspect.others)
    return Finding(
        Kind.SCALE if big else Kind.DRIFT, point, since,
        named=point if suspect.is_named else None,
        candidates=() if suspect.is_named else (point, *others),
        sure=suspect.sure, error=suspect.error, doubt=2 * suspect.deviation,
        factor=factor if big else None,
        explained=factors.explain(factor, max(factors.TOLERANCE, 3 * suspect.deviation / factor))
        if big and factor > 0 else (),
        excess_kwh=suspect.excess_kwh, grows=suspect.course == balance.SLOPE,
        witnesses=(Witness.BALANCE,),
    )  # fmt: skip


def _powers(work: _Work, pairs: Mapping[str, Point]) -> None:
    for point, gauge in sorted(pairs.items()):
        if point not in work.seen.hourly or gauge.id not in work.seen.hourly:
            continue
        if point in work.explained:
            continue
        meter = network.meter_of(work.seen.plant.points[point])
        second = network.meter_of(gauge)
        found = power.compare(
            work.seen.hourly[point], work.seen.hourly[gauge.id],
            (meter.accuracy, second.accuracy), meter.count_kwh,
        )  # fmt: skip
        if found is not None:
            since = work.seen.from_us + found.since_day * DAY_US
            ratio = found.ratio if found.before is None else found.ratio / found.before
            work.findings.append(
                Finding(
                    Kind.POWER, point, since, candidates=(point, gauge.id), error=ratio - 1,
                    doubt=2 * found.deviation, factor=ratio,
                    explained=factors.explain(ratio), witnesses=(Witness.POWER,),
                    detail={} if found.before is None else {"before": f"{found.before:.4f}"},
                )
            )  # fmt: skip


def _productions(work: _Work) -> None:
    known = bounds.catalogue()
    for (unit, indicator), days in sorted(work.seen.days.items()):
        bound = known.get(indicator)
        found = None if bound is None else bounds.outside(bound, days)
        if found is not None:
            work.findings.append(
                Finding(
                    Kind.BOUNDS, unit, found.since_us, factor=found.factor,
                    witnesses=(Witness.BOUND,),
                    detail={
                        "indicator": indicator,
                        "value": f"{float(found.value):.6g}",
                        "bound": str(found.broken),
                        "unit": found.bound.unit,
                        "source": f"{found.bound.source}; {found.bound.clause}",
                    },
                )
            )  # fmt: skip
        moved = bounds.shift(days)
        if moved is not None:
            since, factor = moved
            work.findings.append(
                Finding(
                    Kind.SHIFT, unit, since, factor=factor, error=factor - 1,
                    explained=factors.explain(factor, LEAP_TOLERANCE),
                    witnesses=(Witness.PRODUCTION,), detail={"indicator": indicator},
                )
            )  # fmt: skip
