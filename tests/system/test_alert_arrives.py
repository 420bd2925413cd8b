"""The demonstration's exceedance becomes an alert: a regulator holds it, an operator saw it."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import httpx
import pytest

from tests.fixtures.service import Service, data_directory, wait_until

pytestmark = [pytest.mark.system, pytest.mark.slow]

UNIT = "gh-al.potline-2"


def alerts(service: Service, **query: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = service.get(
        "/api/v1/alerts", unit=UNIT, kind="exceedance", **query
    )["items"]
    return found


def is_signed(item: dict[str, Any], secret: bytes) -> bool:
    """Check a message as the contract says, with neither the sender's nor the inbox's code."""
    parts = dict(part.split("=", 1) for part in item["signature"].split(","))
    digest = hmac.new(secret, f"{parts['t']}.{item['raw']}".encode(), hashlib.sha256)
    return hmac.compare_digest(digest.hexdigest(), parts["v1"])


def test_an_alert_is_raised_delivered_acknowledged_and_refused_to_a_stranger() -> None:
    with data_directory() as path:
        service = Service(path, "--demo")
        try:
            service.wait_ready()
            wait_until(
                lambda: any(one["delivered_at"] for one in alerts(service, state="firing")),
                240,
                "an alert of the second potline to be delivered",
            )
            (alert,) = [one for one in alerts(service) if one["limit"].endswith("target-2020")]
            assert (alert["state"], alert["period"], alert["verdict"]) == (
                "firing",
                "month",
                "exceeds",
            )
            (delivery,) = alert["deliveries"]
            assert (delivery["channel"], delivery["state"]) == ("regulator", "delivered")

            inbox = httpx.get(service.endpoints["regulator_inbox"], trust_env=False).json()
            (message,) = [
                one for one in inbox["items"] if one["body"]["alert"]["id"] == alert["id"]
            ]
            secret = (path / "secrets" / "regulator").read_bytes().strip()
            assert is_signed(message, secret)
            assert message["receipt"] == delivery["receipt"]
            assert json.loads(message["raw"])["type"] == "alert.firing"
            assert message["body"]["alert"]["limit_value"] == alert["limit_value"]
            assert inbox["refused"] == 0

            acknowledge(service, alert["id"])
        finally:
            assert service.stop() == 0


def acknowledge(service: Service, alert: str) -> None:
    """See that strangers and regulators are refused, an operator is not, and it stays."""
    address = f"{service.url}/api/v1/alerts/{alert}/acknowledge"
    assert httpx.post(address, trust_env=False).status_code == 401
    answers = [
        httpx.post(
            address, headers={"Authorization": f"Bearer {service.token(role)}"}, trust_env=False
        )
        for role in ("regulator", "operator", "admin")
    ]
    assert [answer.status_code for answer in answers] == [403, 200, 200]
    assert answers[1].json() == answers[2].json()
    assert answers[2].json()["acknowledged_by"] == "local operator"
    rows = service.query("select who, action from audit where subject = %s", f"alert/{alert}")
    assert rows == [("local operator", "acknowledge")]
