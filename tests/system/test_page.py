"""The page before the whole service: what a person sees of the running demonstration."""

from __future__ import annotations

import csv
import io
import os
import re
import subprocess
import sys
from contextlib import contextmanager
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from tests.browser import chromium
from tests.fixtures.service import ROOT, Service, data_directory, wait_until
from tests.system import pages

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
    address = f"/p/{unit['site']}?unit={unit['unit']}"
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


FURNACE = "qh-fa.furnace-1"
EVERY_PAGE = ("overview", "unit", "evidence", "limits", "quality", "checks", "agents")


def address(service: Service, place: str) -> str:
    """Return where a page of each kind is."""
    return {
        "overview": "/",
        "unit": f"/p/qh-fa/u/{FURNACE}",
        "evidence": f"/evidence/{pages.days(service, FURNACE)[-2]['result']}",
        "limits": "/p/qh-fa/limits/cn-qh.fesi.smelting.target-2020",
        "quality": "/p/qh-fa/quality",
        "checks": "/p/qh-fa/checks",
        "agents": "/agents",
    }[place]


def test_a_units_page_shows_month_forecast_and_excess_of_the_api(
    demo: Service, browser: Browser
) -> None:
    for unit in main_units(demo):
        name = unit["unit"]
        with pages.opened(browser, demo, f"/p/{unit['site']}/u/{name}") as page:

            def is_the_month(page: Page = page, name: str = name) -> bool:
                text = page.locator("[data-figure] dd").first.inner_text()
                return pages.agrees(text, pages.open_month(demo, name)["intensity"]["value"])

            wait_until(is_the_month, 15, f"{name} to show the API's month")
            foreseen = demo.get(f"/api/v1/units/{name}/forecast")
            end = page.locator("[data-end]")
            assert pages.agrees(end.inner_text(), foreseen["forecast"]["value"])
            expect(page.locator("[data-outlook]")).to_have_count(len(foreseen["limits"]))
            expect(page.locator("[data-forecast-chart] canvas")).to_be_visible()
            excess = demo.get(f"/api/v1/units/{name}/excess")
            total = page.locator("[data-cause='total'] td.number").first.inner_text()
            assert abs(pages.number(total) - Decimal(excess["excess"]["per_output"])) < 2
            sentence = page.locator("[data-sentence]")
            expect(sentence).to_contain_text(unit["name"]["zh"])


def test_the_causes_in_the_file_sum_to_the_excess_exactly(demo: Service, browser: Browser) -> None:
    with pages.opened(browser, demo, f"/p/qh-fa/u/{FURNACE}") as page:
        part = page.locator("[data-part='excess']")
        with page.expect_download() as waiting:
            part.get_by_role("button", name="CSV").click()
        text = Path(waiting.value.path()).read_text("utf-8-sig")
        rows = list(csv.DictReader(io.StringIO(text)))
        (energy,) = [name for name in rows[0] if name.startswith("energy")]
        told = {row["cause"]: Decimal(row[energy]) for row in rows if row[energy]}
        total = told.pop("excess")
        assert total != 0
        assert sum(told.values()) == total


def test_a_day_that_is_over_is_opened_by_its_address_and_stepped_from(
    demo: Service, browser: Browser
) -> None:
    day = pages.days(demo, FURNACE)[-3]
    name = day["period_start"][:10]
    with pages.opened(browser, demo, f"/p/qh-fa/u/{FURNACE}?period=day&at={name}") as page:
        figure = page.locator("[data-figure] dd").first
        expect(figure).to_contain_text("kWh/t")
        wait_until(
            lambda: pages.agrees(figure.inner_text(), day["intensity"]["value"]), 15, "that day"
        )
        expect(page.locator("[data-part='forecast']")).to_contain_text("无需预测")
        page.keyboard.press("[")
        before = pages.days(demo, FURNACE)[-4]
        expect(page.locator("[data-at]")).to_have_attribute("data-at", before["period_start"][:10])
        wait_until(
            lambda: pages.agrees(figure.inner_text(), before["intensity"]["value"]), 15, "the day"
        )
        page.keyboard.press("t")
        link = page.locator("[data-trend] tbody a").first
        expect(link).to_have_attribute("href", re.compile("^/evidence/"))


def test_a_figure_is_followed_to_its_registers_and_its_pack_verifies(
    demo: Service, browser: Browser, tmp_path: Path
) -> None:
    day = pages.days(demo, FURNACE)[-3]
    with pages.opened(browser, demo, f"/evidence/{day['result']}?lang=en") as page:
        value = page.locator("[data-value] strong")
        wait_until(
            lambda: pages.agrees(value.inner_text(), day["intensity"]["value"]), 15, "the figure"
        )
        expect(page.locator("[data-part='verdicts'] tbody tr")).to_have_count(len(day["verdicts"]))
        page.get_by_role("button", name="Read and check").click()
        expect(page.locator("[data-follows='true']")).to_be_visible(timeout=30_000)
        row = page.locator("[data-input]")
        point = row.get_attribute("data-input")
        readings = demo.get(
            f"/api/v1/points/{point}/readings",
            **{"from": day["period_start"], "to": day["period_end"]},
        )["items"]
        first = pages.number(row.locator("td").nth(5).inner_text())
        assert first <= readings[0]["value"]
        assert readings[0]["value"] - first < 1000
        with page.expect_download() as waiting:
            page.get_by_role("link", name="Download the pack").click()
        pack = tmp_path / "pack.jsonl"
        waiting.value.save_as(pack)
    done = subprocess.run(
        [sys.executable, "-m", "danhao", "evidence", "verify", str(pack)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_limit_is_found_by_a_word_of_its_quotation(demo: Service, browser: Browser) -> None:
    known = {item["id"]: item for item in demo.get("/api/v1/limits")["items"]}
    with pages.opened(browser, demo, "/limits") as page:
        found = page.locator("[data-found]")
        expect(found).to_have_attribute("data-found", str(len(known)))
        page.get_by_role("searchbox").fill("硅铁单位电耗")
        expect(found).not_to_have_attribute("data-found", str(len(known)))
        row = page.locator("[data-row='cn-qh.fesi.smelting.target-2020']")
        row.locator("a").click()
        detail = page.locator("[data-limit-detail]")
        expect(detail.locator("blockquote")).to_have_text(
            known["cn-qh.fesi.smelting.target-2020"]["quote"]
        )
        expect(detail).to_contain_text("五（二）")
        expect(detail.locator("li")).to_have_count(1)
        assert "find=" in page.url
        page.reload()
        expect(detail.locator("blockquote")).to_be_visible()


def test_quality_checks_and_agents_say_what_the_api_says(demo: Service, browser: Browser) -> None:
    demo.danhao("checks", "run", "--site", "qh-fa", "--data-dir", str(demo.data_dir))
    with pages.opened(browser, demo, "/p/qh-fa/quality", role="regulator") as page:
        score = demo.get("/api/v1/sites/qh-fa/quality", role="regulator")
        shown_score = page.locator("[data-score] strong").inner_text()
        assert abs(pages.number(shown_score) - Decimal(score["score"])) < 1
        expect(page.locator("[data-rule]")).to_have_count(len(score["rules"]))
        expect(page.locator("[data-kept='false']")).to_have_count(
            len([rule for rule in score["rules"] if rule["kept"] is False])
        )
        expect(page.locator("[data-heat] tbody tr")).to_have_count(2)
    with pages.opened(browser, demo, "/p/qh-fa/checks", role="regulator") as page:
        run = demo.get("/api/v1/sites/qh-fa/checks")["items"][0]
        expect(page.locator("[data-run]")).to_have_attribute("data-run", run["check"])
    with pages.opened(browser, demo, "/agents") as page:
        agents = demo.get("/api/v1/agents")["items"]
        expect(page.locator("[data-agent]")).to_have_count(len(agents))
        for site in SITES:
            gateway = page.locator(f"[data-agent='{site}/gw-01']")
            expect(gateway).to_have_attribute("data-state", "online")


def test_every_page_is_reached_by_keyboard_alone(demo: Service, browser: Browser) -> None:
    with pages.opened(browser, demo, f"/p/qh-fa?unit={FURNACE}") as page:
        expect(page.locator("[data-detail]")).to_be_visible()
        for letter, place in (("l", "limits"), ("q", "quality"), ("m", "checks"), ("c", "agents")):
            page.keyboard.press("g")
            page.keyboard.press(letter)
            expect(page.locator(f"main[data-page='{place}']")).to_be_visible()
            assert page.url.endswith(f"/p/qh-fa/{place}")
        page.keyboard.press("g")
        page.keyboard.press("o")
        page.locator(f"[data-kpi='{FURNACE}']").focus()
        page.keyboard.press("Enter")
        if page.locator("main[data-page='unit']").count() == 0:  # chosen first, then opened
            page.keyboard.press("Enter")
        expect(page.locator("main[data-page='unit']")).to_be_visible()
        page.keyboard.press("t")
        expect(page.locator("[data-trend] table")).to_be_visible()
        page.go_back()
        expect(page.locator("#matrix")).to_be_visible()


@pytest.mark.parametrize("place", EVERY_PAGE)
def test_a_shared_link_opens_the_same_page_for_every_role(
    demo: Service, browser: Browser, place: str
) -> None:
    for role in ("operator", "regulator", "admin"):
        with pages.opened(browser, demo, address(demo, place), role=role) as page:
            expect(page.locator("h1")).to_have_count(1)
            expect(page.locator("[aria-busy='true']")).to_have_count(0)
            assert page.get_by_role("alert").count() == 0


@pytest.mark.parametrize("place", EVERY_PAGE)
def test_no_page_has_a_barrier_or_scrolls_sideways(
    demo: Service, browser: Browser, place: str
) -> None:
    looks = (("zh", "light", (1920, 1080)), ("en", "dark", (390, 844)))
    for lang, theme, size in looks:
        path = f"{address(demo, place)}?lang={lang}&theme={theme}"
        with pages.opened(browser, demo, path, size=size) as page:
            expect(page.locator("[aria-busy='true']")).to_have_count(0)
            barriers = [
                (one["id"], one["impact"], one["nodes"][0]["target"])
                for one in Axe().run(page).response["violations"]
            ]
            assert barriers == []
            assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
            folder = os.environ.get("DANHAO_PAGE_PICTURES")
            if folder is not None:  # the pictures of docs/page.md, when they are asked for
                page.set_viewport_size({"width": size[0], "height": 1000})
                page.screenshot(path=Path(folder) / f"{place}-{lang}-{theme}-{size[0]}.png")
