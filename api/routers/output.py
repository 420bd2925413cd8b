"""Production facts: what was tapped, weighed or counted, read and sent by people."""

from typing import Any, Final

from fastapi import APIRouter, Request
from psycopg.errors import DataError
from starlette.responses import Response

from api import answers, problems, requests
from api.access import Action
from api.deps import Caller, Shared, View, allow, look
from api.output_schemas import OutputFact, OutputFactIn
from api.requests import Windowed
from api.schemas import Page
from core import output
from core.clock import to_us
from core.errors import Rejected
from store import access as tokens
from store import output as facts
from store import views
from store.views import OutputView

MOST_BODY_BYTES: Final = 1024 * 1024  # as on the wire
_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": OutputFactIn.model_json_schema()}},
    }
}
router = APIRouter(tags=["output"])


@router.get(
    "/api/v1/output",
    dependencies=[allow(Action.READ_FIGURES)],
    **answers.documented(Page[OutputFact]),
)
async def list_output(
    shared: Shared,
    caller: Caller,
    asked: Windowed,
    unit: str | None = None,
) -> Response:
    """List the facts with `at` in [from, to), oldest first, every revision of each."""
    after = requests.decode_cursor(asked.cursor, int, str, int)
    async with look(shared, caller) as view:
        units = [view.unit(unit)[0]] if unit is not None else view.units()
        if not units:
            return answers.page([])
        zone = view.declared.plant.sites[units[0].site].timezone
        span = asked.span(view.now_us, zone)
        rows = await views.output(
            view.connection,
            units=[one.id for one in units],
            from_us_=span.from_us,
            until_us=span.until_us,
            after=(after[0], after[1], after[2]) if after else None,
            limit=asked.limit + 1,
        )
    following = None
    if len(rows) > asked.limit:
        last = rows[asked.limit - 1]
        following = requests.encode_cursor(to_us(last.at), last.id, last.revision)
    return answers.page([_item(row) for row in rows[: asked.limit]], following)


@router.post(
    "/api/v1/output",
    status_code=201,
    dependencies=[allow(Action.WRITE_OUTPUT)],
    openapi_extra=_BODY,
    response_model=OutputFact,
    responses={
        200: {"model": OutputFact, "description": "The same fact was here already."},
        **answers.documented(OutputFact, 409, 413)["responses"],
    },
)
async def send_output(request: Request, shared: Shared, caller: Caller) -> Response:
    """Store one fact, as MQTT would: 201; the same again 200; the same revision changed 409."""
    body = await requests.body(request, MOST_BODY_BYTES, "send one fact at a time")
    now = shared.clock()
    async with look(shared, caller) as view:
        fact = output.parse(body, view.now_us)
        _check_unit(view, fact.unit)
        async with view.connection.transaction():
            try:
                outcome = await facts.write(view.connection, fact, f"user:{caller.name}", now)
            except DataError as error:
                raise Rejected(f"the fact {fact.id!r} cannot be stored: {error}") from error
            if outcome == "stored":
                await tokens.record(
                    view.connection,
                    at=now,
                    who=caller.name,
                    role=caller.role,
                    action="output",
                    subject=f"{fact.site}/{fact.id}/{fact.revision}",
                    detail=fact.item(),
                )
        kept = await views.output_fact(view.connection, fact.site, fact.id, fact.revision)
    if outcome == "conflict" or kept is None:
        raise problems.ProblemError(
            409,
            f"Revision {fact.revision} of {fact.id!r} is stored with other content: send a higher"
            " revision to correct it.",
        )
    return answers.json(_item(kept), 201 if outcome == "stored" else 200)


def _check_unit(view: View, unit: str) -> None:
    try:
        view.unit(unit)
    except problems.ProblemError as error:
        if error.status != 404:  # noqa: PLR2004 - not found
            raise
        raise Rejected(f"no unit has the id {unit!r}: declare it first", "unknown_unit") from error


def _amount(row: OutputView) -> dict[str, str | None]:
    """Return the fact's amount: of mass_t and amount with its unit one is null."""
    none: dict[str, str | None] = dict.fromkeys(("mass_t", "amount", "amount_unit"))
    return none | output.amount_item(row.mass_e6, row.amount_unit)


def _item(row: OutputView) -> dict[str, Any]:
    return {
        "id": row.id,
        "revision": row.revision,
        "unit": row.unit,
        "kind": row.kind,
        "at": answers.utc(row.at),
        "stream": row.stream,
        **_amount(row),
        "grades": dict(row.grades),
        "source": row.source,
        "recorded_at": answers.utc(row.recorded_at),
    }
