"""Bodies that a model describes: read with a bound, checked all at once, shown in OpenAPI."""

from typing import Any, Final, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from api import problems, requests

Model = TypeVar("Model", bound=BaseModel)

JSON: Final = "application/json"


def described(model: type[BaseModel]) -> dict[str, Any]:
    """Return what a route's `openapi_extra` says of its body."""
    schema = model.model_json_schema()
    return {"requestBody": {"required": True, "content": {JSON: {"schema": schema}}}}


async def read(request: Request, model: type[Model], most_bytes: int, advice: str) -> Model:
    """Return the body as a model; 413, 415 or a 422 with every mistake.

    A form of another site can not send this media type without asking first.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != JSON:
        raise problems.ProblemError(415, f"Send the body as {JSON}.", "media_type")
    raw = await requests.body(request, most_bytes, advice)
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        # Without the input: it may be a password.
        raise RequestValidationError(
            [
                {"loc": ("body", *detail["loc"]), "msg": detail["msg"], "type": detail["type"]}
                for detail in error.errors(include_input=False, include_url=False)
            ]
        ) from error
