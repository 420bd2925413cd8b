"""What a period item says against its limits: which limit leads, how far off, how much over. Pure.

Items are those of the API (design 4.4). Deviation is (value - limit) / limit, positive is worse
for every limit; excess is energy - limit * output, exact, of figures that are such a ratio.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from core import decimals
from core.limits import Force
from core.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from core.indicators import Indicator

Item = dict[str, Any]
_RANK: Final = {Force.MANDATORY: 0, Force.TARGET: 1, Force.REFERENCE: 2}


def applying(item: Mapping[str, Any] | None) -> list[Item]:
    """Return the verdicts of limits that apply, what binds first, lapsed ones last."""
    if item is None:
        return []
    found = [row for row in item["verdicts"] if row["verdict"] != Verdict.NOT_APPLICABLE]
    return sorted(found, key=_by_force)


def _by_force(row: Mapping[str, Any]) -> tuple[int, int, str]:
    rank = (10 if row["lapsed"] else 0) + _RANK.get(row["force"], 3)
    return rank, -(row["level"] or 0), row["limit"]


def leading(item: Mapping[str, Any] | None) -> Item | None:
    """Return the verdict that a summary shows: the gravest exceedance, else what binds first."""
    found = applying(item)
    over = [row for row in found if is_over(row)]
    return next(iter(over or found), None)


def is_over(row: Mapping[str, Any]) -> bool:
    """Tell whether it exceeds what binds: the law, or a target even past its due date."""
    return row["verdict"] == Verdict.EXCEEDS and row["force"] in {Force.MANDATORY, Force.TARGET}


def is_breach(item: Mapping[str, Any] | None) -> bool:
    """Tell whether a figure exceeds a mandatory limit or a target that has not lapsed."""
    return any(is_over(row) and not row["lapsed"] for row in applying(item))


def number(text: str | None) -> Fraction | None:
    """Return a decimal text as an exact number, None where there is none."""
    return None if text is None else Fraction(decimals.parse(text))


def limit_value(row: Mapping[str, Any]) -> Fraction | None:
    """Return what was compared; None where a correction misses its inputs."""
    return None if row.get("missing") else number(row["limit_value"])


def compared(item: Mapping[str, Any], row: Mapping[str, Any]) -> Mapping[str, str | None]:
    """Return energy, output, value and uncertainty of the time in which the limit holds."""
    part: Mapping[str, str | None] | None = row.get("part")
    if part is not None:
        return part
    return {
        "energy": item["energy"]["value"],
        "output": item["output"]["value"],
        "value": item["intensity"]["value"],
        "uncertainty": item["intensity"]["uncertainty"],
    }


def deviation(item: Mapping[str, Any], row: Mapping[str, Any]) -> Fraction | None:
    """Return (value - limit) / limit, positive is worse; None where it cannot be told."""
    value, limit = number(compared(item, row)["value"]), limit_value(row)
    if value is None or not limit:
        return None
    ratio = (value - limit) / limit
    return -ratio if row["cmp"].startswith(">") else ratio


def is_plain_ratio(indicator: Indicator) -> bool:
    """Tell whether the figure is energy over output in its own units: then excess has a sense."""
    return indicator.unit == f"{indicator.energy_unit}/{indicator.output_unit}"


def excess(
    indicator: Indicator, item: Mapping[str, Any], row: Mapping[str, Any]
) -> Fraction | None:
    """Return energy beyond limit * output, negative below it; None where it cannot be told."""
    if not is_plain_ratio(indicator) or row["cmp"].startswith(">"):
        return None
    told = compared(item, row)
    energy, output, limit = number(told["energy"]), number(told["output"]), limit_value(row)
    if energy is None or output is None or limit is None:
        return None
    return energy - limit * output


def of_limit(item: Mapping[str, Any], limit: str) -> Item | None:
    """Return an item's verdict on one limit where that applies."""
    return next((row for row in applying(item) if row["limit"] == limit), None)
