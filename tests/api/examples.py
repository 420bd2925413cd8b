"""Examples of the API's documentation, recorded from its own tests and cut to what one reads.

`DANHAO_WRITE_EXAMPLES=1 pytest tests/api` writes `api/examples.json` anew: of every operation the
answer that says most within MOST_CHARS, and the body that was sent for it.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import api
from api.app import routes

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

FILE = Path(api.__file__).parent / "examples.json"
MOST_CHARS = 3_600
MOST_ELEMENTS = 2  # of a list: enough to see that there are several
WANTED = os.environ.get("DANHAO_WRITE_EXAMPLES") == "1"


def hooks() -> dict[str, list[Callable[..., Any]]]:
    """Return what a client of the tests is given so that its answers are looked at."""
    return {"response": [record]} if WANTED else {}


async def record(response: httpx.Response) -> None:
    """Keep an answer where it says more than the one that is kept."""
    kind = response.headers.get("content-type", "")
    if not response.is_success or not kind.startswith("application/json"):
        return
    name = _operation(response.request)
    if name is None:
        return
    await response.aread()
    found: dict[str, Any] = {"answer": _cut(response.json())}
    if response.request.headers.get("content-type") == "application/json":
        with suppress(ValueError):
            found["body"] = json.loads(response.request.content)
    kept = json.loads(FILE.read_text("utf-8")) if FILE.exists() else {}
    if _says(found) > _says(kept.get(name, {})):
        kept[name] = found
        write(kept)


def write(kept: dict[str, Any]) -> None:
    """Write the file: a line for each operation, so that a change shows which one it is of."""
    lines = [
        f"{json.dumps(name)}: {json.dumps(kept[name], ensure_ascii=False, sort_keys=True)}"
        for name in sorted(kept)
    ]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")


def _operation(request: httpx.Request) -> str | None:
    for route in routes():
        if not route.include_in_schema:
            continue
        if request.method in (route.methods or ()) and route.path_regex.match(request.url.path):
            return f"{request.method} {route.path}"
    return None


def _says(example: dict[str, Any]) -> int:
    size = len(json.dumps(example))
    return size if 2 < size <= MOST_CHARS else min(size, 3)


def _cut(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _cut(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_cut(each) for each in value[:MOST_ELEMENTS]]
    return value
