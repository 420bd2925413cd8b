"""The OpenAPI document: what FastAPI knows of the routes, and what the whole service does.

Errors are problem documents whatever route they come from, and any route may answer that the
caller asks too often or that the store is out; FastAPI cannot know either.
"""

from __future__ import annotations

import json
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from api import problems

if TYPE_CHECKING:
    from fastapi import FastAPI

_JSON: Final = "application/json"
_PROBLEM: Final = {"$ref": "#/components/schemas/Problem"}
_LEAST_ERROR: Final = 400
ALWAYS: Final = {
    "429": "More requests of this caller than are answered: wait as Retry-After says.",
    "503": "The store does not answer, or the server is full: try again as Retry-After says.",
}


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the document, made once for each application."""
    if app.openapi_schema is None:
        made = _original(app)
        for path, operations in made["paths"].items():
            for method, operation in operations.items():
                _complete(operation["responses"])
                _exemplify(operation, _examples().get(f"{method.upper()} {path}", {}))
        app.openapi_schema = made
    return app.openapi_schema


def _original(app: FastAPI) -> dict[str, Any]:
    found: dict[str, Any] = type(app).openapi(app)
    app.openapi_schema = None  # it remembers its own; ours is the one to remember
    return found


@lru_cache(maxsize=1)
def _examples() -> dict[str, dict[str, Any]]:
    """Return answers and bodies that our own tests saw, by operation."""
    text = (resources.files("api") / "examples.json").read_text("utf-8")
    found: dict[str, dict[str, Any]] = json.loads(text)
    return found


def _exemplify(operation: dict[str, Any], example: dict[str, Any]) -> None:
    for status, response in operation["responses"].items():
        content = response.get("content", {}).get(_JSON)
        if content is not None and status.startswith("2") and "answer" in example:
            content["example"] = example["answer"]
    content = operation.get("requestBody", {}).get("content", {}).get(_JSON)
    if content is not None and "body" in example:
        content["example"] = example["body"]


def _complete(responses: dict[str, Any]) -> None:
    for status, words in ALWAYS.items():
        responses.setdefault(status, {"description": words})
    for status, response in responses.items():
        if status.isdigit() and int(status) >= _LEAST_ERROR:
            response["content"] = {problems.MEDIA_TYPE: {"schema": _PROBLEM}}
