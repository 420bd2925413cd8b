"""The pages of people's work: alerts, cases, production, month close, outages, region, the wall."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.browser import canned
from tests.browser.canned_work import CASE
from tests.browser.visits import visit

if TYPE_CHECKING:
    from tests.browser.server import CannedServer

pytestmark = [pytest.mark.browser, pytest.mark.slow]
PLACES = ("alerts", "cases", f"cases/{CASE}", "entry", "closes", "outages", "region")


def follow(page: Page, address: str) -> None:
    """Open an address of the page that is signed in already."""
    page.goto(page.url.split("/", 3)[0] + "//" + page.url.split("/")[2] + address)
    expect(page.locator("main [data-read]").first).to_be_visible()


def sent(server: CannedServer, path: str) -> Any:
    """Return the body that was sent to a path last."""
    return [body for _, to, body in server.work.written if to == path][-1]


def test_an_alert_is_put_aside_with_an_end_and_a_reason_and_taken_back(
    browser: Browser, server: CannedServer
) -> None:
    server.alerts = {key: one for key, one in server.alerts.items() if one["severity"] == 2}
    (alert,) = server.alerts
    with visit(browser, server, "/") as (page, seen):
        page.keyboard.press("g")
        page.keyboard.press("a")
        row = page.locator(f"[data-alert='{alert}']")
        row.locator("[data-more]").click()
        expect(row.locator("dl")).to_contain_text("尚无人确认")
        row.locator("[data-shelve]").click()
        row.locator("select").select_option("24")
        row.locator("input").fill("等待换衬")
        row.locator("form .solid").click()
        expect(page.locator("[data-none=active]")).to_be_visible()
        body = sent(server, f"alerts/{alert}/shelve")
        assert body["reason"] == "等待换衬"
        assert body["until"].startswith("2026-11-22T06:3")
        page.get_by_role("button", name="静默中").click()
        assert "show=quiet" in page.url
        row = page.locator(f"[data-alert='{alert}']")
        expect(row.locator("[data-quiet=shelved]")).to_contain_text("至 11/22 14:3")
        row.locator("[data-more]").click()
        expect(row.locator("dl")).to_contain_text("等待换衬")
        row.locator("[data-unshelve]").click()
        expect(page.locator("[data-none=quiet]")).to_be_visible()
        assert server.work.shelved == {}
        assert seen.complaints == []


def test_what_stands_behind_an_alert_is_not_listed_but_can_be_looked_at(
    browser: Browser, server: CannedServer
) -> None:
    first, second, *_ = server.alerts
    quiet = {"kind": "behind", "told": False, "since": canned.stamp(canned.START)}
    quiet |= dict.fromkeys(("until", "document", "reason", "by", "silence"))
    server.alerts[second] |= {"quiet": quiet | {"alert": first}}
    with visit(browser, server, "/") as (page, seen):
        follow(page, "/alerts")
        expect(page.locator(f"[data-alert='{first}'] [data-folded='1']")).to_be_visible()
        expect(page.locator(f"[data-alert='{second}']")).to_have_count(0)
        page.locator(f"[data-alert='{first}'] [data-more]").click()
        page.locator("[data-behind]").click()
        expect(page.locator(f"[data-alert='{first}'] li")).to_have_count(1)
        assert seen.complaints == []


def test_no_alert_is_said_only_while_the_link_stands(
    browser: Browser, server: CannedServer
) -> None:
    server.alerts = {}
    with visit(browser, server, "/") as (page, _):
        follow(page, "/alerts")
        expect(page.locator("[data-none=active]")).to_contain_text("查于 14:3")
        server.stop()
        expect(page.locator("main [data-unknown]")).to_contain_text("报警状态未知", timeout=12_000)
        expect(page.locator("[data-none=active]")).to_have_count(0)
        server.start()


def test_a_case_goes_from_explained_to_accepted_by_what_each_side_may_do(
    browser: Browser, server: CannedServer
) -> None:
    with visit(browser, server, "/") as (page, seen):
        follow(page, "/cases")
        expect(page.locator(f"[data-case='{CASE}'] [data-urgency]")).to_contain_text(
            "余 9 个工作日"
        )
        expect(page.locator("[data-case]").first).to_contain_text("已超期")
        page.get_by_role("link", name="处置单 1").click()
        expect(page.locator("[data-doings]")).to_have_attribute(
            "data-doings", "acknowledge explain"
        )
        page.locator("[data-doing=explain]").click()
        page.locator("form select").select_option("equipment")
        page.locator("form textarea").fill("内衬磨损")
        page.locator("form .solid").click()
        expect(page.locator("[data-state]")).to_have_text("已说明")
        expect(page.locator("[data-doings]")).to_have_attribute("data-doings", "none")
        expect(page.locator("[data-event=explain]")).to_contain_text("内衬磨损")
        assert sent(server, f"cases/{CASE}/explain") == {"cause": "equipment", "text": "内衬磨损"}
        server.role = "regulator"
        page.reload()
        expect(page.locator("[data-doings]")).to_have_attribute("data-doings", "accept dispute")
        page.locator("[data-doing=accept]").click()
        page.locator("form .solid").click()
        expect(page.locator("[data-state]")).to_have_text("说明被接受")
        expect(page.locator("[data-event=accept]")).to_contain_text("监管部门")
        assert seen.complaints == []


def test_a_refused_step_of_a_case_says_why_and_leaves_the_case_as_it_is(
    browser: Browser, server: CannedServer
) -> None:
    with visit(browser, server, "/") as (page, _):
        follow(page, f"/cases/{CASE}")
        expect(page.locator("[data-state]")).to_have_text("已送达")
        server.work.state = "explained"
        page.locator("[data-doing=acknowledge]").click()
        expect(page.locator("[data-refused]")).to_contain_text("The case cannot go there")
        assert server.work.state == "explained"


def test_a_fact_is_corrected_by_a_revision_that_leaves_the_first_one(
    browser: Browser, server: CannedServer
) -> None:
    with visit(browser, server, "/") as (page, _):
        follow(page, "/p/gh-al/entry")
        page.locator("[data-correct=heat-20261121-07]").click()
        expect(page.locator("[name=amount]")).to_have_value("6.125")
        page.locator("[name=amount]").fill("six")
        page.locator("form .solid").click()
        expect(page.locator("[data-refused]")).to_contain_text("not a decimal number")
        expect(page.locator("[name=amount]")).to_have_value("six")
        page.locator("[name=amount]").fill("6.2")
        page.locator("form .solid").click()
        rows = page.locator("[data-fact=heat-20261121-07]")
        expect(rows).to_have_count(2)
        expect(rows.first).to_contain_text("6.2 t")
        expect(rows.last).to_contain_text("6.125 t")
        before, after = (one for one in server.work.facts if one["id"] == "heat-20261121-07")
        assert (before["revision"], after["revision"]) == (0, 1)
        assert after["at"] == before["at"]


def test_a_month_is_closed_only_after_it_was_checked_and_every_obstacle_is_told(
    browser: Browser, server: CannedServer
) -> None:
    server.role = "engineer"
    server.work.in_the_way = ("2026-08 is not quiet yet", "potline-2 has no stock-taking")
    with visit(browser, server, "/") as (page, _):
        follow(page, "/p/gh-al/closes")
        expect(page.locator("[data-closes]")).to_have_attribute("data-closes", "2")
        button = page.locator("form .solid")
        expect(button).to_be_disabled()
        month = page.locator("[data-month]").input_value()
        page.locator("[data-sure]").check()
        button.click()
        expect(page.locator("[data-refused] li")).to_have_count(2)
        expect(button).to_be_disabled()
        server.work.in_the_way = ()
        page.locator("[data-sure]").check()
        button.click()
        expect(page.locator("[data-done]")).to_contain_text(f"{month} 已关账")
        expect(page.locator(f"[data-close='{month}']")).to_be_visible()
        expect(page.locator(f"[data-flips='{month}']")).to_contain_text("不确定")


def test_an_outage_is_declared_and_ended_by_an_engineer_and_not_by_an_operator(
    browser: Browser, server: CannedServer
) -> None:
    with visit(browser, server, "/") as (page, seen):
        follow(page, "/p/gh-al/outages")
        expect(page.locator("main form")).to_have_count(0)
        server.role = "engineer"
        page.reload()
        page.locator("[name=unit]").select_option("gh-al.potline-2")
        page.locator("[name=document]").fill("GH-2026-117")
        page.locator("[name=reason]").fill("电解槽大修")
        page.locator("form .solid").click()
        outage = page.locator("[data-outage]")
        expect(outage).to_contain_text("GH-2026-117")
        body = sent(server, "sites/gh-al/outages")
        assert body["unit"] == "gh-al.potline-2"
        assert body["from"] == "2026-11-21T06:30:00.000Z"
        outage.locator("[data-end]").click()
        expect(outage).to_have_attribute("data-outage-state", "ended")
        assert seen.complaints == []


def test_the_regulator_sees_plants_with_their_overdue_cases_and_who_is_not_ranked(
    browser: Browser, server: CannedServer
) -> None:
    server.role = "regulator"
    with visit(browser, server, "/") as (page, seen):
        follow(page, "/region")
        expect(page.locator("[data-plant]").first).to_have_attribute("data-plant", "qh-fa")
        expect(page.locator("[data-plant=qh-fa] [data-overdue]")).to_have_text("1")
        expect(page.locator("[data-plant=gh-al] [data-over]")).to_have_text("1")
        expect(page.locator("[data-ranked]")).to_have_attribute("data-ranked", "2")
        expect(page.locator("[data-part=ranking] li")).to_contain_text("数据不全")
        page.locator("[data-indicator]").select_option("fa.fesi.smelting")
        expect(page).to_have_url(re.compile("indicator=fa.fesi.smelting"))
        assert seen.complaints == []


def test_a_wall_has_no_controls_is_larger_and_never_signs_out_silently(
    browser: Browser, server: CannedServer
) -> None:
    with visit(browser, server, "/", width=1920, height=1080) as (page, _):
        size = "parseFloat(getComputedStyle(document.documentElement).fontSize)"
        desk = page.evaluate(size)
        page.goto(f"{server.address}/?display=1")
        expect(page.locator("[data-phase]")).to_have_attribute("data-phase", "live")
        assert page.evaluate(size) == desk * 1.5
        expect(page.locator("header button:not([data-counts]), header select")).to_have_count(0)
        expect(page.locator("main .button:visible, main .segment:visible")).to_have_count(0)
        server.signed_in = False
        banner = page.locator("[data-wall-banner]")
        expect(banner).to_contain_text("登录已失效", timeout=12_000)
        expect(page.locator("#token")).to_have_count(0)
        expect(page.locator("main")).to_contain_text("电解二系列")
        banner.locator("button").click()
        expect(page.locator("#token")).to_be_visible()


def test_escape_leaves_the_wall(browser: Browser, server: CannedServer) -> None:
    with visit(browser, server, "/") as (page, _):
        page.goto(f"{server.address}/p/gh-al?display=1")
        expect(page.locator("[data-wall-site]")).to_have_text("示例铝厂")
        page.keyboard.press("Escape")
        expect(page.locator("header select")).to_be_visible()
        assert page.url == f"{server.address}/p/gh-al"


@pytest.mark.parametrize(
    ("query", "width"), [("lang=zh&theme=light", 390), ("lang=en&theme=dark", 1440)]
)
def test_axe_finds_nothing_on_the_pages_and_none_is_wider_than_the_screen(
    browser: Browser, server: CannedServer, query: str, width: int
) -> None:
    server.role = "engineer"
    with visit(browser, server, "/", width=width) as (page, seen):
        for place in PLACES:
            follow(page, f"/{place}?{query}")
            if place == "alerts":
                page.locator("[data-more]").first.click()
            assert page.evaluate("document.documentElement.scrollWidth") <= width, place
            found = Axe().run(page).response["violations"]
            told = [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in found]
            assert told == [], place
        assert seen.complaints == []
