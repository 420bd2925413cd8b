"""Dead letters: what was refused, and what a person has done about it.

The API itself admits nothing: it marks a letter, and an ingest worker replays it within seconds.
"""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path
from starlette.responses import Response

from api import access, answers, problems, requests
from api.access import Action
from api.deps import Caller, Shared, View, allow, look
from api.requests import DEFAULT_LIMIT, Cursor, Limit
from api.schemas import DeadLetterItem, Page
from store import access as tokens
from store import dead_letters
from store.dead_letters import Kept, Wanted

router = APIRouter(tags=["path"])
MOST_SHOWN: Final = 500  # of one page: a letter may bring 64 KiB from the store
Id = Annotated[int, Path(ge=1, le=2**63 - 1)]


@router.get(
    "/api/v1/dead-letters",
    dependencies=[allow(Action.READ_DEAD_LETTERS)],
    **answers.documented(Page[DeadLetterItem]),
)
async def list_dead_letters(
    shared: Shared,
    caller: Caller,
    reason: str | None = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Response:
    """List what was not admitted, newest first; what names no declared site needs scope `*`."""
    before = requests.decode_cursor(cursor, int)
    limit = min(limit, MOST_SHOWN)
    async with look(shared, caller) as view:
        rows = await dead_letters.page(
            view.connection,
            Wanted(reason=reason, sites=_sites(view)),
            before=before[0] if before else None,
            limit=limit + 1,
        )
    following = requests.encode_cursor(rows[limit - 1].id) if len(rows) > limit else None
    return answers.page([_item(row) for row in rows[:limit]], following)


@router.post(
    "/api/v1/dead-letters/{letter}/replay",
    status_code=202,
    dependencies=[allow(Action.MEND_DEAD_LETTERS)],
    **answers.documented(DeadLetterItem, 409),
)
async def replay_dead_letter(shared: Shared, caller: Caller, letter: Id) -> Response:
    """Have the letter sent through admission again; its `state` soon tells how it ended."""
    now = shared.clock()
    async with look(shared, caller) as view:
        kept = await _own(view, letter)
        if kept.cut:
            raise problems.ProblemError(
                409,
                f"Only the first {len(kept.payload)} of {kept.payload_bytes} bytes of the letter"
                " are kept: have it sent again from where it came.",
                "cut",
            )
        async with view.connection.transaction():
            wanted = Wanted(ids=[letter])
            await dead_letters.ask(view.connection, wanted, f"user:{caller.name}", now)
            await _record(view, "replay_letter", letter, now)
        kept = await _own(view, letter)
    return answers.json(_item(kept), 202)


@router.post(
    "/api/v1/dead-letters/{letter}/discard",
    dependencies=[allow(Action.MEND_DEAD_LETTERS)],
    **answers.documented(DeadLetterItem),
)
async def discard_dead_letter(shared: Shared, caller: Caller, letter: Id) -> Response:
    """Mark the letter as not wanted any more; it stays until newer ones need its room."""
    now = shared.clock()
    async with look(shared, caller) as view:
        kept = await _own(view, letter)
        if kept.discarded_at is None:
            async with view.connection.transaction():
                wanted = Wanted(ids=[letter])
                await dead_letters.discard(view.connection, wanted, f"user:{caller.name}", now)
                await _record(view, "discard_letter", letter, now)
            kept = await _own(view, letter)
    return answers.json(_item(kept))


def _sites(view: View) -> list[str] | None:
    """Return the sites whose letters the caller may see; None: all, the undeclared ones too."""
    if access.sees_everything(view.caller):
        return None
    return [site.id for site in view.sites()]


async def _own(view: View, letter: int) -> Kept:
    """Return a letter; raises 404 for an unknown and 403 for a foreign one."""
    found = await dead_letters.page(view.connection, Wanted(ids=[letter]), limit=1)
    if not found:
        raise problems.not_found(f"No dead letter has the id {letter}.", "unknown_letter")
    sites = _sites(view)
    if sites is not None and found[0].site not in sites:
        raise problems.forbidden(f"Dead letter {letter} lies outside the scope of your token.")
    return found[0]


async def _record(view: View, action: str, letter: int, now: Any) -> None:
    await tokens.record(
        view.connection,
        at=now,
        who=view.caller.name,
        role=view.caller.role,
        action=action,
        subject=f"dead-letter/{letter}",
    )


def _item(row: Kept) -> dict[str, Any]:
    return {
        "id": row.id,
        "recorded_at": answers.utc(row.recorded_at),
        "reason": row.reason,
        "topic": row.topic,
        "site": row.site,
        "agent": row.agent,
        "point": row.point,
        "measured_at": answers.utc(row.measured_at),
        "detail": row.detail,
        "payload_bytes": row.payload_bytes,
        "state": row.state,
        "mended_at": answers.utc(row.mended_at),
        "replayed_at": answers.utc(row.replayed_at),
        "replayed_by": row.replayed_by,
        "outcome": row.outcome_detail,
    }
