"""Random months of one unit, each from a seed: whatever meters, scales and laws may do to a figure.

Registers roll over, fall, stand still, leap and are exchanged; readings are late, doubled,
contradicted, bad or missing; factors, multipliers and laws change inside the month; grades are
missing, masses are corrected, and energy is given back.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from tests.core import month_oracle, oracle
from tests.core.month_oracle import (
    BAD,
    DAY_US,
    GOOD,
    RULES,
    UNCERTAIN,
    Arrival,
    Fact,
    Law,
    Metered,
    Rule,
    Sample,
    Way,
    World,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

MINUTE_US: Final = 60_000_000
HOUR_US: Final = 60 * MINUTE_US
NEVER: Final = 2**60
PAUSES_US: Final = (
    15 * MINUTE_US,
    HOUR_US,
    12 * HOUR_US,
    DAY_US,
    DAY_US,
    DAY_US,
    DAY_US,
    2 * DAY_US,
)
GAPS_US: Final = (30 * MINUTE_US, DAY_US, 2 * DAY_US, 2 * DAY_US, 3 * DAY_US)
ACCURACIES: Final = (None, "0.2", "0.35", "0.5", "1")
MULTIPLIERS: Final = ("1", "1", "40", "660", "0.01", "12.345678", "66000")
GRADES: Final = {"Si": (700, 800), "Cr": (450, 650), "gas_yield": (260_000, 310_000)}
EVENTS: Final = ("run",) * 40 + ("still", "over", "fall", "leap", "dip", "edge")


@dataclass(frozen=True, slots=True)
class _Life:
    """What a month's meters share: the source of chance, the month, the present, and the mood.

    In a calm month nothing is missing and registers do no more than run and roll over, so that
    figures are complete and laws decide.
    """

    draw: random.Random
    month: tuple[int, int]
    now: int
    calm: bool


def make(seed: int) -> World:
    """Return the month of a seed."""
    draw = random.Random(seed)  # noqa: S311 - a replayable month, no secret
    begin = datetime(draw.randrange(2024, 2028), draw.randrange(1, 13), 1, tzinfo=UTC)
    end = (begin + timedelta(days=32)).replace(day=1)
    month = (_us(begin) - 8 * HOUR_US, _us(end) - 8 * HOUR_US)
    now = month[1] + draw.randrange(1, 40) * DAY_US
    if draw.random() < 0.15:
        now = draw.randrange(month[0] - HOUR_US, month[1])
    rule = draw.choice(RULES)
    life = _Life(draw, month, now, calm=draw.random() < 0.6)
    world = World(
        seed=seed,
        month=month,
        now=now,
        rule=rule,
        metered=tuple(_meters(life, rule)),
        facts=tuple(_facts(draw, rule, month)),
        weighing_percent=_accuracy(draw),
        sampling_percent=_accuracy(draw),
        ore=tuple(_ore(draw, month)),
        samples=tuple(_samples(draw, month)) if rule.way is Way.COAL_EQUIVALENT else (),
    )
    return replace(world, laws=tuple(_laws(draw, world)))


def _us(instant: datetime) -> int:
    return round(instant.timestamp()) * 1_000_000


def _accuracy(draw: random.Random) -> Fraction | None:
    found = draw.choice(ACCURACIES)
    return None if found is None else Fraction(found)


def _meters(life: _Life, rule: Rule) -> list[Metered]:
    """Return points that count and some that must not."""
    draw = life.draw
    found = [_electric(life, "main")]
    if draw.random() < 0.3:
        found.append(replace(_electric(life, "sub"), parent="main"))
    if draw.random() < 0.4:
        found.append(replace(_electric(life, "back"), sign=-1))
    for role in ("auxiliary", "casting", "waste-heat-power", "recovered"):
        if draw.random() < 0.25:
            sign = 1 if role in {"auxiliary", "casting"} else -1
            found.append(replace(_electric(life, role), role=role, sign=sign))
    if rule.way is Way.COAL_EQUIVALENT:
        fuels = [one for one in ("raw_coal", "coke", "semi_coke") if draw.random() < 0.6]
        found += [_fuel(life, carrier) for carrier in fuels]
    return found


def _electric(life: _Life, key: str) -> Metered:
    draw = life.draw
    kind = draw.choice(("counter", "counter", "counter", "gauge", "interval"))
    unit = draw.choice(("kWh", "kWh", "MWh"))
    meter, arrivals = _KINDS[kind](life, unit, powered=draw.random() < 0.8)
    return _reached(
        Metered(key, kind, meter, arrivals, "electricity", unit, accuracy_percent=_accuracy(draw))
    )


def _fuel(life: _Life, carrier: str) -> Metered:
    draw, month = life.draw, life.month
    kind = draw.choice(("counter", "counter", "gauge", "interval"))
    unit = draw.choice(("kg", "t"))
    meter, arrivals = _KINDS[kind](life, unit, powered=False)
    heating = [
        (draw.randrange(month[0] - 5 * DAY_US, month[1]), Fraction(draw.randrange(18_000, 30_000)))
        for _ in range(draw.choice((0, 1, 2)))
    ]
    if carrier == "semi_coke" and heating and draw.random() < 0.9:
        heating.append((month[0] - 99 * DAY_US, Fraction("29307.6")))
    return _reached(
        Metered(
            carrier.replace("_", "-"),
            kind,
            meter,
            arrivals,
            carrier,
            unit,
            accuracy_percent=_accuracy(draw),
            heating=tuple(sorted(dict(heating).items())),
        )
    )


def _reached(one: Metered) -> Metered:
    """Return the point without changes of its multiplier where no reading reaches.

    There is no energy, so there is no slot either that a ledger would keep to say so.
    """
    stamps = [seen.at for seen in one.seen()]
    kept = [
        (since, value)
        for since, value in one.meter.multipliers[1:]
        if stamps and stamps[0] < since < stamps[-1]
    ]
    multipliers = (*one.meter.multipliers[:1], *kept)
    return replace(one, meter=replace(one.meter, multipliers=multipliers))


@dataclass(slots=True)
class _Register:
    """A register that lives: `per` is what one of its smallest steps is worth in counts."""

    draw: random.Random
    modulus: int | None
    per: Fraction
    count: Fraction
    returns: Fraction | None = None

    def move(self, event: str, most: Fraction) -> None:
        """Go on to the next reading: at most `most` counts are possible, more is not."""
        before = self.count
        if self.returns is not None:
            self.count, self.returns = self.returns, None
        usual = self._steps(most * self.draw.randrange(20, 84) / 120)
        jump = {
            "run": usual,
            "still": Fraction(0),
            "edge": self._steps(most),
            "over": self._steps(most) + self.draw.randrange(2, 50),
            "fall": -self.count + self.draw.randrange(3),
            "leap": self._steps(most) * 3 + 10,
            "dip": -min(self.count, Fraction(self.draw.randrange(1, 9))),
        }[event]
        if event in {"leap", "dip"}:
            self.returns = before + usual
        self.count += jump
        if self.modulus is not None:
            self.count %= self.modulus
            self.returns = None if self.returns is None else self.returns % self.modulus

    def _steps(self, counts: Fraction) -> Fraction:
        return counts // self.per * self.per


def _counter(life: _Life, unit: str, *, powered: bool) -> tuple[oracle.Meter, tuple[Arrival, ...]]:
    """Return a register's declaration and what arrived of it.

    Without a rated power, or of what is no energy, there is nothing to hold a step by.
    """
    draw = life.draw
    multipliers = _multipliers(life)
    per_count = max((value for _, value in multipliers), default=Fraction(1))
    kw = Fraction(draw.choice((50, 2_000, 27_300, 464_000)))
    in_unit = kw / 1000 if unit in {"MWh", "t"} else kw
    an_hour = Fraction(12, 10) * in_unit / per_count
    modulus = None
    if draw.random() < 0.6:
        modulus = 10 ** max(len(str(int(an_hour * 24 * 6))), 3)
    meter = oracle.Meter(
        modulus=modulus,
        rated_power_kw=in_unit if powered else None,  # of booked units an hour, as oracles count
        multipliers=multipliers,
        max_gap_us=_gap_us(life),
    )
    per = draw.choice((Fraction(1), Fraction(1, 100)))
    register = _Register(draw, modulus, per, Fraction(draw.randrange(modulus or 10**6)))
    changes = sorted(draw.randrange(*life.month) for _ in range(draw.choice((0, 0, 0, 1, 2))))
    arrivals: list[Arrival] = []
    exchanges: list[tuple[int, Fraction, Fraction]] = []
    confirmed: set[int] = set()
    at, event = None, "run"
    for nxt in _instants(life):
        if at is not None:
            event = "run" if life.calm else draw.choice(EVENTS)
            register.move(event, an_hour * (nxt - at) / HOUR_US)
            if event == "over" and draw.random() < 0.5:
                confirmed.add(nxt)
        while changes and changes[0] <= nxt:
            opening = Fraction(draw.randrange(10_000), 100)
            exchanges.append((changes.pop(0), register.count, opening))
            register.count, register.returns = opening, None
        at = nxt
        arrivals.append(Arrival(at, register.count, _quality(life)))
    declared = replace(
        meter,
        exchanges=tuple({at: (at, old, new) for at, old, new in exchanges}.values()),
        confirmed_us=frozenset(confirmed),
    )
    return declared, _muddled(life, arrivals)


def _gauge(life: _Life, unit: str, *, powered: bool) -> tuple[oracle.Meter, tuple[Arrival, ...]]:
    del unit, powered
    draw = life.draw
    meter = oracle.Meter(multipliers=_multipliers(life), max_gap_us=_gap_us(life))
    arrivals = [
        Arrival(at, Fraction(draw.randrange(-1_000, 9_000_000), 1000), _quality(life))
        for at in _instants(life)
    ]
    return meter, _muddled(life, arrivals)


def _interval(life: _Life, unit: str, *, powered: bool) -> tuple[oracle.Meter, tuple[Arrival, ...]]:
    del unit, powered
    draw = life.draw
    length = draw.choice((6, 12, 24)) * HOUR_US
    meter = oracle.Meter(multipliers=_multipliers(life), interval_us=length)
    arrivals, free = [], 0
    instants = _instants(life)
    if life.calm and instants:
        instants = range(instants[0], instants[-1], length)
    for at in instants:
        if at >= free:
            value = Fraction(draw.randrange(9_000_000), 100)
            arrivals.append(Arrival(at, value, _quality(life)))
            free = at + length
    return meter, _muddled(life, arrivals)


_KINDS: Final = {"counter": _counter, "gauge": _gauge, "interval": _interval}


def _gap_us(life: _Life) -> int:
    return 9 * DAY_US if life.calm else life.draw.choice(GAPS_US)


def _instants(life: _Life) -> Sequence[int]:
    """Return when a meter is read: from some days before the month to some days after it."""
    draw, month = life.draw, life.month
    at = month[0] - draw.randrange(3 * DAY_US)
    stop = month[1] + draw.choice((1, 2)) * DAY_US
    if not life.calm:
        stop = month[1] + draw.choice((-4, -1, 0, 1, 1, 2, 2)) * DAY_US
        if draw.random() < 0.1:
            at = month[0] + draw.randrange(20 * DAY_US)
    found = []
    while at <= min(stop, life.now):
        found.append(at)
        at += draw.choice(PAUSES_US) + draw.choice((0, 0, 1, draw.randrange(MINUTE_US)))
        if draw.random() < 0.04:
            at = month[0] if month[0] > at else at + draw.randrange(4 * DAY_US)
    return found


def _multipliers(life: _Life) -> tuple[tuple[int, Fraction], ...]:
    draw, month = life.draw, life.month
    if draw.random() < 0.4:
        return ()
    since = [month[0] - draw.choice((400, 4)) * DAY_US]
    since += [draw.randrange(*month) for _ in range(draw.choice((0, 0, 0, 1, 2)))]
    if not life.calm and draw.random() < 0.12:
        since[0] = month[0] + 3 * DAY_US
    return tuple((at, Fraction(draw.choice(MULTIPLIERS))) for at in sorted(set(since)))


def _quality(life: _Life) -> int:
    return GOOD if life.calm else life.draw.choice((GOOD,) * 30 + (UNCERTAIN, BAD))


def _muddled(life: _Life, arrivals: list[Arrival]) -> tuple[Arrival, ...]:
    """Return readings as they come: late, doubled, and some contradicted by a later one."""
    draw, found = life.draw, list(arrivals)
    for place in range(len(found) - 1):
        if draw.random() < 0.1:
            found[place], found[place + 1] = found[place + 1], found[place]
    if found and draw.random() < 0.5:
        first = draw.randrange(len(found))
        found = found[:first] + found[first + 5 :] + found[first : first + 5]
        found.append(draw.choice(arrivals))
        wrong = draw.choice(arrivals)
        found.append(wrong._replace(value=wrong.value + 7, quality=GOOD))
    return tuple(found)


def _facts(draw: random.Random, rule: Rule, month: tuple[int, int]) -> list[Fact]:
    if draw.random() < 0.1:  # figures that end, so that a limit can be met to the last digit
        return [Fact("fact-0", 0, month[0], "weighing", Fraction(1_000), rule.reference)]
    forgetful = draw.random() < 0.3
    found: list[Fact] = []
    for number in range(draw.choice((0, 1, 4, 8, 8, 8, 12))):
        at = draw.randrange(month[0] - 2 * DAY_US, month[1] + 2 * DAY_US)
        fact = Fact(
            f"fact-{number}",
            0,
            draw.choice((at, at, at, at, at, *month, month[1] - 1)),
            draw.choice(("tapping", "weighing", "weighing", "weighing", "stock")),
            Fraction(draw.randrange(1, 400_000), 1000),
            _grade(draw, rule, forgetful=forgetful),
        )
        found.append(fact)
        if draw.random() < 0.1:
            mass = fact.mass_t * draw.choice((0, 2, 1))
            found.append(replace(fact, revision=draw.randrange(1, 4), mass_t=mass, at=at))
        if draw.random() < 0.1:
            less = Fraction(-draw.randrange(2_000), 1000)
            changed = replace(fact, id=f"less-{number}", kind="correction", mass_t=less)
            found.append(changed)
    draw.shuffle(found)
    return found


def _grade(draw: random.Random, rule: Rule, *, forgetful: bool) -> Fraction | None:
    if rule.grade is None or (forgetful and draw.random() < 0.2):
        return None
    return Fraction(draw.randrange(*GRADES[rule.grade]), 1000)


def _ore(draw: random.Random, month: tuple[int, int]) -> list[tuple[int, Fraction]]:
    since = [month[0] - 30 * DAY_US] if draw.random() < 0.8 else []
    since += [draw.randrange(*month) for _ in range(draw.choice((0, 0, 1, 2)))]
    return [(at, Fraction(draw.randrange(350, 999), 1000)) for at in sorted(set(since))]


def _samples(draw: random.Random, month: tuple[int, int]) -> list[Sample]:
    return [
        Sample(
            draw.choice((at, month[0], month[1] - 1)),
            draw.choice(("raw_coal", "coke", "semi_coke")),
            Fraction(draw.randrange(1, 90_000)),
            Fraction(draw.randrange(18_000, 30_000)) if draw.random() < 0.9 else None,
        )
        for at in (
            draw.randrange(month[0] - DAY_US, month[1] + DAY_US)
            for _ in range(draw.choice((0, 0, 2, 6)))
        )
    ]


def _laws(draw: random.Random, world: World) -> list[Law]:
    """Return laws that stand near the month's figure, so that every verdict comes up."""
    found = month_oracle.figure(world, world.month)
    about = Fraction(10_000) if found.value is None else found.value
    return [_law(draw, world, f"law-{number}", about) for number in range(draw.randrange(1, 4))]


def _law(draw: random.Random, world: World, name: str, about: Fraction) -> Law:
    spread = draw.choice((Fraction(0), Fraction(5, 1000), Fraction(3, 100), Fraction(2)))
    value = about + about * spread * draw.randrange(-100, 101) / 100
    whole = (world.month[0] - 900 * DAY_US, NEVER)
    begin, end = draw.choice(
        (
            whole,
            whole,
            (world.month[0] + draw.randrange(33) * DAY_US, NEVER),
            (world.month[0] - 900 * DAY_US, world.month[0] + draw.randrange(33) * DAY_US),
            (world.month[0] + 3 * DAY_US, world.month[0] + 17 * DAY_US),
        )
    )
    cmp = draw.choice(("<=", "<=", "<=", "<", ">=", ">"))
    moves = cmp in {"<=", "<"} and draw.random() < 0.25
    law = Law(
        name,
        Fraction(month_oracle.shown(value)),
        cmp,
        begin,
        end,
        draw.random() < 0.7,
        Fraction(draw.choice(("0.9", "0.9", "0.5", "0", "1"))),
        Fraction("0.40") if moves else None,
        Fraction(draw.choice(("40", "80", "0.35"))) if moves else Fraction(0),
    )
    if (about * 10**20).denominator == 1 and draw.random() < 0.5:
        # A figure that ends can be met to the last digit: then the comparator alone decides.
        cmp = draw.choice(("<=", "<", ">=", ">"))
        return Law(name, about, cmp, *whole, guarded=False, completeness=Fraction(0))
    return law
