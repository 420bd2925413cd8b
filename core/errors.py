"""The error tree, sorted by what the caller may do.

DanhaoError
 +-- Retryable      try again later: the world is out, the input is fine
 +-- Rejected       this input never: keep it as a dead letter or answer 4xx
 +-- Misconfigured  stop now: a person must change a file or a setting

A message is one sentence that says what is wrong, where, and what to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class DanhaoError(Exception):
    """Any failure this service foresees; never raised itself, only its three children."""


class Retryable(DanhaoError):  # noqa: N818 - named after what the caller may do
    """The input is fine and the world is out: try again later."""


class Rejected(DanhaoError):  # noqa: N818 - named after what the caller may do
    """This input will never be accepted; `reason` is a word of a closed list where there is one."""

    def __init__(self, message: str, reason: str = "rejected") -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a file of a person: where it stands and what to do about it."""

    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


class Misconfigured(DanhaoError):  # noqa: N818 - named after what the caller may do
    """A person must change a file or a setting; carries all problems found, not the first."""

    def __init__(self, problems: Sequence[Problem] | str) -> None:
        self.problems: tuple[Problem, ...] = (
            (Problem("", problems),) if isinstance(problems, str) else tuple(problems)
        )
        text = problems if isinstance(problems, str) else "\n".join(map(str, problems))
        super().__init__(text)


def first_line(error: Exception) -> str:
    """Return what an error says, without the lines that libraries add; its kind if it is silent."""
    return (str(error) or type(error).__name__).splitlines()[0]
