"""Signing in before the whole service: by password, at an identity provider, and out again."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.api import world
from tests.browser import chromium
from tests.fixtures.service import ROOT, Service, data_directory, free_port, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

pytestmark = [pytest.mark.system, pytest.mark.browser]

PASSWORD = "correct horse 7 staple"
NEW_PASSWORD = "another 9 horse staple"
PEOPLE = """
[person.wang]
name = "wang.fang"
password = "at the provider"
groups = ["operators"]

[person.zhao]
name = "zhao"
password = "at the provider"
groups = ["canteen"]
"""
CONFIG = """
[access]
public_url = "{url}"

[access.provider.plant]
name = {{ zh = "厂内统一登录", en = "Plant sign-in" }}
issuer = "{issuer}"
client_id = "danhao"
grant = [{{ group = "operators", role = "operator", scope = ["site:gh-al"] }}]
"""


@contextmanager
def provider(folder: Path, port: int, back: str) -> Iterator[None]:
    """Run `danhao simulate identity` until the end."""
    people = folder / "people.toml"
    people.write_text(PEOPLE, encoding="utf-8")
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "danhao", "simulate", "identity", "--port", str(port)),
            *("--people", str(people), "--redirect", back),
        ],
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: is_up(port), 30, "the identity provider")
        yield
    finally:
        process.terminate()
        process.wait(10)


def is_up(port: int) -> bool:
    address = f"http://127.0.0.1:{port}/.well-known/openid-configuration"
    try:
        return httpx.get(address, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("access")
    port = free_port()
    config = folder / "danhao.toml"
    with data_directory() as path:
        running = Service(path, env={"DANHAO_CONFIG": str(config)})
        issuer = f"http://127.0.0.1:{port}"
        config.write_text(CONFIG.format(url=running.url, issuer=issuer), encoding="utf-8")
        try:
            with provider(folder, port, f"{running.url}/api/v1/session/oidc/plant/callback"):
                running.wait_ready()
                plant = folder / "plant.toml"
                plant.write_text(world.PLANT, encoding="utf-8")
                running.apply(plant)
                yield running
        finally:
            running.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium.launched() as running:
        yield running


def make_account(service: Service, name: str) -> None:
    """Make an account as an administrator does, the password typed into standard input."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "danhao", "account", "create", name, "--role", "operator"),
            *("--scope", "site:gh-al", "--data-dir", str(service.data_dir)),
        ],
        cwd=ROOT,
        input=f"{PASSWORD}\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@contextmanager
def visit(
    browser: Browser, service: Service, path: str = "/", lang: str = "zh-CN"
) -> Iterator[Page]:
    """Open the page as a stranger; the page itself may complain about nothing."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale=lang)
    complaints: list[str] = []
    try:
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(service.url + path)
        yield page
        assert complaints == []
    finally:
        context.close()


def type_in(page: Page, name: str, password: str) -> None:
    page.locator("#name").fill(name)
    page.locator("#password").fill(password)
    page.keyboard.press("Enter")


def at_provider(page: Page, person: str, password: str = "at the provider") -> None:  # noqa: S107 - of a simulated person
    page.locator("[data-provider=plant]").click()
    page.locator("select").select_option(person)
    page.locator("input[type=password]").fill(password)
    page.get_by_role("button", name="Sign in").click()


def test_people_sign_in_by_password_see_their_sessions_and_change_it(
    service: Service, browser: Browser
) -> None:
    make_account(service, "li")
    with visit(browser, service) as first, visit(browser, service) as page:
        type_in(first, "li", PASSWORD)
        expect(first.locator("[data-account]")).to_be_visible()
        expect(page.locator("#name")).to_be_focused()
        type_in(page, "li", "wrong")
        expect(page.get_by_role("alert")).to_contain_text("用户名或密码不正确")
        type_in(page, "li", PASSWORD)
        page.locator("[data-account]").click()
        dialog = page.locator("[data-account-dialog]")
        expect(dialog).to_contain_text("li · 操作员")
        expect(dialog.locator("[data-session]")).to_have_count(2)
        dialog.locator("#old").fill("wrong")
        dialog.locator("#fresh").fill(NEW_PASSWORD)
        page.keyboard.press("Enter")
        expect(dialog.get_by_role("status")).to_have_text("原密码不正确。")
        dialog.locator("#old").fill(PASSWORD)
        page.keyboard.press("Enter")
        expect(dialog.get_by_role("status")).to_contain_text("密码已修改")
        expect(dialog.locator("[data-session]")).to_have_count(1)
        page.keyboard.press("Escape")
        first.reload()
        type_in(first, "li", PASSWORD)
        expect(first.get_by_role("alert")).to_contain_text("用户名或密码不正确")
        type_in(first, "li", NEW_PASSWORD)
        first.locator("[data-account]").click()
        dialog = first.locator("[data-account-dialog]")
        dialog.locator("[data-session=other]").get_by_role("button").click()
        expect(dialog.locator("[data-session]")).to_have_count(1)
        page.reload()
        expect(page.locator("#name")).to_be_visible()


def test_people_sign_in_at_a_provider_and_come_back_to_where_they_were(
    service: Service, browser: Browser
) -> None:
    with visit(browser, service, "/p/gh-al?lang=en") as page:
        at_provider(page, "wang")
        expect(page.locator("[data-account]")).to_have_text("Operator")
        assert page.url == f"{service.url}/p/gh-al?lang=en"
        page.get_by_role("button", name="Sign out").first.click()
        expect(page.locator("[data-provider=plant]")).to_have_text("厂内统一登录")
        rows = service.query("select who, action from audit where who like %s", "wang%")
        assert rows == [("wang.fang@plant", "sign_in"), ("wang.fang@plant", "sign_out")]


@pytest.mark.parametrize(
    ("person", "password", "told"),
    [("zhao", "at the provider", "尚未授予任何权限"), ("wang", "wrong", "未通过，或已取消")],
)
def test_who_may_not_in_is_told_why(
    service: Service, browser: Browser, person: str, password: str, told: str
) -> None:
    with visit(browser, service) as page:
        at_provider(page, person, password)
        expect(page.get_by_role("alert")).to_contain_text(told)
        assert "#" not in page.url
        assert page.locator("[data-account]").count() == 0


def test_a_token_still_opens_the_page_by_keyboard(service: Service, browser: Browser) -> None:
    with visit(browser, service, lang="en-GB") as page:
        page.get_by_text("Sign in with an access token").focus()
        page.keyboard.press("Enter")
        page.locator("#token").fill(service.token("admin"))
        page.keyboard.press("Enter")
        expect(page.locator("[data-account]")).to_have_text("Administrator")
