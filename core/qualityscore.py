"""The data-quality score of a site: what was seen of its data, held against the regulator's rules.

Every finding names the rule it breaks. A rule's share is how much of what it looks at keeps it; an
index is the mean of its rules, the score the mean of its indices, in per cent. Promise: what could
not be looked at is named with the reason and counts neither way.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from core import decimals, periods
from core.periods import MINUTE_US, SLOT_US
from core.qualityrules import Index, RuleId, Rules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from decimal import Decimal

    from core.qualityrules import Rule
    from core.qualityseen import Boundary, PointSeen, Seen

MOST_FINDINGS: Final = 500  # of one site and period; `more_findings` counts on
SLOTS_AN_HOUR: Final = 4
_PLACES: Final = 2  # of a share printed in per cent
NOTHING_TO_SEE: Final = "nothing_to_see"  # no subject that the rule is about


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that something breaks: what, by how much, and the sentence for people."""

    rule: RuleId
    subject: str
    value: str
    threshold: str
    text: Mapping[str, str]

    def item(self) -> dict[str, Any]:
        """Return the finding as JSON carries it."""
        return {
            "rule": self.rule.value,
            "subject": self.subject,
            "value": self.value,
            "threshold": self.threshold,
            "text": dict(self.text),
        }


@dataclass(frozen=True, slots=True)
class Checked:
    """One rule held against what was seen; `share` None: it was not, for the reason named."""

    rule: Rule
    share: Fraction | None
    findings: Sequence[Finding]
    unchecked: str | None = None

    @property
    def is_kept(self) -> bool | None:
        """Tell whether nothing breaks the rule; None where it was not looked at."""
        return None if self.share is None else not self.findings

    def item(self) -> dict[str, Any]:
        """Return the rule with how it is kept, as JSON carries it."""
        return {
            **self.rule.item(),
            "share": decimals.show_known(self.share),
            "kept": self.is_kept,
            "findings": len(self.findings),
            "unchecked": self.unchecked,
        }


@dataclass(frozen=True, slots=True)
class Score:
    """The score of a site in a period, by index and by rule."""

    seen: Seen
    checked: Sequence[Checked]

    @property
    def indices(self) -> dict[Index, Fraction | None]:
        """Return each index as the mean of its rules' shares; None where none was looked at."""
        return {
            index: _mean([one.share for one in self.checked if one.rule.index is index])
            for index in Index
        }

    @property
    def value(self) -> Fraction | None:
        """Return the score, the mean of the known indices in per cent; None where none is."""
        found = _mean(self.indices.values())
        return None if found is None else found * 100

    @property
    def findings(self) -> list[Finding]:
        """Return every finding, in the order of the rules."""
        return [finding for one in self.checked for finding in one.findings]

    def item(self) -> dict[str, Any]:
        """Return the score as JSON carries it."""
        zone, (begin, end), found = self.seen.timezone, self.seen.bound_us, self.findings
        return {
            "site": self.seen.site,
            "period_start": periods.render(begin, zone),
            "period_end": periods.render(end, zone),
            "closed": end <= self.seen.now_us,
            "score": decimals.show_known(self.value),
            "indices": {
                index.value: decimals.show_known(share) for index, share in self.indices.items()
            },
            "rules": [one.item() for one in self.checked],
            "findings": [one.item() for one in found[:MOST_FINDINGS]],
            "more_findings": max(0, len(found) - MOST_FINDINGS),
            "computed_at": periods.render_utc(self.seen.now_us),
        }


Result = tuple[Fraction | None, list[Finding]]


def score(seen: Seen, rules: Rules) -> Score:
    """Hold what was seen against every rule, in the rules' order."""
    return Score(seen, [_check(rule, seen, rules) for rule in RuleId])


def _check(which: RuleId, seen: Seen, rules: Rules) -> Checked:
    rule = rules[which]
    if which in seen.unchecked:
        return Checked(rule, None, (), seen.unchecked[which])
    share, findings = _CHECKS[which](seen, rule, rules)
    return Checked(rule, share, findings, NOTHING_TO_SEE if share is None else None)


def _completeness(seen: Seen, rule: Rule, _: Rules) -> Result:
    shares: list[Fraction] = []
    findings: list[Finding] = []
    for one in seen.points:
        if one.elapsed_us <= 0:
            continue
        share = min(Fraction(1), Fraction(one.measured_us, one.elapsed_us))
        shares.append(share)
        if share < rule.threshold:
            findings.append(_find(rule, one.point, _percent(share), _percent(rule.threshold)))
    return _mean(shares), findings


def _cadence(seen: Seen, rule: Rule, _: Rules) -> Result:
    shares: list[Fraction] = []
    findings: list[Finding] = []
    for one in seen.points:
        if not one.heard_hours or not one.heard_slots:
            continue
        share = min(Fraction(1), Fraction(one.heard_slots, SLOTS_AN_HOUR * one.heard_hours))
        shares.append(share)
        if share < rule.threshold:
            step = round(SLOT_US / MINUTE_US / share)
            findings.append(
                _find(rule, one.point, _percent(share), _percent(rule.threshold), count=step)
            )
    return _mean(shares), findings


def _day_boundary(seen: Seen, rule: Rule, _: Rules) -> Result:
    def misses(one: PointSeen) -> list[int]:
        return [each.at_us for each in one.boundaries or () if each.recorded_us is None]

    return _days(seen, rule, lambda one: one.boundaries or (), misses)


def _upload(seen: Seen, rule: Rule, _: Rules) -> Result:
    def known(one: PointSeen) -> Sequence[Boundary]:
        return [each for each in one.boundaries or () if each.recorded_us is not None]

    def late(one: PointSeen) -> list[int]:
        return [
            each.at_us
            for each in known(one)
            if each.recorded_us is not None and each.recorded_us > each.at_us + rule.most_us
        ]

    return _days(seen, rule, known, late)


def _days(
    seen: Seen,
    rule: Rule,
    all_of: Callable[[PointSeen], Sequence[Boundary]],
    wrong_of: Callable[[PointSeen], Sequence[int]],
) -> Result:
    """Return the share of days that keep a rule over all points, and the points that break it."""
    total = missed = 0
    findings: list[Finding] = []
    for one in seen.points:
        of, wrong = len(all_of(one)), wrong_of(one)
        total += of
        missed += len(wrong)
        if of and Fraction(of - len(wrong), of) < rule.threshold:
            findings.append(
                _find(
                    rule,
                    one.point,
                    _percent(Fraction(of - len(wrong), of)),
                    _percent(rule.threshold),
                    count=len(wrong),
                    of=of,
                    first=periods.day_of(min(wrong), seen.timezone).isoformat(),
                )
            )
    return (Fraction(total - missed, total) if total else None), findings


def _clock(seen: Seen, rule: Rule, _: Rules) -> Result:
    told = [one for one in seen.clocks if one.offset_ms is not None]
    wrong = [one for one in told if abs(one.offset_ms or 0) > rule.most_us / 1000]
    findings = [
        _find(rule, one.agent, f"{seconds} s", f"{rule.most_s} s", count=seconds)
        for one in wrong
        for seconds in [round(abs(one.offset_ms or 0) / 1000)]
    ]
    return (Fraction(len(told) - len(wrong), len(told)) if told else None), findings


def _agreement(seen: Seen, rule: Rule, _: Rules) -> Result:
    most = Fraction(rule.most_share or 0)
    compared = agreed = 0
    findings: list[Finding] = []
    for one in seen.agreements:
        if one.days is None or one.month is None:
            continue
        off = _apart(one.days, one.month)
        if off is not None and off <= most:
            agreed += 1
        elif one.days_unknown:
            continue  # what is unknown of a day may be what is missing
        else:
            subject = f"{one.unit} {one.indicator} {one.quantity}"
            value = "100 %" if off is None else _percent(off)
            findings.append(_find(rule, subject, value, _percent(most)))
        compared += 1
    return (Fraction(agreed, compared) if compared else None), findings


def _apart(days: Fraction, month: Fraction) -> Fraction | None:
    """Return how far the days are off the month, as its share; None: off a month of nothing."""
    if month == 0:
        return Fraction(0) if days == 0 else None
    return abs(days - month) / abs(month)


def _hand_entered(seen: Seen, rule: Rule, _: Rules) -> Result:
    most = Fraction(rule.most_share or 0)
    total, by_hand = sum(one.facts for one in seen.facts), sum(one.by_hand for one in seen.facts)
    findings = [
        _find(rule, one.unit, _percent(share), _percent(most), count=one.by_hand, of=one.facts)
        for one in seen.facts
        if one.facts
        for share in [Fraction(one.by_hand, one.facts)]
        if share > most
    ]
    return (Fraction(total - by_hand, total) if total else None), findings


def _estimated(seen: Seen, rule: Rule, _: Rules) -> Result:
    most = Fraction(rule.most_share or 0)
    shares: list[Fraction] = []
    findings: list[Finding] = []
    for one in seen.points:
        if one.energy <= 0:
            continue
        share = min(Fraction(1), one.estimated / one.energy)
        shares.append(1 - share)
        if share > most:
            findings.append(_find(rule, one.point, _percent(share), _percent(most)))
    return _mean(shares), findings


def _repair(seen: Seen, rule: Rule, rules: Rules) -> Result:
    days, zone = rule.most_working_days or 0, seen.timezone
    findings: list[Finding] = []
    for one in seen.points:
        for begin, end in one.silences:
            until = seen.now_us if end is None else end
            if until > rules.calendar.deadline(begin, days, zone):
                took = rules.calendar.between(begin, until, zone)
                findings.append(
                    _find(
                        rule,
                        one.point,
                        str(took),
                        str(days),
                        count=took,
                        first=periods.render(begin, zone)[:16],
                    )
                )
    late = {finding.subject for finding in findings}
    total = len(seen.points)
    return (Fraction(total - len(late), total) if total else None), findings


def _meters_in_date(seen: Seen, rule: Rule, _: Rules) -> Result:
    dated = [one for one in seen.points if one.verified_until is not None]
    last = periods.day_of(min(seen.bound_us[1], seen.now_us) - 1, seen.timezone)
    findings = [
        _find(rule, one.point, ended, last.isoformat(), first=ended)
        for one in dated
        if one.verified_until is not None and one.verified_until < last
        for ended in [one.verified_until.isoformat()]
    ]
    return (Fraction(len(dated) - len(findings), len(dated)) if dated else None), findings


def _validity(seen: Seen, rule: Rule, _: Rules) -> Result:
    total, faulty = sum(one.slots for one in seen.points), sum(one.faulty for one in seen.points)
    findings = [
        _find(
            rule,
            one.point,
            _percent(share),
            _percent(rule.threshold),
            count=one.faulty,
            of=one.slots,
        )
        for one in seen.points
        if one.slots
        for share in [Fraction(one.slots - one.faulty, one.slots)]
        if share < rule.threshold
    ]
    return (Fraction(total - faulty, total) if total else None), findings


def _rejected(seen: Seen, rule: Rule, _: Rules) -> Result:
    named = [(one.point, one.letters) for one in seen.points if one.letters]
    if seen.letters:
        named.append((seen.site, seen.letters))
    findings = [_find(rule, subject, str(count), "0", count=count) for subject, count in named]
    total = len(seen.points) + (1 if seen.letters else 0)
    return (Fraction(total - len(findings), total) if total else None), findings


_CHECKS: Final[Mapping[RuleId, Callable[[Seen, Rule, Rules], Result]]] = {
    RuleId.COMPLETENESS: _completeness,
    RuleId.CADENCE: _cadence,
    RuleId.DAY_BOUNDARY: _day_boundary,
    RuleId.CLOCK: _clock,
    RuleId.DAY_MONTH_AGREEMENT: _agreement,
    RuleId.HAND_ENTERED: _hand_entered,
    RuleId.ESTIMATED: _estimated,
    RuleId.REPAIR: _repair,
    RuleId.UPLOAD: _upload,
    RuleId.METERS_IN_DATE: _meters_in_date,
    RuleId.VALIDITY: _validity,
    RuleId.REJECTED: _rejected,
}


def _find(rule: Rule, subject: str, value: str, threshold: str, **filled: object) -> Finding:
    said = {"subject": subject, "value": value, "threshold": threshold, **filled}
    text = {language: form.format(**said) for language, form in rule.finding.items()}
    return Finding(rule.id, subject, value, threshold, text)


def _mean(shares: Iterable[Fraction | None]) -> Fraction | None:
    known = [share for share in shares if share is not None]
    return sum(known, Fraction(0)) / len(known) if known else None


def _percent(share: Fraction | Decimal) -> str:
    exact = Fraction(share) * 100
    scaled = decimals.round_half_even(exact.numerator * 10**_PLACES, exact.denominator)
    return f"{decimals.show(Fraction(scaled, 10**_PLACES))} %"
