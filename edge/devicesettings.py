"""What every `[[device]]` table of edge.toml has, whatever its driver; a driver adds its own."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from core import names

STRICT: Final = ConfigDict(extra="forbid", frozen=True)


def _slug(text: str) -> str:
    if not names.is_slug(text):
        raise ValueError("a name has lower-case letters, digits and single hyphens inside")
    return text


Slug = Annotated[str, AfterValidator(_slug)]
Host = Annotated[str, Field(min_length=1, max_length=253)]
Port = Annotated[int, Field(ge=1, le=65_535)]
UserPort = Annotated[int, Field(ge=1_024, le=65_535)]
SerialPath = Annotated[str, Field(pattern=r"^/dev/\S+$")]


class DeviceSettings(BaseModel):
    """One device: its name for people, how often it is read, and how long it may take.

    A subclass adds how it is reached and `points`, a table whose keys are point ids.
    """

    model_config: ClassVar[ConfigDict] = STRICT

    name: Slug
    driver: str
    period_s: Annotated[float, Field(ge=0.1, le=86_400)] = 10.0
    timeout_s: Annotated[float, Field(ge=0.05, le=60)] = 3.0
