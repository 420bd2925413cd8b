"""The public JSON of data quality: the score of a site, its rules, and what breaks them."""

from datetime import datetime

from api.schemas import Name, Schema


class QualityRule(Schema):
    """A rule with its source, and how it is kept: `share` of what it looks at, null if unchecked.

    `unchecked` is the reason why nothing was looked at.
    """

    rule: str
    index: str
    name: Name
    threshold: str
    most_s: int | None
    most_share: str | None
    most_working_days: int | None
    source: str
    paragraph: str
    quote: str | None
    mark: str
    note: str | None
    share: str | None
    kept: bool | None
    findings: int
    unchecked: str | None


class QualityFinding(Schema):
    """What breaks a rule, by how much, in words for people."""

    rule: str
    subject: str
    value: str
    threshold: str
    text: Name


class QualityItem(Schema):
    """The score of a site in a month, in per cent, with its six indices and all rules."""

    site: str
    period_start: datetime
    period_end: datetime
    closed: bool
    score: str | None
    indices: dict[str, str | None]
    rules: list[QualityRule]
    findings: list[QualityFinding]
    more_findings: int
    computed_at: datetime


class QualitySummary(Schema):
    """The score of a site in a month, without its rules: `broken` names those it breaks."""

    site: str
    period_start: datetime
    period_end: datetime
    closed: bool
    score: str | None
    indices: dict[str, str | None]
    broken: list[str]
    unchecked: list[str]
    findings: int
    computed_at: datetime
