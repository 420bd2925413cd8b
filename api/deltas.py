"""What changed of a unit's view since it was told: members, and of known lists their elements.

A difference is told as objects, whole values of lists as arrays, so that the page can tell them
apart: `{"current": {"al.liquid.ac": {"energy": {"value": "12"}}}}` changes one figure of one item,
`{"current": [...]}` replaces them all. Pure; `api/web/src/core/delta.ts` is its other half.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

# Lists whose elements are told apart by a member of theirs.
IDENTITY: Final = {"current": "indicator", "today": "indicator", "verdicts": "limit"}


class _GoneError(Exception):
    """A member is there no more, which no difference can tell."""


def difference(view: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the members that were not told so; None where all of it must be told anew."""
    try:
        return _object(view, told)
    except _GoneError:
        return None


def _object(view: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    if told.keys() - view.keys():
        raise _GoneError
    return {
        name: _member(name, value, told.get(name))
        for name, value in view.items()
        if name not in told or told[name] != value
    }


def _member(name: str, value: object, told: object) -> object:
    if isinstance(value, dict) and isinstance(told, dict):
        return _object(value, told)
    if name in IDENTITY and isinstance(value, list) and isinstance(told, list):
        return _elements(value, told, IDENTITY[name])
    return value


def _elements(now: list[Any], told: list[Any], key: str) -> object:
    names = [each[key] for each in now]
    if names != [each[key] for each in told] or len(set(names)) < len(names):
        return now
    try:
        changed = {
            name: _object(each, before)
            for name, each, before in zip(names, now, told, strict=True)
            if each != before
        }
    except _GoneError:
        return now
    return changed
