"""The public JSON of the law as this program ships it: indicators and limits."""

from typing import Any, Literal

from api.schemas import Comparison, Force, Name, Policy, Schema


class BaseGradeItem(Schema):
    """Output in base tonnes: mass x grade / reference."""

    grade: str
    reference: str


class IndicatorItem(Schema):
    """The definition of an indicator."""

    id: str
    name: Name
    unit: str
    energy_unit: str
    output_unit: str
    carriers: list[str]
    roles: list[str]
    output: list[str]
    product: str
    boundary: Name
    formula: str
    formula_version: int
    source: str
    computes: bool
    later: Name | None
    requires: list[list[str]]
    base_grade: BaseGradeItem | None
    metered: str
    accounts: bool
    numerator: list[dict[str, Any]]
    denominator: list[dict[str, Any]]
    output_by: dict[str, list[dict[str, Any]]]
    parameters: dict[str, dict[str, Any]]
    mark: str | None
    note: str | None


class TrajectoryItem(Schema):
    """A value that is a change against a base year."""

    base_year: int
    end_year: int
    path: str


class LimitCorrection(Schema):
    """A correction of a limit: its kind and the numbers of the standard."""

    kind: str
    above_m: int | None = None
    constant: str | None = None
    slope: str | None = None
    of: str | None = None
    input: str | None = None
    reference: str | None = None
    per_point: str | None = None
    most_points: str | None = None
    least_cr_fe: str | None = None


class LimitItem(Schema):
    """One limit of one source; `valid_to` is the first day without it."""

    id: str
    indicator: str
    name: Name
    value: str
    cmp: Comparison
    unit: str
    force: Force
    level: int | None
    scheme: str
    jurisdiction: str
    valid_from: str
    valid_to: str | None
    due: str | None
    completeness: str
    policy: Policy
    correction: list[LimitCorrection]
    source: str
    clause: str
    quote: str | None
    note: str | None
    kind: Literal["limit", "trigger", "trajectory"]
    unit_in_text: str | None
    trajectory: TrajectoryItem | None
    mark: str | None
    computes: bool
    later: Name | None
