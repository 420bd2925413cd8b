"""Bodies of notifications as receivers get them, for the tests of what is said of them."""

from __future__ import annotations

from typing import Any

LAW: dict[str, Any] = {
    "scheme": "GB 21346-2022",
    "jurisdiction": "cn",
    "source": "GB 21346-2022",
    "clause": "table 1",
    "quote": "铝液交流电耗 ≤ 13 350 kWh/t",
}


def item(**more: Any) -> dict[str, Any]:
    """Return an alert of an open month above its target, as the API describes it."""
    return {
        "id": "8a3f6a4e-52f3-4f5c-9c0b-9d0c5a0d2f11",
        "kind": "exceedance",
        "severity": 1,
        "state": "firing",
        "unit": "gh-al.potline-2",
        "indicator": "al.liquid.ac",
        "period": "month",
        "limit": "cn-qh.al.liquid.ac.target-2020",
        "period_start": "2026-11-01T00:00:00+08:00",
        "stage": "early_warning",
        "raised_at": "2026-11-21T04:00:00Z",
        "resolved_at": None,
        "force": "target",
        "cmp": "<=",
        "limit_value": "12750",
        "lapsed": True,
        "value": "13179.5",
        "uncertainty": "106.2",
        "value_unit": "kWh/t",
        "completeness": 0.99,
        "figure_period_start": "2026-11-01T00:00:00+08:00",
        "figure_closed": False,
        "site": "gh-al",
        "jurisdiction": "cn-qh",
        "timezone": "Asia/Shanghai",
        "site_name": {"zh": "示例铝厂", "en": "Demo Aluminium"},
        "unit_name": {"zh": "电解二系列", "en": "Potline 2"},
        "indicator_name": {"zh": "铝液交流电耗", "en": "AC electricity of liquid aluminium"},
        "limit_name": {"zh": "青海目标", "en": "Qinghai target"},
        "evidence": None,
        **more,
    }


def condition(**more: Any) -> dict[str, Any]:
    """Return an alert about data: an agent that is silent."""
    return {
        **item(),
        "kind": "condition",
        "severity": 0,
        "condition": "agent_silent",
        "subject": {"kind": "agent", "id": "gh-al.gw-01"},
        "sentence": {"zh": "网关 gw-01 已 42 分钟无数据", "en": "Agent gw-01 is silent for 42 min"},
        **dict.fromkeys(
            ("unit", "indicator", "period", "limit", "period_start", "stage", "force", "cmp")
        ),
        **dict.fromkeys(("limit_value", "value", "uncertainty", "figure_period_start")),
        **dict.fromkeys(("unit_name", "indicator_name", "limit_name", "completeness")),
        **more,
    }


def body(notice: str, alert: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """Return what a webhook posts of a notice."""
    return {
        "version": 1,
        "id": "0d5f8f0e-6a5e-4b36-8a39-3f2b8f4c7d10",
        "type": f"alert.{notice}",
        "at": "2026-11-21T04:00:00Z",
        "alert": item() if alert is None else alert,
        "law": LAW,
        **more,
    }


def bundle(reason: str, *bodies: dict[str, Any]) -> dict[str, Any]:
    """Return a bundle of notifications."""
    return {
        "version": 1,
        "id": "3b7f2c52-0b0f-4f58-8a51-5a0c0f0b9a77",
        "type": "alert.bundle",
        "at": "2026-11-22T00:00:00Z",
        "bundle": {"reason": reason, "since": "2026-11-21T00:00:00Z"},
        "items": list(bodies),
    }
