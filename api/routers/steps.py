"""Steps of counters that were held as implausible, booked by a person (design 4.6)."""

from datetime import UTC, datetime

from fastapi import APIRouter
from starlette.responses import Response

from api import answers, problems
from api.access import Action
from api.deps import Caller, Shared, allow, look
from api.schemas import StepItem
from core import periods
from core.plant import PointKind
from store import access as tokens
from store import slots

router = APIRouter(tags=["points"])


@router.post(
    "/api/v1/points/{point}/steps/{at}/confirm",
    status_code=201,
    dependencies=[allow(Action.CONFIRM_STEP)],
    **answers.documented(StepItem),
)
async def confirm_step(shared: Shared, caller: Caller, point: str, at: str) -> Response:
    """Book the held step that ends with the reading at this instant; again: the first one stays."""
    try:
        at_us = periods.parse_instant(at.replace(" ", "+"))
    except ValueError as error:
        raise problems.ProblemError(422, f"The step's instant {at[:40]!r}: {error}.") from error
    now = shared.clock()
    async with look(shared, caller) as view:
        found, _ = view.point(point)
        point_id = view.declared.point_ids[found.id]
        if found.kind is not PointKind.COUNTER:
            raise problems.ProblemError(409, f"{point} is no counter: only counters hold steps.")
        if not await slots.has_reading(view.connection, point_id, at_us):
            raise problems.not_found(
                f"{point} has no usable reading at {at}: name the instant of the reading that the"
                " step ends with.",
                "unknown_step",
            )
        async with view.connection.transaction():
            who, since, is_new = await slots.confirm(
                view.connection, point_id, at_us, f"user:{caller.name}", now
            )
            if is_new:
                await tokens.record(
                    view.connection,
                    at=now,
                    who=caller.name,
                    role=caller.role,
                    action="confirm_step",
                    subject=f"{point}@{periods.render_utc(at_us)}",
                )
    item = {
        "point": point,
        "at": periods.render_utc(at_us),
        "confirmed_by": who,
        "confirmed_at": _shown(since),
    }
    return answers.json(item, 201 if is_new else 200)


def _shown(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
