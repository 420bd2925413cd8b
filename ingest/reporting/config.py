"""`[[platform]]` of danhao.toml: where a plant reports, as whom, by which mapping.

Promise: the key stands in a file of its own, is read anew for every registration, and is in no
message of ours; what a platform answers may send us to hosts that a person wrote, and nowhere else.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from core import nationalreport, tomlfile
from core.errors import Misconfigured, Problem
from ingest import outgoing
from store import settings

if TYPE_CHECKING:
    from core.nationalreport import Names
    from core.tomlfile import Document

TABLE: Final = "platform"
MOST_PLATFORMS: Final = 8  # the province, the nation, their stand-ins; not a list of subscribers
LEAST_KEY_CHARS: Final = 8
MOST_KEY_CHARS: Final = 1_000
MOST_URL_CHARS: Final = 2_000
_SLUG: Final = r"^[a-z0-9]+(-[a-z0-9]+)*$"
_HOST: Final = r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$"


def check_address(value: object) -> str:
    """Return an address that may be posted to; raises ValueError with one sentence."""
    text = outgoing.check_address(value, "key_file")
    if urlsplit(text).query:
        raise ValueError("write https://host/path")
    if len(text) > MOST_URL_CHARS:
        raise ValueError(f"is longer than {MOST_URL_CHARS} characters")
    return text


class Platform(BaseModel):
    """One data centre that is reported to."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
    name: Annotated[str, Field(pattern=_SLUG, max_length=64)]
    url: Annotated[str, BeforeValidator(check_address)]
    key_file: Path
    report: Path
    mapping: Path | None = None
    service_hosts: tuple[Annotated[str, Field(pattern=_HOST)], ...] = ()
    ca_file: Path | None = None
    certificate_file: Path | None = None
    certificate_key_file: Path | None = None

    @model_validator(mode="after")
    def _whole_certificate(self) -> Platform:
        if (self.certificate_file is None) != (self.certificate_key_file is None):
            raise ValueError("give certificate_file and certificate_key_file, or neither")
        return self

    def key(self) -> str:
        """Read the key anew, so that a changed file counts from the next registration on."""
        text = settings.read_text(self.key_file).strip()
        if not LEAST_KEY_CHARS <= len(text) <= MOST_KEY_CHARS:
            message = f"holds no key of {LEAST_KEY_CHARS} to {MOST_KEY_CHARS} characters"
            raise Misconfigured([Problem(str(self.key_file), message)])
        return text

    def names(self) -> Names:
        """Return the mapping: the shipped one, or the file that a person has corrected."""
        if self.mapping is None:
            return nationalreport.shipped()
        return nationalreport.parse(settings.read_text(self.mapping), str(self.mapping))

    def service(self, address: object) -> str:
        """Return a service address that a registration gave; raises ValueError for a strange one.

        Only the platform's own host and those of `service_hosts` are gone to.
        """
        text = check_address(address)
        host = (urlsplit(text).hostname or "").lower()
        own = (urlsplit(self.url).hostname or "").lower()
        if host != own and host not in self.service_hosts:
            raise ValueError(f"the service address is at {host[:100]}: add it to service_hosts")
        return text.rstrip("/")


def load(document: Document) -> tuple[Platform, ...]:
    """Return the platforms of danhao.toml; raises Misconfigured with every problem."""
    given: Any = document.data.get(TABLE, [])
    if not isinstance(given, list):
        raise Misconfigured([document.problem((TABLE,), "write [[platform]] in double brackets")])
    if len(given) > MOST_PLATFORMS:
        message = f"holds {len(given)} platforms, at most {MOST_PLATFORMS}: remove some"
        raise Misconfigured([document.problem((TABLE,), message)])
    found: list[Platform] = []
    problems: list[Problem] = []
    for place, table in enumerate(given):
        try:
            platform = Platform.model_validate(table)
        except ValidationError as error:
            problems += [
                Problem(each.where, each.message.partition(" (found ")[0])
                for each in tomlfile.problems(document, error, (TABLE, place))
            ]
            continue
        problems += _own_problems(document, place, platform, found)
        found.append(platform)
    if problems:
        raise Misconfigured(problems)
    return tuple(found)


def _own_problems(
    document: Document, place: int, platform: Platform, before: list[Platform]
) -> list[Problem]:
    problems: list[Problem] = []
    if platform.name in {each.name for each in before}:
        message = f"{platform.name!r} is the name of another platform: choose one of its own"
        problems.append(document.problem((TABLE, place, "name"), message))
    # Figures are kept by the codes of one mapping: two mappings of one report would mix them.
    others = {each.mapping for each in before if each.report == platform.report}
    if others - {platform.mapping}:
        message = "another platform has the same report by another mapping: give both the same"
        problems.append(document.problem((TABLE, place, "mapping"), message))
    for key, check in (("key_file", platform.key), ("mapping", platform.names)):
        try:
            check()
        except Misconfigured as error:
            problems += [document.problem((TABLE, place, key), str(p)) for p in error.problems]
    return problems
