"""The whole OpenAPI document asked with every role: no fault, nothing undocumented, no leak.

Questions are drawn by schemathesis from the document itself, half of their ids are real ones, of
the caller's plant and of another's. A real server answers over a real store.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Any, LiteralString

import psycopg
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import strategies as st
from schemathesis import checks
from schemathesis.core.result import Ok
from schemathesis.specs.openapi import checks as openapi_checks

from api import app as application
from core import limits
from tests.api.routers.test_cases import tell
from tests.api.test_server import _running
from tests.api.world import FURNACE, FURNACE_METER, METER, POTLINE, bearer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemathesis import APIOperation, Case
    from schemathesis.core.transport import Response

    from store.connection import Pool

pytestmark = [pytest.mark.system, pytest.mark.slow]

#: Questions of each operation and role; the full run of the documentation asks with a hundred.
EXAMPLES = int(os.environ.get("DANHAO_TEST_CONTRACT_EXAMPLES", "6"))
ROLES = ("operator", "engineer", "regulator", "admin", "stranger")
#: What a role must never be told: the other plant.
FOREIGN = {"operator": "nx-fa", "regulator": "gh-al"}
STREAM = "/api/v1/live"  # never ends
CHECKS = (
    checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_schema_conformance,
)


@pytest.fixture
async def real_ids(database_url: str, pool: Pool, tokens: dict[str, str]) -> dict[str, list[str]]:
    """Return ids that are there, by the name of the parameter that takes them."""
    assert tokens  # the world is built
    raised = [await tell(pool, unit=unit) for unit in (POTLINE, FURNACE)]
    return {
        "alert": [alert for alert, _ in raised],
        "case": [case for _, case in raised],
        "unit": [POTLINE, FURNACE],
        "site": ["gh-al", "nx-fa"],
        "point": [METER, FURNACE_METER],
        "indicator": ["al.liquid.ac"],
        "limit": sorted(limits.catalogue())[:3],
        "month": ["2026-11"],
        "period": ["day", "month"],
        "jurisdiction": ["cn-qh", "cn-nx"],
        "result": _column(database_url, "select result::text from result limit 20"),
        "letter": _column(database_url, "select dead_letter_id::text from dead_letter"),
    }


def test_no_question_drawn_from_the_document_is_a_fault_or_tells_too_much(
    database_url: str, tokens: dict[str, str], real_ids: dict[str, list[str]]
) -> None:
    schema = schemathesis.openapi.from_dict(application.description())
    operations = [each.ok() for each in schema.get_all_operations() if isinstance(each, Ok)]
    asked: Counter[tuple[str, int]] = Counter()
    wrong: list[str] = []
    with _running(database_url, DANHAO_API_REQUESTS_PER_S="10000") as (address, _):
        for role in ROLES:
            headers = bearer(tokens[role]) if role in tokens else {}
            for operation in operations:
                if operation.path != STREAM:
                    wrong += _wrong(operation, (address, headers), role, real_ids, asked)
    told = {role: sum(n for (who, _), n in asked.items() if who == role) for role in ROLES}
    print(f"{sum(told.values())} questions to {len(operations)} operations: {told}")  # noqa: T201 - the figure to show
    assert not wrong, "\n".join(wrong)
    assert all(count >= len(operations) - 1 for count in told.values())
    # 429: whoever guesses at the ways to sign in is slowed down.
    open_to_strangers = {200, 401, 404, 405, 413, 415, 422, 429}
    assert {status for who, status in asked if who == "stranger"} <= open_to_strangers


def _wrong(
    operation: APIOperation[Any, Any, Any, Any],
    server: tuple[str, dict[str, str]],
    role: str,
    real: dict[str, list[str]],
    asked: Counter[tuple[str, int]],
) -> list[str]:
    """Ask one operation and return what was wrong with its answers, at most one sentence."""
    address, headers = server
    found: list[str] = []

    @settings(
        max_examples=EXAMPLES,
        database=None,
        derandomize=True,
        deadline=None,
        phases=[Phase.generate],
        verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(), draw=st.data())
    def ask(case: Case[Any], draw: st.DataObject) -> None:
        _use_real(case, draw, real)
        if found:
            return
        answer = case.call(base_url=address, headers=headers)
        asked[role, answer.status_code] += 1
        found.extend(_faults(case, answer, role))

    ask()
    return found


def _use_real(case: Case[Any], draw: st.DataObject, real: dict[str, list[str]]) -> None:
    for parameters in (case.path_parameters, case.query):
        for name in list(parameters or {}):
            is_size = name == "limit" and parameters is case.query
            if name in real and not is_size and draw.draw(st.booleans()):
                parameters[name] = draw.draw(st.sampled_from(real[name]))


def _faults(case: Case[Any], answer: Response, role: str) -> Iterator[str]:
    where = f"{role}: {case.method} {case.formatted_path} {dict(case.query or {})}"
    try:
        case.validate_response(answer, checks=list(CHECKS))
    except (AssertionError, schemathesis.errors.SchemathesisError, BaseExceptionGroup) as error:
        yield f"{where}: {answer.status_code}: {str(error)[:600]}"
    foreign = FOREIGN.get(role)
    if answer.status_code == 200 and foreign is not None and foreign.encode() in answer.content:
        yield f"{where}: tells of {foreign}"


def _column(database_url: str, question: LiteralString) -> list[str]:
    with psycopg.connect(database_url) as link:
        return [row[0] for row in link.execute(question).fetchall()]
