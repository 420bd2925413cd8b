"""The catalogue: every row has a source, every mistake of a file is named with its line."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from core import indicators, limits
from core.clock import to_us
from core.errors import Misconfigured, Rejected

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
    assert len(caught.value.problems) == 3


def test_every_indicator_cites_its_rule_and_names_known_things() -> None:
    for indicator in indicators.catalogue().values():
        assert indicator.source
        assert bool(indicator.output) == indicator.computes
        assert set(indicator.name) == {"zh", "en"}


def test_an_unknown_indicator_names_those_there_are() -> None:
    with pytest.raises(Rejected, match=r"al\.liquid\.ac"):
        indicators.find("al.solid")
