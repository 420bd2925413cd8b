"""What people do on the page, in a real browser, against canned plants."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, CDPSession, expect

from tests.browser.server import TOKEN, CannedServer
from tests.browser.visits import visit

pytestmark = [pytest.mark.browser, pytest.mark.slow]

#: What one update of 600 units may cost the main thread, in yardsticks: 80 ms of processor a
#: second (the page's budget) where the yardstick takes 90 ms; other machines differ twofold.
CPU_BUDGET = 0.9
#: Fixed work of the page's own sort (JSON, numbers, text on a canvas) to measure its machine by.
YARDSTICK = """() => {
  const items = Array.from({ length: 2000 }, (_, n) => ({
    unit: `gh-al.pot-${n}`, live: { power_kw: String(1690 + n / 7), measured_at: null },
    current: [{ value: String(13350 - n), flags: [], verdicts: [{ verdict: 'within' }] }],
  }))
  const canvas = document.createElement('canvas')
  canvas.width = canvas.height = 1000
  const context = canvas.getContext('2d')
  let sum = 0
  for (let round = 0; round < 10; round += 1) {
    for (const { unit, live, current } of JSON.parse(JSON.stringify(items))) {
      sum += Number(live.power_kw) + Number(current[0].value)
      context.fillText(unit, sum % 900, sum % 990)
    }
  }
  return sum + context.getImageData(0, 0, 1, 1).data.length
}"""
POTLINE_2 = "/p/gh-al?unit=gh-al.potline-2"


def test_a_stranger_sees_nothing_and_signs_in_by_token(
    browser: Browser, server: CannedServer
) -> None:
    with visit(browser, server, "/", sign_in=False) as (page, seen):
        expect(page.locator("#token")).to_be_focused()
        assert "电解" not in page.inner_text("body")
        page.locator("#token").fill("wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("令牌无效")
        page.locator("#token").fill(TOKEN)
        page.keyboard.press("Enter")
        expect(page.locator("[data-kpi='gh-al.potline-1']")).to_contain_text("12\u2009809")
        assert seen.complaints == []


def test_units_are_live_against_their_limits(browser: Browser, server: CannedServer) -> None:
    with visit(browser, server, "/") as (page, seen):
        expect(page.locator("[data-phase]")).to_have_attribute("data-phase", "live")
        within = page.locator("[data-kpi='gh-al.potline-1'] [data-verdict]")
        expect(within).to_have_text("达标")
        expect(page.locator("[data-kpi='gh-al.potline-2'] [data-verdict]")).to_have_text("超限")
        expect(page.locator("[data-kpi='qh-fa.furnace-2'] [data-verdict]")).to_have_text("不确定")
        expect(page.locator("[data-kpi='dl-cem.kiln-1'] [data-verdict]")).to_have_text("数据不全")
        silent = page.locator("[data-kpi='qh-fa.furnace-3']")
        expect(silent.locator("[data-verdict]")).to_have_text("数据中断")
        expect(silent.locator("strong")).to_have_text("?")
        live = page.locator("[data-detail] .now dd").first
        before = live.inner_text()
        expect(live).not_to_have_text(before)
        expect(page.locator("[data-trend] canvas")).to_be_visible()
        expect(page.locator("[data-power] canvas")).to_be_visible()
        assert seen.complaints == []


def test_the_open_month_is_told_as_an_early_warning(browser: Browser, server: CannedServer) -> None:
    with visit(browser, server, POTLINE_2) as (page, _):
        verdicts = page.locator("[data-verdicts]")
        expect(verdicts).to_contain_text("预警")
        lapsed = verdicts.locator("[data-limit='cn-qh.al.liquid.ac.target-2020']")
        expect(lapsed).to_contain_text("已过期")
        expect(lapsed).to_contain_text("超限")
        lapsed.locator("summary").click()
        expect(lapsed).to_contain_text("2020-12-31")
        expect(lapsed).to_contain_text("五（二）")
        link = lapsed.locator("a")
        expect(link).to_have_attribute("href", "/limits/cn-qh.al.liquid.ac.target-2020")


def test_switching_the_language_keeps_the_view(browser: Browser, server: CannedServer) -> None:
    with visit(browser, server, POTLINE_2 + "&range=7&view=table") as (page, _):
        expect(page.locator("#unit-title")).to_have_text("电解二系列")
        page.get_by_role("button", name="EN").click()
        expect(page.locator("#unit-title")).to_have_text("Potline 2")
        assert page.locator("html").get_attribute("lang") == "en"
        assert page.url.endswith(POTLINE_2 + "&range=7&view=table&lang=en")
        page.keyboard.press("l")
        expect(page.locator("#unit-title")).to_have_text("电解二系列")


def test_a_deep_link_opens_the_same_view_and_back_returns(
    browser: Browser, server: CannedServer
) -> None:
    with visit(browser, server, "/p/gh-al") as (page, _):
        expect(page.locator("[data-kpi]")).to_have_count(3)
        page.locator("[data-kpi='gh-al.potline-2']").click()
        expect(page.locator("[data-detail]")).to_have_attribute("data-detail", "gh-al.potline-2")
        assert page.url == server.address + POTLINE_2
        page.reload()
        expect(page.locator("[data-detail]")).to_have_attribute("data-detail", "gh-al.potline-2")
        page.go_back()
        expect(page.locator("[data-detail]")).to_have_attribute("data-detail", "gh-al.potline-1")


def test_a_unit_that_is_not_there_is_named(browser: Browser, server: CannedServer) -> None:
    with visit(browser, server, "/", sign_in=True) as (page, _):
        page.goto(server.address + "/p/gh-al?unit=gh-al.nothing")
        expect(page.locator("main")).to_contain_text("没有这个机组，或无权查看：gh-al.nothing")


def test_everything_is_reached_by_keyboard(browser: Browser, server: CannedServer) -> None:
    with visit(browser, server, "/") as (page, _):
        first = page.locator("#matrix button").first
        first.focus()
        assert page.locator("#matrix button[tabindex='0']").count() == 1
        page.keyboard.press("ArrowRight")
        second = page.locator("[data-unit='gh-al.potline-2']")
        expect(second).to_be_focused()
        assert "超限" in (second.get_attribute("aria-label") or "")
        page.keyboard.press("Enter")
        expect(page.locator("[data-detail]")).to_have_attribute("data-detail", "gh-al.potline-2")
        expect(page.locator("[data-alert]")).to_have_count(4)
        page.keyboard.press("n")
        expect(page.locator("[data-alert].chosen")).to_have_count(1)
        page.keyboard.press("t")
        table = page.get_by_role("table").first
        expect(table).to_contain_text("gh-al.potline-2")
        page.keyboard.press("t")
        page.keyboard.press("/")
        page.keyboard.type("kiln")
        page.keyboard.press("Enter")
        expect(page.locator("[data-detail]")).to_have_attribute("data-detail", "dl-cem.kiln-1")
        page.keyboard.press("Escape")
        page.locator("h1").click()
        page.keyboard.press("?")
        expect(page.get_by_role("dialog")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_be_hidden()
        page.keyboard.press("d")
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_a_chart_is_read_by_arrow_keys_and_as_a_table(
    browser: Browser, server: CannedServer
) -> None:
    with visit(browser, server, POTLINE_2) as (page, _):
        chart = page.locator("[data-trend]").get_by_role("slider")
        expect(page.locator("[data-trend] canvas")).to_be_visible()
        chart.focus()
        page.keyboard.press("ArrowLeft")
        newest = chart.get_attribute("aria-valuetext") or ""
        assert newest.startswith("11/21 未结束")
        for _step in range(12):
            page.keyboard.press("ArrowLeft")
        assert "无数据" in " ".join(
            [chart.get_attribute("aria-valuetext") or "", page.inner_text("[data-trend]")]
        )
        page.keyboard.press("t")
        rows = page.locator("[data-trend] tbody tr")
        expect(rows).to_have_count(31)
        lost = rows.filter(has_text="11/09")
        expect(lost).to_contain_text("—")


def test_a_lost_server_is_told_at_once_and_the_page_recovers_by_itself(
    browser: Browser, server: CannedServer
) -> None:
    with visit(browser, server, "/") as (page, _):
        expect(page.locator("[data-phase]")).to_have_attribute("data-phase", "live")
        server.stop()
        banner = page.locator(".banner.lost")
        expect(banner).to_contain_text("连接中断", timeout=10_000)
        expect(banner).to_contain_text("14:30:")
        assert "frozen" in (page.locator("main").get_attribute("class") or "")
        server.start()
        expect(page.locator("[data-phase]")).to_have_attribute("data-phase", "live")
        expect(banner).to_have_count(0)


def test_a_silent_server_turns_late_then_lost(browser: Browser, server: CannedServer) -> None:
    with visit(browser, server, "/") as (page, _):
        phase = page.locator("[data-phase]")
        expect(phase).to_have_attribute("data-phase", "live")
        server.silent = True
        expect(phase).to_have_attribute("data-phase", "late", timeout=12_000)
        expect(phase).to_have_attribute("data-phase", "lost", timeout=8_000)
        server.silent = False
        expect(phase).to_have_attribute("data-phase", "live")


def test_an_ended_session_asks_to_sign_in_over_the_kept_screen(
    browser: Browser, server: CannedServer
) -> None:
    with visit(browser, server, "/") as (page, _):
        expect(page.locator("[data-phase]")).to_have_attribute("data-phase", "live")
        server.signed_in = False
        expect(page.locator("#sign-in-title")).to_be_visible()
        expect(page.locator(".layer")).to_contain_text("会话已结束")
        expect(page.locator("[data-kpi]")).to_have_count(8)
        page.locator("#token").fill(TOKEN)
        page.keyboard.press("Enter")
        expect(page.locator("[data-phase]")).to_have_attribute("data-phase", "live")


def test_signing_out_leaves_nothing_on_the_screen(browser: Browser, server: CannedServer) -> None:
    with visit(browser, server, "/") as (page, _):
        page.get_by_role("button", name="退出").click()
        expect(page.locator("#sign-in-title")).to_be_visible()
        assert "电解" not in page.inner_text("body")


def test_one_failed_trend_never_empties_the_page(browser: Browser, server: CannedServer) -> None:
    server.failing = {"/api/v1/units/"}
    with visit(browser, server, "/") as (page, _):
        expect(page.locator("[data-trend]").get_by_role("alert")).to_contain_text("读取曲线失败")
        expect(page.locator("[data-kpi]")).to_have_count(8)
        expect(page.locator("[data-verdicts] details")).to_have_count(4)


def test_empty_is_said_only_after_an_answer(browser: Browser, server: CannedServer) -> None:
    server.units = ()
    server.failing = {"/api/v1/units"}
    with visit(browser, server, "/", sign_in=False) as (page, _):
        page.locator("#token").fill(TOKEN)
        page.keyboard.press("Enter")
        expect(page.locator(".banner")).to_contain_text("读取机组失败")
        assert "没有可查看的机组" not in page.inner_text("body")
        server.failing = set()
        expect(page.locator(".empty")).to_contain_text("没有可查看的机组（14:3")


def test_nothing_leaves_the_origin_and_nothing_is_complained_about(
    browser: Browser, server: CannedServer
) -> None:
    with visit(browser, server, POTLINE_2) as (page, seen):
        expect(page.locator("[data-trend] canvas")).to_be_visible()
        for key in ("l", "d", "t", "t", "]", "[", "n"):
            page.keyboard.press(key)
        expect(page.locator("[data-trend] canvas")).to_be_visible()
        assert seen.hosts == {server.address}
        assert seen.complaints == []


def test_an_alert_is_acknowledged_and_says_by_whom_and_when(
    browser: Browser, server: CannedServer
) -> None:
    with visit(browser, server, "/") as (page, seen):
        panel = page.locator("[data-alerts]")
        expect(panel.locator("[data-alert]")).to_have_count(4)
        first = panel.locator("[data-alert]").first
        expect(first).to_contain_text("电解二系列 超强制 13\u2009350 +1.62%")
        expect(first).to_contain_text("已送达监管")
        expect(first).to_contain_text("回执 ")
        expect(page.locator("[data-count='1']")).to_have_text("1")
        expect(page.locator("[data-count='3']")).to_have_text("2")
        mine = panel.locator("[data-unit-of='gh-al.potline-2'][data-priority='1']")
        mine.get_by_role("button", name="确认").click()
        expect(mine).to_contain_text("operator 14:30 确认")
        expect(mine.get_by_role("button")).to_have_count(0)
        expect(panel).to_contain_text("3 未确认")
        page.locator("h1").click()
        # What nobody has taken note of comes first once the pointer has left.
        expect(first).to_contain_text("4 号矿热炉")
        assert seen.complaints == []


def test_a_refused_acknowledgement_gives_the_button_back_with_the_reason(
    browser: Browser, server: CannedServer
) -> None:
    server.refusal = "The alert is not raised."
    with visit(browser, server, "/") as (page, _):
        first = page.locator("[data-alert]").first
        first.get_by_role("button", name="确认").click()
        expect(first.get_by_role("alert")).to_have_text("未确认：The alert is not raised.")
        expect(first.get_by_role("button", name="确认")).to_be_enabled()


def test_a_regulator_sees_alerts_and_acknowledges_none(
    browser: Browser, server: CannedServer
) -> None:
    server.role = "regulator"
    with visit(browser, server, "/") as (page, _):
        expect(page.locator("[data-alert]")).to_have_count(4)
        expect(page.locator("[data-alert] button")).to_have_count(0)
        page.keyboard.press("n")
        page.keyboard.press("a")
        expect(page.locator("[data-alert].chosen")).to_have_count(1)
        assert all(alert["acknowledged_at"] is None for alert in server.alerts.values())


def test_an_alert_opens_its_unit_and_is_acknowledged_by_key(
    browser: Browser, server: CannedServer
) -> None:
    with visit(browser, server, "/?lang=en") as (page, _):
        page.locator("[data-alert][data-unit-of='qh-fa.furnace-4'] a").click()
        expect(page.locator("[data-detail]")).to_have_attribute("data-detail", "qh-fa.furnace-4")
        page.keyboard.press("n")
        expect(page.locator("[data-alert].chosen")).to_have_attribute(
            "data-unit-of", "gh-al.potline-2"
        )
        page.keyboard.press("N")
        page.keyboard.press("a")
        chosen = page.locator("[data-alert].chosen")
        expect(chosen).to_contain_text("acknowledged by operator at 14:30")
        expect(chosen).to_have_attribute("data-unit-of", "qh-fa.furnace-4")


def test_a_raised_and_a_resolved_alert_arrive_by_the_stream(
    browser: Browser, server: CannedServer
) -> None:
    last = list(server.alerts)[-1]
    server.alerts[last]["state"] = "pending"
    with visit(browser, server, "/") as (page, _):
        row = page.locator(f"[data-alert='{last}']")
        expect(row).to_contain_text("待成立")
        expect(row.get_by_role("button")).to_have_count(0)
        server.tell(last, state="firing")
        expect(row.get_by_role("button", name="确认")).to_be_visible()
        expect(page.locator("[data-alerts] [role='status']")).to_contain_text("新报警 P")
        for alert in list(server.alerts):
            server.tell(alert, state="resolved")
        expect(page.locator("[data-no-alerts]")).to_contain_text("无未恢复报警（查于 14:3")
        expect(page.locator("[data-count='1']")).to_have_text("0")


def test_no_alerts_is_never_said_without_knowing(browser: Browser, server: CannedServer) -> None:
    server.alerts = {}
    server.failing = {"/api/v1/alerts"}
    with visit(browser, server, "/") as (page, _):
        panel = page.locator("[data-alerts]")
        expect(panel.locator("[data-unknown]")).to_contain_text("报警读取失败")
        expect(page.locator("[data-count='1']")).to_have_text("?")
        assert "无未恢复报警" not in panel.inner_text()
        server.failing = set()
        expect(panel.locator("[data-no-alerts]")).to_be_visible()
        server.stop()
        expect(panel.locator("[data-unknown]")).to_contain_text("报警状态未知：自 14:3")
        expect(panel.locator("[data-no-alerts]")).to_have_count(0)
        expect(page.locator("[data-count='1']")).to_have_text("?")
        server.start()
        expect(panel.locator("[data-no-alerts]")).to_be_visible()


def test_an_exceeded_limit_is_named_on_card_and_tile(
    browser: Browser, server: CannedServer
) -> None:
    with visit(browser, server, "/") as (page, _):
        for unit, grade, words in (
            ("gh-al.potline-2", "mandatory", "超强制 13\u2009350"),
            ("qh-fa.furnace-4", "target", "超目标 3300"),
            ("gh-al.potline-3", "lapsed", "超目标 12\u2009750"),
        ):
            card = page.locator(f"[data-kpi='{unit}']")
            expect(card.locator("[data-verdict]")).to_have_attribute("data-grade", grade)
            expect(card.locator("[data-verdict]")).to_have_text("超限")
            expect(card).to_contain_text(words)
            tile = page.locator(f"[data-unit='{unit}']")
            tile.focus()
            assert words in (tile.get_attribute("aria-label") or "")
            assert "P" in (tile.get_attribute("aria-label") or "")


def test_a_site_is_chosen_alone_and_all_come_back(browser: Browser, server: CannedServer) -> None:
    with visit(browser, server, "/") as (page, _):
        expect(page.locator("#matrix h3")).to_have_count(3)
        page.get_by_label("厂区").select_option("qh-fa")
        expect(page.locator("#matrix h3")).to_have_count(1)
        expect(page.locator("[data-kpi]")).to_have_count(4)
        expect(page.locator("[data-alert]")).to_have_count(1)
        assert page.url.endswith("/p/qh-fa")
        page.get_by_label("厂区").select_option("")
        expect(page.locator("#matrix h3")).to_have_count(3)


def test_a_unit_of_several_indicators_shows_each(browser: Browser, server: CannedServer) -> None:
    with visit(browser, server, "/p/dl-cem?unit=dl-cem.kiln-1&lang=en") as (page, _):
        month = page.locator("[data-detail] dl div").nth(1)
        expect(month).to_contain_text("105.1 kgce/t")
        page.get_by_role("button", name="Electricity of clinker").click()
        expect(month).to_contain_text("54.8 kWh/t")
        assert page.url.endswith("&indicator=cem.clinker.electricity&lang=en")
        limits = page.locator("[data-verdicts] details")
        expect(limits).to_have_attribute("data-limit", "cn.cem.clinker.electricity.level-3")


def test_a_moved_limit_says_from_where_what_is_missing_and_when_it_holds(
    browser: Browser, server: CannedServer
) -> None:
    with visit(browser, server, "/p/dl-cem?unit=dl-cem.kiln-1&lang=en") as (page, _):
        level = page.locator("[data-limit='cn.cem.clinker.level-3']")
        level.locator("summary").click()
        expect(level.locator("[data-own]")).to_contain_text("114.90, moved to 117.00 kgce/t")
        part = level.locator("[data-part]")
        expect(part).to_contain_text("10/11 00:00 to 01/12 00:00: 105.26 ± 1.20 kgce/t")
        target = page.locator("[data-limit='cn-qh.cem.clinker.target-2020']")
        target.locator("summary").click()
        expect(target.locator("[data-missing]")).to_have_text("clinker share, brand_new")
        expect(target.locator("[data-part]")).to_have_count(0)
        expect(page.locator("[data-close]")).to_have_text("No month is closed yet")


def test_the_newest_month_close_is_told_with_what_has_moved_since(
    browser: Browser, server: CannedServer
) -> None:
    with visit(browser, server, POTLINE_2) as (page, _):
        close = page.locator("[data-close]")
        expect(close).to_contain_text("最近月结 2026-10（11/02 09:30，已签名）：12 项数据")
        expect(close).to_contain_text("结账后 3 项有新版本，其中 1 项判定改变")
        expect(page.locator("[data-own]")).to_have_count(0)


def test_a_low_screen_shows_unit_or_verdicts_and_always_the_alerts(
    browser: Browser, server: CannedServer
) -> None:
    with visit(browser, server, "/", height=760) as (page, _):
        verdicts = page.locator("[data-verdicts]")
        expect(verdicts).to_have_count(0)
        page.get_by_role("button", name="各项限额判定").click()
        expect(verdicts).to_be_visible()
        expect(page.locator("[data-detail]")).to_have_count(0)
        assert page.url.endswith("?tab=verdicts")
        for row in page.locator("[data-alert]").all()[:3]:
            box = row.bounding_box()
            assert box is not None
            assert box["y"] + box["height"] <= 760


def test_the_strict_policy_is_served_and_the_page_lives_with_it(
    browser: Browser, server: CannedServer
) -> None:
    with visit(browser, server, "/") as (page, seen):
        answer = page.request.get(server.address + "/")
        assert answer.headers["content-security-policy"].startswith("default-src 'self'")
        tile = page.locator("#matrix button").nth(1)
        assert (tile.bounding_box() or {"width": 0})["width"] > 100
        assert not [text for text in seen.complaints if "Content Security Policy" in text]


def test_seven_tabs_share_one_stream_and_are_all_live(
    browser: Browser, server: CannedServer
) -> None:
    with visit(browser, server, "/") as (page, _):
        tabs = [page.context.new_page() for _ in range(6)]
        for tab in tabs:
            tab.goto(server.address + "/")
        for tab in tabs:
            expect(tab.locator("[data-phase]")).to_have_attribute(
                "data-phase", "live", timeout=15_000
            )
        assert server.seen.count("/api/v1/live") <= 3


def test_six_hundred_units_stay_within_the_node_budget(
    browser: Browser, crowded: CannedServer
) -> None:
    with visit(browser, crowded, "/", width=1920) as (page, seen):
        expect(page.locator("#matrix button")).to_have_count(608)
        expect(page.locator("[data-trend] canvas")).to_be_visible()
        assert page.evaluate("document.querySelectorAll('*').length") <= 1500
        assert seen.complaints == []


def test_live_readings_ask_nothing_more_of_the_server(
    browser: Browser, server: CannedServer
) -> None:
    with visit(browser, server, POTLINE_2) as (page, _):
        expect(page.locator("[data-power] canvas")).to_be_visible()
        live = page.locator("[data-detail] .now dd").first
        for _update in range(3):
            expect(live).not_to_have_text(live.inner_text())
        trends = [path for path in server.seen if path.endswith("/intensity")]
        assert len(trends) == 2


def task_seconds(driver: CDPSession) -> float:
    """Return the main thread's processor seconds so far: a busy machine does not change them."""
    metrics = driver.send("Performance.getMetrics")["metrics"]
    return float({one["name"]: one["value"] for one in metrics}["TaskDuration"])


def test_six_hundred_live_units_keep_the_processor_budget(
    browser: Browser, crowded: CannedServer
) -> None:
    with visit(browser, crowded, "/", width=1920) as (page, _):
        expect(page.locator("[data-power] canvas")).to_be_visible()
        driver = page.context.new_cdp_session(page)
        driver.send("Performance.enable", {"timeDomain": "threadTicks"})
        clock = page.locator(".clock")

        def update() -> float:
            before = task_seconds(driver)
            expect(clock).not_to_have_text(clock.inner_text())
            return task_seconds(driver) - before

        def yardstick() -> float:
            before = task_seconds(driver)
            assert page.evaluate(YARDSTICK) > 0
            return task_seconds(driver) - before

        update()
        pairs = [(update(), yardstick()) for _ in range(6)]
        assert sum(cost for cost, _ in pairs) <= CPU_BUDGET * sum(yard for _, yard in pairs)


@pytest.mark.parametrize("width", [320, 390, 1366, 1920, 3840])
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_no_width_needs_sideways_scrolling(
    browser: Browser, server: CannedServer, width: int, lang: str
) -> None:
    with visit(browser, server, f"/?lang={lang}", width=width) as (page, _):
        expect(page.locator("[data-trend] canvas")).to_be_visible()
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width
