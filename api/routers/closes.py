"""Month closes: which months of a site are closed, what a snapshot says, and closing one."""

from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.responses import Response

from api import answers, problems, requests
from api.access import Action
from api.close_schemas import CloseIn, MonthCloseItem, SealedClose
from api.deps import Caller, Shared, View, allow, look
from api.schemas import Page, Problem
from store import access as tokens
from store import closefile, closing, standing
from store.closable import NotClosable

MOST_BODY_BYTES: Final = 4096  # a month
_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": CloseIn.model_json_schema()}},
    }
}
router = APIRouter(tags=["closes"])


@router.get(
    "/api/v1/sites/{site}/closes",
    dependencies=[allow(Action.READ_FIGURES)],
    **answers.documented(Page[MonthCloseItem]),
)
async def list_closes(shared: Shared, caller: Caller, site: str) -> Response:
    """List the closed months of a site, the first one first, and what has moved since."""
    async with look(shared, caller) as view:
        found = view.site(site)
        closes = await standing.of_sites(view.connection, [found.id])
    return answers.page([each.item(found.timezone) for each in closes])


@router.get(
    "/api/v1/closes/{close}",
    dependencies=[allow(Action.READ_FIGURES)],
    **answers.documented(SealedClose),
)
async def get_close(shared: Shared, caller: Caller, close: UUID) -> Response:
    """Show one close with the text that was hashed and signed, to be checked anywhere."""
    async with look(shared, caller) as view:
        closed = await closing.find(view.connection, close)
        if closed is None:
            raise problems.not_found(f"No month close has the id {close}.", "unknown_close")
        item = await _item(view, close)
    return answers.json({**item, **closefile.data(closed.seal)})


@router.post(
    "/api/v1/sites/{site}/closes",
    status_code=201,
    dependencies=[allow(Action.CLOSE_MONTH)],
    openapi_extra=_BODY,
    response_model=MonthCloseItem,
    responses={
        **answers.documented(MonthCloseItem)["responses"],
        409: {"model": Problem, "description": "Not over, not computed, not quiet, or closed."},
    },
)
async def close_month(request: Request, shared: Shared, caller: Caller, site: str) -> Response:
    """Close a month of the site; a snapshot is never made anew. 409 tells what stands in the way.

    With many readings it takes a while; who does not wait for the answer finds it in the list.
    """
    raw = await requests.body(request, MOST_BODY_BYTES, "name one month")
    async with look(shared, caller) as view:
        found = view.site(site)
        month = _asked(raw).month
        now = shared.clock()
        signs = closing.signer(shared.settings.close_key_file)
        async with view.connection.transaction():
            try:
                closed = await closing.close_month(
                    view.connection, found.id, month, f"user:{caller.name}", now, signs
                )
            except NotClosable as error:
                raise _refused(error) from error
            await tokens.record(
                view.connection,
                at=now,
                who=caller.name,
                role=caller.role,
                action="close_month",
                subject=f"{found.id}/{month}",
                detail={"sha256": closed.sha256.hex()},
            )
        item = await _item(view, closed.id)
    return answers.json(item, 201)


async def _item(view: View, close: UUID) -> dict[str, Any]:
    """Return a close as it stands; raises 403 for one of a foreign site."""
    found = await standing.of_close(view.connection, close)
    assert found is not None, "its row was just read"  # noqa: S101 - a belief about our own code
    return found.item(view.site(found.site).timezone)


def _asked(raw: bytes) -> CloseIn:
    try:
        return CloseIn.model_validate_json(raw)
    except ValidationError as error:
        raise RequestValidationError(
            [{**detail, "loc": ("body", *detail["loc"])} for detail in error.errors()]
        ) from error


def _refused(error: NotClosable) -> problems.ProblemError:
    reasons = [{"reason": each.reason, "message": each.sentence} for each in error.obstacles]
    return problems.ProblemError(409, f"{error}.", error.reason, extra={"errors": reasons})
