"""The page: hashed assets for ever, index.html never cached, every other path is the page's own.

A checkout whose page was not built answers with one plain sentence instead.
"""

from pathlib import Path
from typing import Final

from fastapi import APIRouter
from starlette.responses import FileResponse, PlainTextResponse, Response

from api import problems, security

FOLDER: Final = Path(__file__).parent / "web" / "static"
ASSETS: Final = "assets/"
FOR_EVER: Final = "public, max-age=31536000, immutable"
NOT_BUILT: Final = (
    "The page is not part of this installation: build it with `python hatch_build.py`."
    " The API answers below /api/v1.\n"
)


def page_router(folder: Path) -> APIRouter:
    """Return the routes of the page; they come last, for they answer every path."""
    router = APIRouter(include_in_schema=False)

    @router.api_route("/{path:path}", methods=["GET", "HEAD"], response_model=None)
    async def page(path: str) -> Response:
        """Serve a file of the page, or the page itself."""
        if security.is_guarded(f"/{path}"):
            raise problems.not_found(f"There is nothing at /{path[:200]}: see /docs.")
        return _serve(folder, path)

    return router


def _serve(folder: Path, path: str) -> Response:
    file = _inside(folder, path)
    if file is not None:
        cache = FOR_EVER if path.startswith(ASSETS) else "no-cache"
        return FileResponse(file, headers={"Cache-Control": cache})
    if path.startswith(ASSETS):
        raise problems.not_found(f"There is no asset /{path[:200]}: reload the page.")
    index = folder / "index.html"
    if index.is_file():
        return FileResponse(index, headers={"Cache-Control": "no-cache"})
    return PlainTextResponse(NOT_BUILT, headers={"Cache-Control": "no-cache"})


def _inside(folder: Path, path: str) -> Path | None:
    """Return the file of this path, or None where it is none or lies outside the folder."""
    if not path or "\x00" in path:
        return None
    root = folder.resolve()
    file = (root / path).resolve()
    try:
        return file if file.is_relative_to(root) and file.is_file() else None
    except OSError:  # a name longer than the file system takes
        return None
