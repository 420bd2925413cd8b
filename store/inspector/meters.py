"""Meters: from readings to the energy of a span, step by step.

Energy between two instants is C(end) - C(begin). Between two readings C is a straight line (a
parabola where a rate was read), begins at what the first one shows, and is rounded half to even to
a millionth of the unit at either end of what is booked.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

from store.inspector.exact import (
    E6,
    HOUR,
    SLOT,
    UNITS,
    BeyondError,
    Span,
    cut,
    dated,
    half_even,
    held_at,
    instant,
    neighbours,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from store.inspector.sealed import Json


BAD = 2  # a reading's quality: 0 good, 1 uncertain, 2 bad
MOST_RATE = 1e11  # larger values are no readings
MOST_COUNT, MOST_WITH_DECIMALS = 2.0**53, 4.0e12


class Energy(NamedTuple):
    """Of a span, in millionths of the meter's unit; None: nothing is known."""

    total: int | None
    estimated: int
    measured: int  # microseconds that are no gap


class Step(NamedTuple):
    """From one used reading to the next: (a + b x + c x^2) / d millionths, x since t0."""

    t0: int
    t1: int
    a: int
    b: int
    c: int
    d: int
    state: str  # known, gap (booked as estimated), unknown


class Meter:
    """One declared point and its readings: [instant, value, quality], value None: none."""

    def __init__(self, table: Json, readings: Sequence[Sequence[Any]], confirmed: set[int]) -> None:
        self.table, self.confirmed = table, confirmed
        self.multipliers = dated(table.get("multiplier", ()))
        self.gap = table.get("max_gap_s", 1800) * E6
        seen = [
            (at, value) for at, value, quality in readings
            if quality < BAD and value is not None and abs(value) < float("inf")
        ]  # fmt: skip
        kinds = {"counter": self._counter, "gauge": self._gauge, "interval": self._interval}
        if table["kind"] not in kinds:
            raise BeyondError(f"a point of kind {table['kind']}")
        self.steps = sorted(kinds[table["kind"]](seen)) if seen else []

    def energy(self, span: Span) -> Energy:
        """Return what is booked in a span; a slot belongs where it begins, so edges move up."""
        low, high = (at + -at % SLOT for at in span)
        total = estimated = booked = measured = 0
        regions = cut((low, high), [at for at, _ in self.multipliers]) if low < high else []
        for begin, end in regions:
            ratio = held_at(self.multipliers, begin) if self.multipliers else Fraction(1)
            if ratio is None:
                continue
            for step in self.steps:
                t0, t1 = max(begin, step.t0), min(end, step.t1)
                if t0 >= t1 or step.state == "unknown":
                    continue
                amount = _level(step, t1, ratio) - _level(step, t0, ratio)
                total, booked = total + amount, booked + t1 - t0
                if step.state == "gap":
                    estimated += amount
                else:
                    measured += t1 - t0
        return Energy(total if booked else None, estimated, measured)

    def _gauge(self, seen: Sequence[tuple[int, float]]) -> Iterator[Step]:
        """Take a rate for a straight line between neighbours no further apart than max_gap."""
        kept = [(at, round(v * 1e6)) for at, v in seen if abs(v) <= MOST_RATE]
        for (t0, v0), (t1, v1) in neighbours(kept):
            width = t1 - t0
            if width <= self.gap:
                yield Step(t0, t1, 0, 2 * v0 * width, v1 - v0, 2 * width * HOUR, "known")

    def _interval(self, seen: Sequence[tuple[int, float]]) -> Iterator[Step]:
        """Give a value to the span that begins with it, in proportion to time."""
        width = self.table["interval_s"] * E6
        for at, v in seen:
            if abs(v) <= MOST_RATE:
                yield Step(at, at + width, 0, round(v * 1e6), 0, width, "known")

    def _counter(self, seen: Sequence[tuple[int, float]]) -> Iterator[Step]:
        """Read a register; a declared exchange cuts it in two by two virtual readings."""
        exchanges = [
            (instant(one["at"]), Fraction(one["closing"]), Fraction(one["opening"]))
            for one in self.table.get("exchange", ())
        ]
        whole = all(v == round(v) for _, v in seen) and all(
            count.denominator == 1 for one in exchanges for count in one[1:]
        )
        most = MOST_COUNT if whole else MOST_WITH_DECIMALS
        counts = [
            (at, int(v) * E6 if whole else round(v * 1e6)) for at, v in seen if abs(v) <= most
        ]
        if not counts:
            return
        self._rules(whole)
        begin: list[tuple[int, int]] = []
        for at, closing, opening in exchanges:
            yield from self._register(
                [*begin, *(one for one in counts if one[0] < at), (at, round(closing * E6))]
            )
            begin, counts = [(at, round(opening * E6))], [one for one in counts if one[0] > at]
        yield from self._register([*begin, *counts])

    def _rules(self, whole: bool) -> None:  # noqa: FBT001 - private
        """Work out what a step may rise, in millionths of a count."""
        ratios = [value for _, value in self.multipliers] or [Fraction(1)]
        size = max(abs(value) for value in ratios)
        scale = 1 if whole else E6
        most = min(2**62, int(4 * 10**18 * scale / (size * E6))) if size else 2**62
        self.most_rise = most * (E6 // scale)
        power, unit = self.table.get("rated_power_kw"), UNITS[self.table["unit"]]
        rates = [
            Fraction(12, 10) * Fraction(power) / HOUR / (value * unit[1]) * E6
            for value in ratios
            if power is not None and unit[0] == "energy" and value > 0
        ]
        self.rates = rates if len(rates) == len(ratios) else []  # millionths of a count a us

    def _allowed(self, rise: int, t0: int, t1: int) -> bool:
        """1.2 x rated power x time plus one count; astride a change the more generous counts."""
        if rise > self.most_rise:
            return False
        if not self.rates:
            return True
        rate = self.rates[0]
        for (since, _), later in list(zip(self.multipliers, self.rates))[1:]:  # noqa: B905 - Python 3.9
            if since >= t1:
                break
            if since <= t0 or later > rate:
                rate = later
        return (rise - E6) * rate.denominator <= rate.numerator * (t1 - t0)

    def _rolled(self, rise: int, t0: int, t1: int) -> int | None:
        """Return the rise of a fall that is a rollover, else None."""
        modulus = self.table.get("modulus")
        if modulus is None or rise + modulus * E6 < 0:
            return None
        wrapped = rise + modulus * E6
        if not self.rates and 2 * wrapped >= modulus * E6:
            return None
        return wrapped if self._allowed(wrapped, t0, t1) else None

    def _register(self, seen: Sequence[tuple[int, int]]) -> Iterator[Step]:
        kept = self._without_spikes(seen)
        for (t0, c0), (t1, c1) in neighbours(kept):
            rise: int | None = c1 - c0
            if c1 < c0:
                rise = self._rolled(c1 - c0, t0, t1)
            elif not self._allowed(c1 - c0, t0, t1):
                held = t1 not in self.confirmed or c1 - c0 > self.most_rise
                rise = None if held else rise
            width, state = t1 - t0, "gap" if t1 - t0 > self.gap else "known"
            yield Step(
                t0, t1, c0 * width, rise or 0, 0, width, "unknown" if rise is None else state
            )

    def _without_spikes(self, seen: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
        """Leave out what lies between a leap and the return to what the reading before allows."""

        def rise(n: int) -> int:
            return seen[n + 1][1] - seen[n][1]

        odd = [
            n
            for n in range(len(seen) - 1)
            if rise(n) < 0 or not self._allowed(rise(n), seen[n][0], seen[n + 1][0])
        ]
        left_out: set[int] = set()
        place = 0
        while self.rates and place < len(odd):
            n, end = odd[place], None
            t0, t1 = seen[n][0], seen[n + 1][0]
            if t1 not in self.confirmed and (rise(n) > 0 or self._rolled(rise(n), t0, t1) is None):
                end = self._return(seen, odd, place)
            if end is not None:
                left_out.update(range(n + 1, odd[end] + 1))
            place = place + 1 if end is None else end + 1
        return [one for n, one in enumerate(seen) if n not in left_out]

    def _return(
        self, seen: Sequence[tuple[int, int]], odd: Sequence[int], place: int
    ) -> int | None:
        n = odd[place]
        t0, level = seen[n]
        for later in range(place + 1, len(odd)):
            back = odd[later]
            t1, count = seen[back + 1]
            if back != n + 1 and t1 - t0 > self.gap:
                return None
            opposite = (count < seen[back][1]) == (seen[n + 1][1] > level)
            if opposite and count >= level and self._allowed(count - level, t0, t1):
                return later
        return None


def _level(step: Step, at: int, ratio: Fraction) -> int:
    x = at - step.t0
    return half_even((step.a + step.b * x + step.c * x * x) * ratio.numerator,
                     step.d * ratio.denominator)  # fmt: skip


class Slots:
    """A point whose readings are archived: its energy by slots of a quarter of an hour."""

    def __init__(self, rows: Sequence[Sequence[Any]]) -> None:
        self.rows = rows

    def energy(self, span: Span) -> Energy:
        """Return the sum of the slots that begin in a span."""
        rows = [one for one in self.rows if span[0] <= one[0] < span[1]]
        known = [one[1] for one in rows if one[1] is not None]
        return Energy(
            sum(known) if known else None, sum(one[2] for one in rows), sum(one[3] for one in rows)
        )
