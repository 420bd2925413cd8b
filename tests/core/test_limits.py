"""The catalogue: every row has a source, every mistake of a file is named with its line."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import indicators, limits
from core.clock import to_us
from core.errors import Misconfigured, Rejected
from core.limits import Comparison

ROW = """
[limit."x"]
indicator = "al.liquid.ac"
name = { zh = "甲", en = "x" }
value = "12750"
cmp = "<="
unit = "kWh/t"
force = "target"
scheme = "provincial_target"
jurisdiction = "cn-qh"
valid_from = 2017-01-01
source = "seeds/000.txt"
clause = "1"
"""


@pytest.mark.parametrize(
    ("cmp", "kept"),
    [("<=", (True, True, False)), ("<", (True, False, False)), (">=", (False, True, True)),
     (">", (False, False, True))],
)  # fmt: skip
def test_equality_fails_at_a_strict_limit(cmp: str, kept: tuple[bool, ...]) -> None:
    found = tuple(Comparison(cmp).keeps(Fraction(used), Fraction(10)) for used in (9, 10, 11))
    assert found == kept


def test_the_seed_targets_and_the_national_levels_are_there() -> None:
    catalogue = limits.catalogue()
    figures = {limit.id: limit.value for limit in catalogue.values()}
    assert figures["cn-qh.al.liquid.ac.target-2020"] == Decimal(12750)
    assert figures["cn-qh.al.ingot.ac_comprehensive.target-2020"] == Decimal(13200)
    levels = [figures[f"cn.al.liquid.ac.gb21346-2022.level-{level}"] for level in (1, 2, 3)]
    assert levels == [Decimal(12950), Decimal(13000), Decimal(13350)]


def test_only_a_standard_in_force_binds_and_only_at_level_3() -> None:
    for limit in limits.catalogue().values():
        assert (limit.force is limits.Force.MANDATORY) == (limit.level == 3), limit.id


def test_a_target_past_its_due_day_has_lapsed_and_still_applies() -> None:
    target = limits.find("cn-qh.al.liquid.ac.target-2020")
    for year, lapsed in ((2019, False), (2026, True)):
        start = to_us(datetime(year, 6, 1, tzinfo=UTC))
        assert target.lapsed(start, "Asia/Shanghai") is lapsed
        assert target.applies("cn-qh", start, "Asia/Shanghai")


def test_the_last_day_of_a_standard_is_the_day_before_the_next_one() -> None:
    old = limits.find("cn.al.liquid.ac.gb21346-2013.level-3")
    new = limits.find("cn.al.liquid.ac.gb21346-2022.level-3")
    change = to_us(datetime(2023, 12, 31, 16, tzinfo=UTC))  # 2024-01-01 00:00 in the plant
    assert old.applies("cn-qh", change - 1, "Asia/Shanghai")
    assert not new.applies("cn-qh", change - 1, "Asia/Shanghai")
    assert not old.applies("cn-qh", change, "Asia/Shanghai")
    assert new.applies("cn-qh", change, "Asia/Shanghai")


def test_an_unknown_id_names_the_nearest() -> None:
    with pytest.raises(Rejected, match=r"did you mean .*cn-qh\.al\.liquid\.ac\.target-2020"):
        limits.find("cn-qh.al.liquid.ac.target-2025")


@pytest.mark.parametrize(
    ("wrong", "line", "says"),
    [
        (('value = "12750"', "value = 12750"), 5, "as a string"),
        (('value = "12750"', 'value = "twelve"'), 5, "not a plain decimal"),
        (('cmp = "<="', 'cmp = "=<"'), 6, "cmp"),
        (('unit = "kWh/t"', 'unit = "kgce/t"'), 7, "the indicator's unit is kWh/t"),
        (('"al.liquid.ac"', '"al.solid"'), 3, "unknown indicator"),
        (('source = "seeds/000.txt"\n', ""), 2, "source: is required"),
    ],
)
def test_a_wrong_row_is_named_with_file_line_and_key(
    wrong: tuple[str, str], line: int, says: str
) -> None:
    with pytest.raises(Misconfigured) as caught:
        limits.parse(ROW.replace(*wrong), "mine.toml")
    message = str(caught.value)
    assert message.startswith(f"mine.toml:{line}: limit.x")
    assert says in message


def test_all_mistakes_come_at_once() -> None:
    text = ROW.replace('"<="', '"=<"').replace('"target"', '"aim"').replace('clause = "1"', "")
    with pytest.raises(Misconfigured) as caught:
        limits.parse(text, "mine.toml")
    assert len(caught.value.problems) == 4


def told(text: str) -> list[str]:
    """Return all that is said of a file."""
    with pytest.raises(Misconfigured) as caught:
        limits.parse(text, "mine.toml")
    return [str(problem) for problem in caught.value.problems]


def row(key: str, **changed: str) -> str:
    """Return a row with some keys written otherwise; an empty one is left out."""
    lines = []
    for line in ROW.strip().splitlines()[1:]:
        name = line.split(" = ")[0]
        value = changed.pop(name, line.split(" = ", 1)[1])
        if value:
            lines.append(f"{name} = {value}")
    lines += [f"{name} = {value}" for name, value in changed.items()]
    return "\n".join([f'[limit."{key}"]', *lines, ""])


def test_mistakes_of_keys_and_of_meaning_come_together() -> None:
    text = row("a", source="") + row("b", unit='"kgce/t"', value="1", level="3", source='"GB 1"')
    said = told(text + row("c", indicator='"al.solid"', source='"GB 1"'))
    assert [one.split(": ")[:2] for one in said] == [
        ["mine.toml:1", "limit.a.source"],
        ["mine.toml:15", "limit.b.value"],
        ["mine.toml:17", "limit.b.unit"],
        ["mine.toml:26", "limit.c.indicator"],
    ]


@pytest.mark.parametrize(
    ("first", "second", "overlap"),
    [
        ((None, None), (None, None), True),
        (("2020-01-01", None), ("2026-01-01", None), True),
        (("2020-01-01", "2026-01-01"), ("2026-01-01", None), False),
        (("2020-01-01", "2026-01-02"), ("2026-01-01", None), True),
        (("2026-01-01", None), ("2020-01-01", "2026-01-01"), False),
        (("2020-01-01", None), ("2021-01-01", "2022-01-01"), True),
    ],
)
def test_two_editions_of_a_limit_never_hold_on_the_same_day(
    first: tuple[str | None, str | None], second: tuple[str | None, str | None], *, overlap: bool
) -> None:
    rows = [
        row(
            key,
            source='"GB 1"',
            **{
                name: day
                for name, day in zip(("valid_from", "valid_to"), span, strict=True)
                if day is not None
            },
        )
        for key, span in (("one", first), ("two", second))
    ]
    text = "".join(rows)
    if not overlap:
        assert set(limits.parse(text, "mine.toml")) == {"one", "two"}
        return
    (said,) = told(text)
    assert "valid_from" in said
    assert "(mine.toml:" in said
    assert "give the older one a valid_to" in said


def test_an_edition_that_outlives_the_next_overlaps_the_one_after() -> None:
    long = row("long", source='"GB 1"', valid_from="2000-01-01", valid_to="2030-01-01")
    short = row("short", source='"GB 1"', valid_from="2001-01-01", valid_to="2002-01-01")
    late = row("late", source='"GB 1"', valid_from="2029-01-01")
    said = told(long + short + late)
    assert [one.split(": ")[1] for one in said] == [
        "limit.short.valid_from",
        "limit.late.valid_from",
    ]
    assert all("'long'" in one for one in said)


def test_other_words_for_level_scheme_or_place_are_another_limit() -> None:
    given = [{}, {"level": "1"}, {"scheme": '"mine"'}, {"jurisdiction": '"cn-gs"'}]
    rows = [row(f"r{n}", source='"GB 1"', **one) for n, one in enumerate(given)]
    assert len(limits.parse("".join(rows), "mine.toml")) == 4


@pytest.mark.parametrize(
    ("correction", "says"),
    [
        ('{ kind = "altitude", above_m = 1500 }', "constant is missing; slope is missing"),
        ('{ kind = "share", input = "ore", per_point = "1" }', "input 'ore' is not one of"),
        (
            '{ kind = "clinker_share", reference = "75", per_point = "1" }',
            "less than or equal to 1",
        ),
        ('{ kind = "humidity" }', "correction.kind"),
        (
            '{ kind = "clinker_share", reference = "0.75", per_point = "1", above_m = 1 }',
            "above_m does not belong to it",
        ),
    ],
)
def test_a_correction_that_does_not_fit_its_kind_is_refused(correction: str, says: str) -> None:
    (said,) = told(row("x", source='"GB 1"', correction=correction))
    assert said.startswith("mine.toml:13: limit.x.correction")
    assert says in said


def test_only_an_upper_limit_has_corrections() -> None:
    share = '{ kind = "clinker_share", reference = "0.75", per_point = "1" }'
    (said,) = told(row("x", source='"GB 1"', cmp='">="', correction=share))
    assert "only an upper limit" in said


def test_one_correction_may_be_written_without_brackets() -> None:
    share = '{ kind = "clinker_share", reference = "0.75", per_point = "1" }'
    for written in (share, f"[{share}]"):
        read = limits.parse(row("x", source='"GB 1"', correction=written), "mine.toml")["x"]
        assert [one.item() for one in read.correction] == [
            {"kind": "clinker_share", "reference": "0.75", "per_point": "1"}
        ]


def test_a_policy_is_guarded_unless_told() -> None:
    read = limits.parse(row("x", source='"GB 1"'), "mine.toml")["x"]
    assert read.policy is limits.Policy.GUARDED
    simple = limits.parse(row("x", source='"GB 1"', policy='"simple"'), "mine.toml")["x"]
    assert simple.item()["policy"] == "simple"
    (said,) = told(row("x", source='"GB 1"', policy='"strict"'))
    assert "policy" in said
    assert set(limits.POLICY_WORDS) == set(limits.Policy)


def test_a_limit_holds_in_part_of_the_period_in_which_it_begins_or_ends() -> None:
    old = limits.find("cn.al.liquid.ac.gb21346-2013.level-3")
    new = limits.find("cn.al.liquid.ac.gb21346-2022.level-3")
    december, january, february = (
        to_us(datetime(year, month, 30, 16, tzinfo=UTC))
        for year, month in ((2023, 11), (2023, 12), (2024, 1))
    )
    change = to_us(datetime(2023, 12, 31, 16, tzinfo=UTC))
    whole = (december, february)
    assert old.part("cn-qh", whole, "Asia/Shanghai") == (december, change)
    assert new.part("cn-qh", whole, "Asia/Shanghai") == (change, february)
    assert new.part("cn-qh", (december, january), "Asia/Shanghai") is None
    assert old.part("cn", (december, january), "Asia/Shanghai") == (december, january)
    assert old.part("kz", whole, "Asia/Shanghai") is None


def test_every_indicator_cites_its_rule_and_names_known_things() -> None:
    for indicator in indicators.catalogue().values():
        assert indicator.source
        assert set(indicator.name) == {"zh", "en"}


def test_an_unknown_indicator_names_those_there_are() -> None:
    with pytest.raises(Rejected, match=r"al\.liquid\.ac"):
        indicators.find("al.solid")


@settings(max_examples=80)
@given(st.integers(0, 12), st.text(max_size=14), st.integers(0, 40))
def test_a_limits_file_spoilt_anywhere_is_read_or_is_a_misconfiguration(
    number: int, junk: str, column: int
) -> None:
    share = '{ kind = "clinker_share", reference = "0.75", per_point = "1" }'
    lines = row("x", source='"GB 1"', correction=share).split("\n")
    lines[number] = lines[number][:column] + junk + lines[number][column + 1 :]
    try:
        limits.parse("\n".join(lines), "mine.toml")
    except Misconfigured as error:
        assert error.problems  # noqa: PT017 - either outcome is right
