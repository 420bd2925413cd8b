"""Server settings: the command line first, then the environment, then `danhao.toml`.

One optional file for all server programs; each takes its own tables of it. `[database]` is here
because every one of them needs it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from core import tomlfile
from core.errors import Misconfigured, Problem

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Mapping

    from core.tomlfile import Document

Model = TypeVar("Model", bound=BaseModel)

FILE: Final = "danhao.toml"
FILE_VARIABLE: Final = "DANHAO_CONFIG"
DATABASE_VARIABLE: Final = "DANHAO_DATABASE_URL"
CLOSE_KEY_VARIABLE: Final = "DANHAO_CLOSE_KEY_FILE"
MOST_FILE_BYTES: Final = 1 << 20
TABLES: Final = frozenset(
    {
        "access",
        "api",
        "channel",
        "close",
        "conditions",
        "database",
        "ingest",
        "mqtt",
        "platform",
        "store",
    }
)


def _database_url(value: object) -> object:
    if not isinstance(value, str) or not value.startswith(("postgresql://", "postgres://")):
        raise ValueError("write postgresql://user:password@host:port/name")
    return value


class Database(BaseModel):
    """`[database]`: where the store is."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
    url: Annotated[str, BeforeValidator(_database_url)]


class Close(BaseModel):
    """`[close]`: the private key that month closes are signed with; without one they are not."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    key_file: Path | None = None


def read_file(environment: Mapping[str, str], path: Path | None = None) -> Document:
    """Return danhao.toml: the path given, else DANHAO_CONFIG's, else the folder's own if there.

    Raises Misconfigured for a file that was named and is not there, and for unknown tables.
    """
    named = path or (Path(environment[FILE_VARIABLE]) if environment.get(FILE_VARIABLE) else None)
    place = named or Path(FILE)
    if named is None and not place.is_file():
        return tomlfile.Document(FILE, {})
    document = tomlfile.parse(read_text(place), str(place))
    unknown = [
        document.problem((table,), "is no table of danhao.toml: remove it or mend its name")
        for table in document.data
        if table not in TABLES
    ]
    if unknown:
        raise Misconfigured(unknown)
    return document


def section(
    document: Document, table: str, model: type[Model], variables: Mapping[str, tuple[str, str]]
) -> Model:
    """Check one table of the file, overlaid with values that come from elsewhere.

    `variables` maps a key to (where its value comes from, value). Raises Misconfigured with every
    problem; one of an overlaid key names where that value comes from.
    """
    given = document.data.get(table, {})
    data: dict[str, Any] = dict(given) if isinstance(given, dict) else {"": given}
    data |= {key: value for key, (_, value) in variables.items()}
    try:
        return model.model_validate(data)
    except ValidationError as error:
        overlaid = tomlfile.Document(document.name, {**document.data, table: data}, document.lines)
        problems = tomlfile.problems(overlaid, error, (table,))
        raise Misconfigured(
            [
                _named(problem, detail["loc"], variables)
                for problem, detail in zip(problems, error.errors(), strict=True)
            ]
        ) from error


def database(
    environment: Mapping[str, str],
    document: Document | None = None,
    *,
    url: str | None = None,
    data_dir: Path | None = None,
) -> Database:
    """Return where the store is: `url`, else `data_dir`'s, else the environment's, else the file's.

    Raises Misconfigured with one sentence where nothing names it.
    """
    document = read_file(environment) if document is None else document
    variables: dict[str, tuple[str, str]] = {}
    if url:
        variables["url"] = ("--database-url", url)
    elif data_dir is not None:
        variables["url"] = (str(data_dir / "endpoints.json"), endpoint(data_dir, "database"))
    elif environment.get(DATABASE_VARIABLE):
        variables["url"] = (DATABASE_VARIABLE, environment[DATABASE_VARIABLE])
    elif "database" not in document.data:
        raise Misconfigured(
            "no database is named: set DANHAO_DATABASE_URL, give --database-url or --data-dir, or"
            f" write [database] url into {FILE}"
        )
    return section(document, "database", Database, variables)


def database_of(options: Namespace, environment: Mapping[str, str]) -> Database:
    """Return where the store is for a command that has the options --database-url, --data-dir."""
    return database(environment, url=options.database_url, data_dir=options.data_dir)


def close(
    environment: Mapping[str, str],
    document: Document | None = None,
    *,
    key_file: Path | None = None,
) -> Close:
    """Return what signs month closes: `key_file`, else the environment's, else the file's."""
    document = read_file(environment) if document is None else document
    variables: dict[str, tuple[str, Any]] = {}
    if key_file is not None:
        variables["key_file"] = ("--key", key_file)
    elif environment.get(CLOSE_KEY_VARIABLE):
        variables["key_file"] = (CLOSE_KEY_VARIABLE, environment[CLOSE_KEY_VARIABLE])
    return section(document, "close", Close, variables)


def endpoint(data_dir: Path, key: str) -> str:
    """Return one address out of `endpoints.json` of a running `danhao up`."""
    path = data_dir / "endpoints.json"
    try:
        value = json.loads(read_text(path)).get(key)
    except (ValueError, AttributeError) as error:
        raise Misconfigured(
            [Problem(str(path), "is not a JSON object: start `up` anew")]
        ) from error
    if not isinstance(value, str) or not value:
        raise Misconfigured([Problem(str(path), f"has no {key!r}: start `danhao up` there first")])
    return value


def read_text(path: Path) -> str:
    """Return a bounded UTF-8 file of a person; raises Misconfigured with one sentence."""
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_FILE_BYTES + 1)
    except OSError as error:
        raise Misconfigured([Problem(str(path), f"cannot be read: {error.strerror}")]) from error
    if len(raw) > MOST_FILE_BYTES:
        raise Misconfigured([Problem(str(path), f"is larger than {MOST_FILE_BYTES} bytes")])
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise Misconfigured(
            [Problem(f"{path}:{line}", "is not UTF-8: save it as UTF-8")]
        ) from error


def _named(
    problem: Problem, path: tuple[str | int, ...], variables: Mapping[str, tuple[str, str]]
) -> Problem:
    """Name where an overlaid value comes from; what it is stays out, for it may be a secret."""
    key = str(path[0]) if path else ""
    if key not in variables:
        return problem
    return Problem(variables[key][0], problem.message.partition(" (found ")[0])
