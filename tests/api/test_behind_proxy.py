"""Promises behind a TLS proxy: whom it names is believed, others are not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import psycopg
import pytest

from tests.api.test_server import _running
from tests.api.world import bearer

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.system, pytest.mark.slow]


@pytest.mark.parametrize(
    ("proxies", "name", "address"),
    [
        ('["127.0.0.1"]', "__Host-danhao_session", "203.0.113.9"),
        ("[]", "danhao_session", "127.0.0.1"),
        ('["198.51.100.7"]', "danhao_session", "127.0.0.1"),
    ],
)
async def test_only_a_proxy_that_is_named_says_who_asks_and_how(
    database_url: str,
    tokens: dict[str, str],
    tmp_path: Path,
    proxies: str,
    name: str,
    address: str,
) -> None:
    config = tmp_path / "danhao.toml"
    config.write_text(f"[api]\nproxies = {proxies}\n")
    with _running(database_url, DANHAO_CONFIG=str(config)) as (url, _):
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.post(
                f"{url}/api/v1/session",
                headers=bearer(tokens["operator"])
                | {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9"},
            )
    assert answer.status_code == 200
    assert answer.headers["set-cookie"].startswith(f"{name}=")
    with psycopg.connect(database_url) as link:
        row = link.execute("select detail ->> 'address' from audit").fetchone()
    assert row == (address,)
