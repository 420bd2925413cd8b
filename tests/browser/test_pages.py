"""The pages beside the overview, in trouble that a healthy demonstration never shows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser, expect

from tests.browser import canned_pages
from tests.browser.visits import visit

if TYPE_CHECKING:
    from tests.browser.server import CannedServer

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_a_page_beside_the_overview_says_that_it_is_not_renewed_while_the_link_is_lost(
    browser: Browser, server: CannedServer
) -> None:
    with visit(browser, server, "/") as (page, _):
        page.keyboard.press("g")
        page.keyboard.press("l")
        read = page.locator("[data-part='limits'] [data-read]")
        expect(read).to_have_text(re.compile(r"^14:3\d:\d\d 读取$"))
        server.stop()
        expect(page.locator(".banner.lost")).to_be_visible(timeout=10_000)
        expect(read).to_contain_text("连接中断后未更新")
        assert "frozen" in (page.locator("main").get_attribute("class") or "")
        server.start()
        expect(page.locator("[data-phase]")).to_have_attribute("data-phase", "live")
        expect(read).not_to_contain_text("未更新")


def test_a_panel_that_fails_leaves_the_others_and_says_why(
    browser: Browser, server: CannedServer
) -> None:
    with visit(browser, server, "/p/gh-al?unit=gh-al.potline-2") as (page, _):
        server.failing.add("/api/v1/units/gh-al.potline-2/forecast")
        server.failing.add("/api/v1/units/gh-al.potline-2/excess")
        page.goto(server.address + "/p/gh-al/u/gh-al.potline-2")
        for name in ("forecast", "excess"):
            part = page.locator(f"[data-part='{name}']")
            expect(part.get_by_role("alert")).to_contain_text("The store does not answer")
        expect(page.locator("[data-figure] dd").first).to_contain_text("kWh/t")
        expect(page.locator("[data-trend] canvas")).to_be_visible()
        expect(page.locator(".banner")).to_have_count(0)


def test_where_nothing_is_foreseen_the_reason_stands_instead_of_a_chart(
    browser: Browser, server: CannedServer
) -> None:
    with visit(browser, server, "/") as (page, seen):
        page.goto(server.address + "/p/gh-al/u/gh-al.potline-1?lang=en")
        part = page.locator("[data-part='forecast']")
        expect(part.locator("[data-reasons]")).to_have_text(
            "No forecast: fewer than 3 days are known"
        )
        expect(part.locator("canvas")).to_have_count(0)
        expect(part.locator("[data-end]")).to_have_count(0)
        assert not [text for text in seen.complaints if "404" not in text]


def test_a_meter_that_drifts_is_named_with_its_error_and_older_runs_are_kept(
    browser: Browser, server: CannedServer
) -> None:
    with visit(browser, server, "/") as (page, _):
        page.goto(server.address + "/p/gh-al/checks?lang=en")
        faults = page.locator("[data-faults]")
        expect(faults).to_contain_text("drift")
        expect(faults).to_contain_text("gh-al.potline-2.ac-import")
        expect(faults).to_contain_text("+2.1 ± 0.4%")
        expect(faults).to_contain_text("97%")
        expect(faults).to_contain_text("123\u2009456")
        expect(page.locator("main")).to_contain_text("there is no production")
        page.locator("[data-part='runs'] button").nth(1).click()
        expect(page.locator("[data-run]")).to_have_attribute("data-run", canned_pages.RUNS[1])
        expect(faults).to_have_count(0)
        page.go_back()
        expect(page.locator("[data-run]")).to_have_attribute("data-run", canned_pages.RUNS[0])


def test_an_agent_that_says_online_and_sends_nothing_is_silent_and_stands_first(
    browser: Browser, server: CannedServer
) -> None:
    with visit(browser, server, "/") as (page, _):
        page.goto(server.address + "/agents")
        rows = page.locator("[data-agent]")
        expect(rows).to_have_count(4)
        expect(rows.nth(0)).to_have_attribute("data-state", "silent")
        expect(rows.nth(0)).to_contain_text("2 分 0 秒")  # so long had the oldest envelope waited
        expect(rows.nth(1)).to_contain_text("41–43")
        expect(rows.nth(1)).to_contain_text("慢 64 s")
        expect(page.locator("[data-agent='gh-al/scale-01']")).to_contain_text("从未上线")
        expect(page.locator("[data-letter]")).to_contain_text("未申报的计量点")


def test_a_regulator_is_told_that_dead_letters_are_not_theirs(
    browser: Browser, server: CannedServer
) -> None:
    server.role = "regulator"
    with visit(browser, server, "/") as (page, _):
        page.goto(server.address + "/agents")
        expect(page.locator("main")).to_contain_text("您的角色看不到未入库的数据")
        assert "/api/v1/dead-letters" not in server.seen


def test_a_limit_that_is_not_there_is_named(browser: Browser, server: CannedServer) -> None:
    with visit(browser, server, "/") as (page, _):
        page.goto(server.address + "/limits/cn.nothing.of-this")
        expect(page.locator("main")).to_contain_text("没有这项限额：cn.nothing.of-this")
        page.goto(server.address + "/evidence/no-such-result")
        expect(page.get_by_role("alert")).to_contain_text("没有这条结果，或无权查看")


@pytest.mark.parametrize("width", [320, 390, 1366, 3840])
@pytest.mark.parametrize("path", ["/limits", "/agents", "/p/gh-al/checks", "/p/gh-al/quality"])
def test_no_page_scrolls_sideways_in_english(
    browser: Browser, server: CannedServer, path: str, width: int
) -> None:
    with visit(browser, server, "/?lang=en", width=width) as (page, _):
        page.goto(f"{server.address}{path}?lang=en")
        expect(page.locator("main[data-page]")).to_be_visible()
        expect(page.locator("[aria-busy='true']")).to_have_count(0)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
