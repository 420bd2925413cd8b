"""A visit to the canned page in a real browser, and what the browser complained about meanwhile."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect

from tests.browser.server import TOKEN, CannedServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass  # no slots: the driver hangs its own attribute on the owner of a callback
class Seen:
    """What the browser complained about and asked for during a visit."""

    complaints: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)
    requests: list[str] = field(default_factory=list)

    def console(self, message: ConsoleMessage) -> None:
        # A browser logs every 401 as an error; asking who is signed in is how the page learns it.
        if message.type in {"error", "warning"} and "401" not in message.text:
            self.complaints.append(message.text)

    def request(self, request: Request) -> None:
        self.requests.append(request.url)
        self.hosts.add("/".join(request.url.split("/")[:3]))


@contextmanager
def visit(
    browser: Browser,
    server: CannedServer,
    path: str,
    *,
    sign_in: bool = True,
    width: int = 1440,
    height: int = 1000,
) -> Iterator[tuple[Page, Seen]]:
    """Open the page, signed in or not; afterwards nothing may have been complained about."""
    context: BrowserContext = browser.new_context(
        viewport={"width": width, "height": height}, locale="zh-CN"
    )
    try:
        seen = Seen()
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("console", seen.console)
        page.on("pageerror", lambda error: seen.complaints.append(str(error)))
        page.on("request", seen.request)
        page.goto(server.address + path)
        if sign_in:
            page.locator("#token").fill(TOKEN)
            page.keyboard.press("Enter")
            expect(page.locator("[data-detail]")).to_be_visible()
        yield page, seen
    finally:
        context.close()
