"""The API's own description: OpenAPI as JSON, and a plain page made of it that loads nothing."""

from html import escape
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from api import answers
from api import openapi as description
from api.access import Action
from api.deps import allow

router = APIRouter(tags=["docs"], dependencies=[allow(Action.READ_DOCS)], include_in_schema=False)


@router.get("/openapi.json")
async def openapi(request: Request) -> Response:
    """Return the OpenAPI description."""
    return answers.json(description.describe(request.app))


@router.get("/docs")
async def docs(request: Request) -> Response:
    """Return the same as a page for people: no script, no style, no other host."""
    return HTMLResponse(render(description.describe(request.app)))


def render(description: dict[str, Any]) -> str:
    """Write the description as plain HTML."""
    info = description["info"]
    parts = [
        "<!doctype html><html lang=en><head><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width'>",
        f"<title>{escape(info['title'])}</title></head><body>",
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1>",
        f"<p>{escape(info.get('description', ''))} The same for programs: ",
        "<a href=/openapi.json>/openapi.json</a>.</p>",
    ]
    for path, operations in description["paths"].items():
        for method, operation in operations.items():
            parts += _operation(path, method, operation)
    return "".join([*parts, "</body></html>"])


def _operation(path: str, method: str, operation: dict[str, Any]) -> list[str]:
    rows = [
        f"<tr><td><code>{escape(one['name'])}</code></td><td>{escape(one['in'])}</td>"
        f"<td>{'required' if one.get('required') else ''}</td>"
        f"<td>{escape(one.get('description') or _kind(one.get('schema', {})))}</td></tr>"
        for one in operation.get("parameters", [])
    ]
    table = (
        "<table><thead><tr><th>parameter</th><th>in</th><th></th><th></th></tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>"
        if rows
        else ""
    )
    answered = ", ".join(escape(status) for status in operation.get("responses", {}))
    return [
        f"<h2><code>{escape(method.upper())} {escape(path)}</code></h2>",
        f"<p>{escape(operation.get('description', ''))}</p>{table}<p>Answers: {answered}</p>",
    ]


def _kind(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    return str(schema.get("type", ""))
