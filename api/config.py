"""Settings of the API: command line first, then environment, then `[api]` of danhao.toml."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from api.access_settings import Access
from api.live import MOST_CLIENTS
from api.rates import PER_S
from store import closing
from store import settings as files

DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 8080
VARIABLES: Final = {
    "host": "DANHAO_API_HOST",
    "port": "DANHAO_API_PORT",
    "requests_per_s": "DANHAO_API_REQUESTS_PER_S",
}


class _Table(BaseModel):
    """`[api]` of danhao.toml; every key has a default."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    host: str = Field(DEFAULT_HOST, min_length=1, max_length=253)
    port: int = Field(DEFAULT_PORT, ge=0, le=65_535, description="0 takes a free one.")
    most_live: int = Field(MOST_CLIENTS, ge=1, le=10_000, description="Open live streams.")
    most_connections: int = Field(8, ge=2, le=100, description="To the database.")
    requests_per_s: int = Field(PER_S, ge=1, le=10_000, description="Of one caller, for long.")
    proxies: tuple[str, ...] = Field(
        ("127.0.0.1", "::1"), max_length=50, description="Whose X-Forwarded-For is believed."
    )


class Settings(_Table):
    """What one API process is told; `database_url` is the only thing without a default."""

    database_url: str = Field(min_length=1, repr=False)
    close_key_file: Path | None = None  # what month closes are signed with; `[close]`
    access: Access = Access()  # sessions and identity providers; `[access]`


def load(
    environment: Mapping[str, str],
    *,
    host: str | None = None,
    port: int | None = None,
    database_url: str | None = None,
    data_dir: Path | None = None,
) -> Settings:
    """Return the settings; raises Misconfigured with every problem and where it stands."""
    document = files.read_file(environment)
    variables: dict[str, tuple[str, Any]] = {
        key: (variable, environment[variable])
        for key, variable in VARIABLES.items()
        if environment.get(variable)
    }
    if host is not None:
        variables["host"] = ("--host", host)
    if port is not None:
        variables["port"] = ("--port", str(port))
    table = files.section(document, "api", _Table, variables)
    database = files.database(environment, document, url=database_url, data_dir=data_dir)
    close = files.close(environment, document)
    # Read anew for each close, so that no secret stays in memory; told now where it is wrong.
    closing.signer(close.key_file)
    entry = files.section(document, "access", Access, {})
    return Settings(
        database_url=database.url,
        close_key_file=close.key_file,
        access=entry,
        **table.model_dump(),
    )
