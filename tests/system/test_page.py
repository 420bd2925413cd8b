"""The page before the whole service: what a person sees of the running demonstration."""

from __future__ import annotations

import re
from contextlib import contextmanager
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser import chromium
from tests.fixtures.service import Service, data_directory, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

pytestmark = [pytest.mark.system, pytest.mark.browser]

SITES = {"gh-al", "qh-fa", "qh-ce"}
#: The demonstration first replays 35 days; then figures and verdicts are those of a month.
FIGURES_S = 240.0
RAISED_S = 180.0
THIN_SPACE = "\u2009"
#: Places a figure is shown with, by its unit; four digits are not grouped.
PLACES = {"kWh/t": 0, "kgce/t": 1}


@pytest.fixture(scope="module")
def demo() -> Iterator[Service]:
    with data_directory() as path:
        service = Service(path, "--demo")
        try:
            service.wait_ready()
            wait_until(lambda: is_judged(service), FIGURES_S, "verdicts on the demo's months")
            yield service
        finally:
            service.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium.launched() as running:
        yield running


def main_units(service: Service) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = service.get("/api/v1/units")["items"]
    return [item for item in items if item["parent"] is None]


def primary(unit: dict[str, Any]) -> dict[str, Any]:
    """Return a unit's open month on its first indicator."""
    wanted = unit["indicators"][0]
    found: dict[str, Any] = next(i for i in unit["current"] if i["indicator"] == wanted)
    return found


def words(unit: dict[str, Any]) -> set[str]:
    """Return the verdicts of a unit's month against the limits that are judged."""
    if not unit["current"]:
        return set()
    return {verdict["verdict"] for verdict in primary(unit)["verdicts"]} - {"not_applicable"}


def is_judged(service: Service) -> bool:
    units = main_units(service)
    judged = all(words(unit) and "incomplete" not in words(unit) for unit in units)
    return judged and {unit["site"] for unit in units} >= SITES


def shown(figure: dict[str, Any]) -> set[str]:
    """Return how a figure may stand on the page: in its unit's places, a tie either way."""
    step = Decimal(1).scaleb(-PLACES[figure["unit"]])
    made = set()
    for rounding in (ROUND_HALF_EVEN, ROUND_HALF_UP):
        text = str(Decimal(figure["value"]).quantize(step, rounding=rounding))
        whole, dot, part = text.partition(".")
        if len(whole) > 4:
            whole = re.sub(r"\B(?=(\d{3})+$)", THIN_SPACE, whole)
        made.add(whole + dot + part)
    return made


@contextmanager
def visit(
    browser: Browser, service: Service, path: str, role: str | None = "operator"
) -> Iterator[Page]:
    """Open the page, signed in as a role unless it is None; nothing may be complained about."""
    context = browser.new_context(viewport={"width": 1600, "height": 1000}, locale="zh-CN")
    complaints: list[str] = []
    hosts: set[str] = set()
    try:
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: hosts.add("/".join(request.url.split("/")[:3])))
        page.goto(service.url + path)
        if role is not None:
            page.locator("#token").fill(service.token(role))
            page.keyboard.press("Enter")
            expect(page.locator("[data-detail]")).to_be_visible()
        yield page
        assert complaints == []
        assert hosts == {service.url}
    finally:
        context.close()


def card(page: Page, unit: str) -> Locator:
    return page.locator(f"[data-kpi='{unit}']")


def test_a_stranger_sees_only_the_sign_in(demo: Service, browser: Browser) -> None:
    with visit(browser, demo, "/p/gh-al/u/gh-al.potline-1", role=None) as page:
        expect(page.locator("#token")).to_be_visible()
        text = page.inner_text("body")
        for unit in main_units(demo):
            assert unit["name"]["zh"] not in text
            assert unit["site_name"]["zh"] not in text
        page.locator("#token").fill("not-a-token")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("令牌无效")
        assert page.locator("main").count() == 0


def test_three_plants_appear_live_and_are_told_apart(demo: Service, browser: Browser) -> None:
    with visit(browser, demo, "/") as page:
        expect(page.locator("[data-phase]")).to_have_attribute("data-phase", "live")
        expect(page.locator("[data-kpi]")).to_have_count(len(main_units(demo)))
        expect(page.locator("#matrix h3")).to_have_count(len(SITES))
        page.get_by_label("厂区").select_option("qh-ce")
        expect(page.locator("[data-kpi]")).to_have_count(1)
        expect(page.locator("#matrix h3")).to_contain_text("青海示例水泥")


def test_a_verdict_within_and_one_that_exceeds_are_seen_in_both_languages(
    demo: Service, browser: Browser
) -> None:
    units = main_units(demo)
    over = next(unit["unit"] for unit in units if "exceeds" in words(unit))
    well = next(unit["unit"] for unit in units if words(unit) == {"within"})
    with visit(browser, demo, "/") as page:
        for within, exceeds, force in (
            ("达标", "超限", "超目标"),
            ("within", "exceeds", "over target"),
        ):
            expect(card(page, well).locator("[data-verdict]")).to_have_text(within)
            expect(card(page, over).locator("[data-verdict]")).to_have_text(exceeds)
            expect(card(page, over)).to_contain_text(force)
            page.keyboard.press("l")


def test_the_figures_on_the_page_are_those_of_the_api(demo: Service, browser: Browser) -> None:
    with visit(browser, demo, "/") as page:
        for unit in main_units(demo):
            name = unit["unit"]

            def agrees(name: str = name) -> bool:
                before = demo.get(f"/api/v1/units/{name}")
                text = card(page, name).locator("strong").inner_text()
                after = demo.get(f"/api/v1/units/{name}")
                allowed = shown(primary(before)["intensity"]) | shown(primary(after)["intensity"])
                return text in allowed

            wait_until(agrees, 15, f"{name} to show the API's figure")


def test_a_changed_reading_reaches_the_page_within_seconds(demo: Service, browser: Browser) -> None:
    with visit(browser, demo, "/p/gh-al/u/gh-al.potline-1?lang=en") as page:
        live = page.locator("[data-detail] .now dd")
        measured = page.locator("[data-detail] .now time")
        for _change in range(3):
            # The figure of a steady potline may round to the same digits: its instant may not stay.
            expect(measured).not_to_have_attribute(
                "datetime", measured.get_attribute("datetime") or ""
            )
        age = re.fullmatch(r"(\d+) s ago", live.nth(1).inner_text())
        assert age is not None
        assert int(age[1]) <= 5
        expect(live.first).not_to_have_text(live.first.inner_text(), timeout=60_000)


def test_each_indicator_of_a_unit_can_be_chosen(demo: Service, browser: Browser) -> None:
    unit = next(unit for unit in main_units(demo) if len(unit["indicators"]) > 1)
    address = f"/p/{unit['site']}/u/{unit['unit']}"
    names = {item["id"]: item["name"] for item in demo.get("/api/v1/indicators")["items"]}
    with visit(browser, demo, address) as page:
        month = page.locator("[data-detail] dl div").nth(1)
        for indicator in unit["indicators"]:
            page.locator("[data-detail]").get_by_role("button", name=names[indicator]["zh"]).click()
            item = next(i for i in unit["current"] if i["indicator"] == indicator)
            expect(month).to_contain_text(item["intensity"]["unit"])
            expect(page.locator("[data-verdicts] details").first).to_be_visible()


def test_a_firing_alert_is_shown_and_acknowledged(demo: Service, browser: Browser) -> None:
    def firing() -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = demo.get("/api/v1/alerts", state="firing")["items"]
        return [item for item in items if item["acknowledged_at"] is None]

    wait_until(lambda: bool(firing()), RAISED_S, "an alert of the demo to be raised")
    alert = firing()[0]
    with visit(browser, demo, "/", role="regulator") as page:
        expect(page.locator(f"[data-alert='{alert['id']}']")).to_be_visible()
        assert page.locator("[data-alert] button").count() == 0
    with visit(browser, demo, "/") as page:
        row = page.locator(f"[data-alert='{alert['id']}']")
        expect(row).to_contain_text("超目标" if alert["force"] == "target" else "超强制")
        expect(row.locator("[data-delivered='regulator']")).to_contain_text("已送达监管")
        row.get_by_role("button", name="确认").click()
        expect(row).to_contain_text(re.compile(r"operator \d\d:\d\d 确认"))
        expect(row.get_by_role("button")).to_have_count(0)
        kept = demo.get(f"/api/v1/alerts/{alert['id']}")
        assert kept["acknowledged_by"]
        page.reload()
        expect(row).to_contain_text(kept["acknowledged_by"])
        row.locator("a").click()
        expect(page.locator("[data-detail]")).to_have_attribute("data-detail", alert["unit"])
