"""The audit: who wrote what, when; for administrators of the whole store."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from api import access, answers, problems, requests
from api.access import Action
from api.deps import Caller, Shared, allow
from api.entry_schemas import AuditItem
from api.requests import DEFAULT_LIMIT, Cursor, Limit
from api.schemas import Page
from store import access as tokens

router = APIRouter(tags=["audit"])
_Word = Annotated[str | None, Query(max_length=200, pattern=r"^[^\x00]*$")]


@router.get(
    "/api/v1/audit",
    dependencies=[allow(Action.READ_AUDIT)],
    **answers.documented(Page[AuditItem]),
)
async def list_audit(
    shared: Shared,
    caller: Caller,
    *,
    who: _Word = None,
    action: _Word = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Response:
    """List what was written, the newest first; its rows belong to no site, so `*` is asked for."""
    if not access.sees_everything(caller):
        raise problems.forbidden("The audit is of the whole store: it needs the scope *.")
    before = requests.decode_cursor(cursor, int)
    async with shared.pool.connection() as connection:
        rows = await tokens.audited(
            connection,
            before=before[0] if before else None,
            limit=limit + 1,
            who=who,
            action=action,
        )
    following = requests.encode_cursor(rows[limit - 1].number) if len(rows) > limit else None
    items = [
        {
            "number": row.number,
            "at": answers.utc(row.at),
            "who": row.who,
            "role": row.role,
            "action": row.action,
            "subject": row.subject,
            "detail": row.detail,
        }
        for row in rows[:limit]
    ]
    return answers.page(items, following)
