"""How answers leave: JSON encoded once, lists as pages. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from starlette.responses import Response

from api import schemas
from core import periods
from core.clock import to_us

JSON: Final = "application/json"
# What the law says is no secret: a browser may keep it, and asks whether it still holds.
KEPT: Final = {"Cache-Control": "private, no-cache"}
Responses = dict[int | str, dict[str, Any]]


def documented(model: Any, *more: int) -> dict[str, Any]:
    """Return what a route's decorator needs so that OpenAPI shows the answer and its errors.

    `more` are statuses beyond those that any route may answer.
    """
    problem = {"model": schemas.Problem, "description": "Problem document (RFC 9457)"}
    responses: Responses = dict.fromkeys((400, 401, 403, 404, 422, 503, *more), problem)
    return {"response_model": model, "responses": responses}


def json(data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Encode an answer; the models of `schemas` describe it and the tests hold it to them."""
    return Response(msgspec.json.encode(data), status, headers=headers, media_type=JSON)


def page(
    items: Sequence[Any], cursor: str | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """Answer with one page of a list."""
    return json({"items": items, "next": cursor}, headers=headers)


def utc(at: datetime | None) -> str | None:
    """Print an instant with `Z`, null where there is none."""
    return None if at is None else periods.render_utc(to_us(at))


def takes_gzip(accepted: str) -> bool:
    """Tell whether a client of this Accept-Encoding takes gzip (RFC 9110 12.5.3)."""
    weights: dict[str, str] = {}
    for one in accepted.lower().split(","):
        coding, _, weight = one.partition(";")
        weights[coding.strip()] = weight.strip().removeprefix("q=")
    weight = weights.get("gzip", weights.get("*", "0"))
    return weight.rstrip("0").rstrip(".") not in {"", "0"} or weight == ""
