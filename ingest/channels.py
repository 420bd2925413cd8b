"""Where alerts are told: `[[channel]]` of danhao.toml, one webhook of a regulator or plant each.

Promise: a secret stands in a file of its own, is read anew for every delivery, and is in no
message; plain http is for this machine only.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from core import names, tomlfile
from core.errors import Misconfigured, Problem
from ingest import outgoing
from store import settings

if TYPE_CHECKING:
    from core.tomlfile import Document

TABLE: Final = "channel"
MOST_CHANNELS: Final = 32
LEAST_SECRET_CHARS: Final = 16
MOST_SECRET_CHARS: Final = 1_000
_SLUG: Final = r"^[a-z0-9]+(-[a-z0-9]+)*$"


def _webhook(value: object) -> str:
    """Check an address; raises ValueError with one sentence."""
    return outgoing.check_address(value, "the signature")


class Channel(BaseModel):
    """One receiver: told of alerts at or below its jurisdiction, from a severity on."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
    name: Annotated[str, Field(pattern=_SLUG, max_length=64)]
    kind: Literal["webhook"] = "webhook"
    url: Annotated[str, BeforeValidator(_webhook), Field(max_length=2_000)]
    secret_file: Path
    jurisdiction: Annotated[str, Field(pattern=_SLUG, max_length=64)]
    least_severity: Annotated[int, Field(ge=0, le=4)] = 0
    ca_file: Path | None = None

    def concerns(self, jurisdiction: str, severity: int) -> bool:
        """Tell whether the receiver is told of an alert there, so grave."""
        inside = names.is_within(jurisdiction, self.jurisdiction)
        return inside and severity >= self.least_severity

    def secret(self) -> bytes:
        """Read the secret anew, so that a changed file counts from the next delivery on."""
        text = settings.read_text(self.secret_file).strip()
        if not LEAST_SECRET_CHARS <= len(text) <= MOST_SECRET_CHARS:
            message = f"holds no secret of {LEAST_SECRET_CHARS} to {MOST_SECRET_CHARS} characters"
            raise Misconfigured([Problem(str(self.secret_file), message)])
        return text.encode()


def load(document: Document) -> tuple[Channel, ...]:
    """Return the channels of danhao.toml; raises Misconfigured with every problem."""
    given: Any = document.data.get(TABLE, [])
    if not isinstance(given, list):
        raise Misconfigured([document.problem((TABLE,), "write [[channel]] in double brackets")])
    if len(given) > MOST_CHANNELS:
        message = f"holds {len(given)} channels, at most {MOST_CHANNELS}: remove some"
        raise Misconfigured([document.problem((TABLE,), message)])
    channels: list[Channel] = []
    problems: list[Problem] = []
    for position, table in enumerate(given):
        try:
            channel = Channel.model_validate(table)
        except ValidationError as error:
            # What was found stays out: an address may hold a secret.
            problems += [
                Problem(each.where, each.message.partition(" (found ")[0])
                for each in tomlfile.problems(document, error, (TABLE, position))
            ]
            continue
        if channel.name in {each.name for each in channels}:
            message = f"{channel.name!r} is the name of another channel: choose one of its own"
            problems.append(document.problem((TABLE, position, "name"), message))
        channels.append(channel)
        problems += _secret_problems(document, position, channel)
    if problems:
        raise Misconfigured(problems)
    return tuple(channels)


def _secret_problems(document: Document, position: int, channel: Channel) -> list[Problem]:
    try:
        channel.secret()
    except Misconfigured as error:
        place = (TABLE, position, "secret_file")
        return [document.problem(place, str(problem)) for problem in error.problems]
    return []
