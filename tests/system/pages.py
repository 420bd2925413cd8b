"""The pages beside the overview, opened in a real browser before a running service.

Signed in through the API, so that a page is opened by its address alone, as a shared link is.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from playwright.sync_api import Page, expect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

    from tests.fixtures.service import Service

THIN_SPACE: Final = "\u2009"
MINUS: Final = "\u2212"


@contextmanager
def opened(
    browser: Browser,
    service: Service,
    path: str,
    *,
    role: str = "operator",
    size: tuple[int, int] = (1600, 1000),
) -> Iterator[Page]:
    """Open a page by its address; nothing may be complained about, and no other host asked."""
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, locale="zh-CN")
    complaints: list[str] = []
    hosts: set[str] = set()
    try:
        bearer = {"Authorization": f"Bearer {service.token(role)}"}
        answer = context.request.post(f"{service.url}/api/v1/session", headers=bearer)
        assert answer.ok, answer.status_text
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda message: (
                complaints.append(message.text) if message.type in {"error", "warning"} else None
            ),
        )
        page.on("request", lambda request: hosts.add("/".join(request.url.split("/")[:3])))
        page.goto(service.url + path)
        expect(page.locator("main:not([aria-busy])")).to_be_visible()
        yield page
        assert not complaints, complaints
        assert {host for host in hosts if not host.startswith("blob:")} == {service.url}, hosts
    finally:
        context.close()


def number(text: str) -> Decimal:
    """Return the number that a text of the page begins with: thin spaces, a true minus sign."""
    plain = text.replace(THIN_SPACE, "").replace(MINUS, "-").replace("+", "").strip()
    found = re.match(r"-?\d+(\.\d+)?", plain)
    assert found is not None, f"no number in {text!r}"
    return Decimal(found[0])


def agrees(text: str, figure: str) -> bool:
    """Tell whether a printed number is the figure, rounded to the places it is printed with.

    A dash, which stands until the figure has been read, is not.
    """
    if not any(letter.isdigit() for letter in text):
        return False
    printed = number(text)
    exponent = printed.as_tuple().exponent
    assert isinstance(exponent, int)
    return abs(printed - Decimal(figure)) <= Decimal(5).scaleb(exponent - 1)


def open_month(service: Service, unit: str) -> dict[str, Any]:
    """Return a unit's open month on its first indicator, as the API has it now."""
    view = service.get(f"/api/v1/units/{unit}")
    wanted = view["indicators"][0]
    found: dict[str, Any] = next(one for one in view["current"] if one["indicator"] == wanted)
    return found


def days(service: Service, unit: str) -> list[dict[str, Any]]:
    """Return the stored days of a unit's first indicator in this month, the oldest first."""
    items: list[dict[str, Any]] = service.get(f"/api/v1/units/{unit}/intensity", period="day")[
        "items"
    ]
    return items
