"""A person's file is read with the line of every key, and all its mistakes are told at once."""

from __future__ import annotations

import tomllib
from typing import Annotated

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from core import tomlfile
from core.errors import Misconfigured

MARKS = """[ ] [[ ]] a b.c "x" 'q' = 1 # { } , . \\ " ' 1e400 2026-01-01T00:00:00Z"""
PIECES = st.sampled_from(
    [*MARKS.split(), '"""', "'''", "\n", "\r\n", " = ", "\u2028", "\x85", '"y z"']
)


class _Register(BaseModel):
    model_config = ConfigDict(extra="forbid")
    address: Annotated[int, Field(ge=0)]


class _Device(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    block: list[_Register] = Field(default_factory=list)


def lines(text: str) -> dict[str, int]:
    """Return the line of each key, dotted."""
    found = tomlfile.parse(text, "f.toml").lines
    return {".".join(map(str, path)): line for path, line in found.items()}


def test_tables_and_keys_have_the_line_they_stand_on() -> None:
    assert lines("a = 1\n\n# b = 2\n[t.u]\n  c = 3 # d = 4\n") == {"a": 1, "t.u": 4, "t.u.c": 5}


def test_each_table_of_an_array_has_its_own_lines() -> None:
    text = "[[p]]\nx = 1\n[[p]]\nx = 2\n[p.q]\ny = 3\n[[p.r]]\nz = 4\n[[p.r]]\nz = 5\n"
    assert lines(text) == {
        "p.0": 1,
        "p.0.x": 2,
        "p.1": 3,
        "p.1.x": 4,
        "p.1.q": 5,
        "p.1.q.y": 6,
        "p.1.r.0": 7,
        "p.1.r.0.z": 8,
        "p.1.r.1": 9,
        "p.1.r.1.z": 10,
    }


def test_an_inner_array_counts_anew_in_each_outer_table() -> None:
    text = "[[p]]\n[[p.r]]\nz = 1\n[[p]]\n[[p.r]]\nz = 2\n"
    assert lines(text)["p.1.r.0.z"] == 6


def test_dotted_and_quoted_keys_are_taken_apart_as_toml_does() -> None:
    assert lines('a."b.c" . \'d\' = 1\n[x."y z"]\nk=2\n') == {
        "a": 1,
        "a.b.c": 1,
        "a.b.c.d": 1,
        "x.y z": 2,
        "x.y z.k": 3,
    }


@pytest.mark.parametrize(
    "value",
    [
        '"""\nz = 9\n[fake]\n"""',
        "'''\nz = 9\n[[fake]]\n'''",
        "[\n  1, # ]\n  2,\n]",
        "[\n['z = 1'],\n]",
        '"""\n\\""" [ \n"""',
        '"""x"""" # a quote more\n\n',
        '"[ \\" {"\n\n',
        "{ z = [\n1] }\n",
    ],
)
def test_keys_after_a_value_of_several_lines_keep_their_line(value: str) -> None:
    text = f"a = {value}\nb = 1\n"
    tomllib.loads(text)
    found = lines(text)
    assert found["b"] == text.split("\n").index("b = 1") + 1
    assert not any("fake" in key or key == "z" for key in found)


def test_windows_line_ends_count_once() -> None:
    assert lines("a = 1\r\n[t]\r\nb = '''\r\nx\r\n'''\r\nc = 2\r\n") == {
        "a": 1,
        "t": 2,
        "t.b": 3,
        "t.c": 6,
    }


def test_only_a_line_feed_ends_a_line() -> None:
    assert lines("a = 'x\u2028y\x85z' # \u2029\nb = 2\n") == {"a": 1, "b": 2}


def test_a_syntax_error_names_file_and_line() -> None:
    with pytest.raises(Misconfigured) as caught:
        tomlfile.parse("a = 1\nb = \n", "plant.toml")
    assert str(caught.value).startswith("plant.toml:2: not TOML: ")
    assert "at line" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["a = " + "[" * 5000, "a = " + "9" * 5000, "a = 2026-02-30", "a=1\na=2", "\x00"]
)
def test_what_the_parser_cannot_hold_is_a_misconfiguration_too(text: str) -> None:
    with pytest.raises(Misconfigured, match=r"f\.toml"):
        tomlfile.parse(text, "f.toml")


def test_a_file_without_end_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(Misconfigured, match="longer than 4000000 characters"):
        tomlfile.parse("#" * (tomlfile.MOST_FILE_CHARS + 1), "f.toml")


def test_all_mistakes_are_told_each_with_its_line_and_key() -> None:
    text = "[[block]]\naddress = -1\n[[block]]\naddress = 'x'\nscale = 2\n[[block]]\n"
    with pytest.raises(Misconfigured) as caught:
        tomlfile.validate(tomlfile.parse(text, "f.toml"), _Device)
    assert str(caught.value).split("\n") == [
        "f.toml:1: name: is required and is not there: add it",
        "f.toml:2: block.0.address: Input should be greater than or equal to 0 (found -1)",
        (
            "f.toml:4: block.1.address: Input should be a valid integer, unable to parse string as"
            " an integer (found 'x')"
        ),
        "f.toml:5: block.1.scale: is not a key of this table: check the spelling or remove it",
        "f.toml:6: block.2.address: is required and is not there: add it",
    ]


def test_a_value_too_long_to_print_is_still_a_mistake_with_a_line() -> None:
    text = f"name = 0x{'f' * 9000}\n"
    with pytest.raises(Misconfigured, match=r"f\.toml:1: name: .*\(found a number too long"):
        tomlfile.validate(tomlfile.parse(text, "f.toml"), _Device)
    with pytest.raises(Misconfigured, match=r"\.\.\.\)$"):
        tomlfile.validate(tomlfile.parse(f"name = [{'1,' * 99}]\n", "f.toml"), _Device)


@settings(max_examples=300)
@given(st.lists(PIECES, max_size=30).map("".join) | st.text(max_size=80))
def test_any_text_is_read_or_is_a_misconfiguration(text: str) -> None:
    try:
        document = tomlfile.parse(text, "f.toml")
        tomlfile.validate(document, _Device)
    except Misconfigured as error:
        assert all(found.where.startswith("f.toml") for found in error.problems)  # noqa: PT017 - either outcome is right


KEYS = st.sampled_from(["a", "b", "c-d", "x y", "z.z"])
VALUES: st.SearchStrategy[str] = st.sampled_from(
    ["1", "'s'", '"""\nq = 1\n"""', "[\n1,\n2\n]", "{ k = 1 }", "true", "'''\n[n]\n'''"]
)


@given(st.lists(st.tuples(KEYS, st.dictionaries(KEYS, VALUES, max_size=3)), max_size=5))
def test_every_key_of_any_file_is_found_on_the_line_that_names_it(
    tables: list[tuple[str, dict[str, str]]],
) -> None:
    text = ""
    wanted: dict[tomlfile.Path, int] = {}
    for index, (_, table) in enumerate(tables):
        wanted["t", index] = text.count("\n") + 1
        text += "[[t]]\n"
        for key, value in table.items():
            wanted["t", index, key] = text.count("\n") + 1
            text += f'"{key}" = {value}\n'
    document = tomlfile.parse(text, "f.toml")
    assert {path: document.lines[path] for path in wanted} == wanted
