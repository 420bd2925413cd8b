"""What a map's file promises: all its mistakes at once, and a meaning for every key."""

from __future__ import annotations

import pytest

from core.errors import Misconfigured
from edge import registermaps


def test_all_mistakes_of_a_map_are_told_at_once_with_their_lines() -> None:
    text = """\
title = "T"
source = ""
[quantity.a]
address = 65536
type = "int31"
[quantity.b]
address = 65535
type = "float32"
order = "ABDC"
counter = true
surprise = 1
[quantity.c]
address = 1
type = "int16"
scale = "0"
resolution = "0.1"
modulus = 10
bit = 3
"""
    with pytest.raises(Misconfigured) as caught:
        registermaps.parse(text, "meter.toml")
    where = {problem.where for problem in caught.value.problems}
    assert {
        "meter.toml:1: firmware",
        "meter.toml:2: source",
        "meter.toml:4: quantity.a.address",
        "meter.toml:5: quantity.a.type",
        "meter.toml:11: quantity.b.surprise",
        "meter.toml:12: quantity.c",
    } <= where
    told = str(caught.value)
    for part in ("scale must not be 0", "resolution belongs", "modulus belongs", "bit belongs"):
        assert part in told


def test_a_float_counter_without_resolution_and_a_wrong_order_are_mistakes() -> None:
    head = 'title = "T"\nsource = "S"\nfirmware = "F"\n[quantity.b]\naddress = 1\n'
    with pytest.raises(Misconfigured, match="needs resolution"):
        registermaps.parse(head + 'type = "float32"\ncounter = true\n', "m.toml")
    with pytest.raises(Misconfigured, match="ABCD, CDAB, BADC, DCBA"):
        registermaps.parse(head + 'type = "float32"\norder = "ABDC"\n', "m.toml")


def test_an_unknown_model_is_told_with_the_known_ones() -> None:
    for name in ("nobody_x1", "../secrets", "_blueprint"):
        with pytest.raises(Misconfigured, match="acrel_adw300"):
            registermaps.builtin(name)


HEAD = 'title = "T"\nsource = "S"\nfirmware = "F"\n'
PLAIN = '[quantity.n]\naddress = 9\ntype = "int16"\n'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[quantity.a]\naddress = 0\ntype = "string"\n', "a string needs length"),
        ('[quantity.a]\naddress = 0\ntype = "int16"\nlength = 2\n', "length belongs to strings"),
        ('[quantity.a]\naddress = 0\ntype = "string"\nlength = 2\ncounter = true\n', "counts noth"),
        ('[quantity.a]\naddress = 0\ntype = "int16"\nfunction = 1\n', "give bits: type is bit"),
        ('[quantity.a]\naddress = 0\ntype = "bit"\nfunction = 2\nbit = 3\n', "of a register only"),
        ('[quantity.a]\naddress = 0\ntype = "int16"\nexponent = "m"\n', "no quantity 'm'"),
        ('[quantity.a]\naddress = 0\ntype = "int16"\nexponent = "a"\n', "plain number of its own"),
        (
            PLAIN + '[quantity.a]\naddress = 0\ntype = "int16"\ncounter = true\nexponent = "n"\n',
            "needs least",
        ),
        (PLAIN + '[quantity.a]\naddress = 0\ntype = "int16"\nleast = 1\n', "least belongs to exp"),
        (
            PLAIN + '[quantity.a]\naddress = 0\ntype = "int16"\ncounter = true\nminus = "n"\n',
            "travels as it stands",
        ),
        (
            PLAIN + '[quantity.a]\naddress = 0\ntype = "int16"\nfactor = "n"\nzero_within = "1"\n',
            "do not go with factor",
        ),
        ('list_base = 1\n[quantity.a]\naddress = 0\ntype = "int16"\n', "has no register 0"),
        ('most_registers = 4\n[quantity.a]\naddress = 0\ntype = "string"\nlength = 5\n', "longer"),
        ('whole_block = 20\n[quantity.a]\naddress = 19\ntype = "int32"\n', "in one block of 20"),
    ],
)
def test_each_mistake_of_a_row_is_one_clear_sentence(text: str, told: str) -> None:
    with pytest.raises(Misconfigured, match=told) as caught:
        registermaps.parse(HEAD + text, "m.toml")
    assert all(problem.where.startswith("m.toml:") for problem in caught.value.problems)
