"""Verdicts as the core makes them are verdicts as the API promises them, with all they may say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from api.catalogue_schemas import LimitItem
from api.schemas import Inputs, LimitVerdict
from core import indicators, limits, verdicts
from core.verdicts import Held
from tests.core.test_verdicts import (
    CLINKER,
    DECLARED,
    FESI,
    FIRST,
    NEW,
    OCTOBER,
    OLD,
    SECOND,
    day,
    found,
)

if TYPE_CHECKING:
    from core.limits import Limit

EARLY, LATE = (day(2026, 10), day(2026, 10, 11)), (day(2026, 10, 11), day(2026, 11))


def figures(unit: str, *rows: Limit) -> dict[str, Any]:
    """Return the figures of October held against these rows."""
    declared = DECLARED.units[unit]
    indicator = indicators.find(rows[0].indicator)
    held = Held(DECLARED.sites[declared.site], declared, indicator, OCTOBER)
    known = {span: found("118") for span in (OCTOBER, FIRST, SECOND, EARLY, LATE)}
    made: dict[str, Any] = verdicts.figures(held, known, rows, {})
    return made


@pytest.mark.parametrize(
    ("unit", "rows", "says"),
    [
        ("s.bare", (OLD, NEW), {"part"}),
        ("s.furnace", (FESI,), {"own_value", "pieces"}),
        ("s.furnace", (CLINKER,), {"own_value", "corrections"}),
        ("low.kiln", (CLINKER,), {"own_value", "missing", "corrections"}),
    ],
)
def test_a_verdict_is_what_the_schema_says_to_the_last_key(
    unit: str, rows: tuple[Limit, ...], says: set[str]
) -> None:
    made = figures(unit, *rows)
    for verdict in made["verdicts"]:
        read = LimitVerdict.model_validate(verdict)
        told = read.model_dump(mode="json", by_alias=True, exclude_unset=True)
        assert set(told) == set(verdict)
        assert says <= set(verdict)
    Inputs.model_validate(made["inputs"])


def test_every_limit_is_what_the_schema_says() -> None:
    for limit in limits.catalogue().values():
        read = LimitItem.model_validate(limit.item())
        assert len(read.correction) == len(limit.correction)
