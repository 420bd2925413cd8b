"""One figure with everything behind it as a sealed file, to be checked without us."""

from typing import Final
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from api import answers, problems
from api.access import Action
from api.deps import Caller, Shared, allow, look
from core.clock import from_us
from store import closing, evidencepack, results

MOST_READINGS: Final = 100_000  # of one answer: a month of two points by the minute; 5 s of work
NDJSON: Final = "application/x-ndjson"
router = APIRouter(tags=["evidence"], dependencies=[allow(Action.READ_FIGURES)])


@router.get(
    "/api/v1/results/{result}/evidence",
    response_class=Response,
    responses={
        **answers.documented(None)["responses"],
        200: {"content": {NDJSON: {}}, "description": "The pack; a line is one JSON object."},
    },
)
async def get_evidence(shared: Shared, caller: Caller, result: UUID) -> Response:
    """Give the evidence pack of one figure, any version; of an open period as it is now.

    `Danhao-Evidence` says whether the checker, run before the answer, found that all of it follows.
    """
    signs = closing.signer(shared.settings.close_key_file)
    async with look(shared, caller) as view:
        row = await results.find(view.connection, result)
        if row is None:
            raise problems.not_found(f"No result has the id {result}.", "unknown_result")
        view.unit(row.unit)
        now = from_us(view.now_us)
        pack = await evidencepack.make(view.connection, row, now, signs, MOST_READINGS)
    headers = {
        "Content-Disposition": f'attachment; filename="evidence-{result}.jsonl"',
        "Danhao-Evidence": "follows" if not pack.problems else "differs",
        "Cache-Control": "no-store",
    }
    return Response(pack.data, headers=headers, media_type=NDJSON)
