"""Promises of the OpenAPI document: every operation shows an example, and its schema takes it."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import pytest

from api import app
from api.problems import MEDIA_TYPE
from tests.api import examples

DOCUMENT = app.description()
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
}


def shown(operation: dict[str, Any]) -> dict[str, Any] | None:
    """Return the JSON answer of an operation, None where it answers none."""
    for status, response in operation["responses"].items():
        content: dict[str, Any] | None = response.get("content", {}).get("application/json")
        if status.startswith("2") and content is not None:
            return content
    return None


ANSWERED = [name for name, operation in OPERATIONS.items() if shown(operation) is not None]


@pytest.mark.parametrize("name", ANSWERED)
def test_every_operation_shows_an_answer_that_its_schema_takes(name: str) -> None:
    content = shown(OPERATIONS[name])
    assert content is not None
    assert "example" in content, "record it: tests/api/examples.py says how"
    schema = content["schema"] | {"components": DOCUMENT["components"]}
    validator = jsonschema_rs.validator_for(schema)
    wrong = [error.message for error in validator.iter_errors(content["example"])]
    assert wrong == []


@pytest.mark.parametrize("name", sorted(json.loads(examples.FILE.read_text("utf-8"))))
def test_no_example_is_left_of_an_operation_that_is_gone(name: str) -> None:
    assert name in OPERATIONS


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_error_is_a_problem_document(name: str) -> None:
    for status, response in OPERATIONS[name]["responses"].items():
        if status.startswith(("4", "5")):
            assert list(response["content"]) == [MEDIA_TYPE]
    assert {"429", "503"} <= OPERATIONS[name]["responses"].keys()
