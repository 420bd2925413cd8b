"""WeCom and DingTalk: what is posted, and that a refusal with status 200 is a refusal."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import chatrooms
from tests.ingest.letters import NOW


@dataclass
class Service:
    """What the library has read of an address."""

    secure_protocol: str
    key: str = ""
    token: str = ""
    secret: str | None = None
    targets: list[str] = field(default_factory=list)


def test_a_wecom_room_gets_a_text_under_its_key() -> None:
    room = chatrooms.room_of(Service("wecombot", key="a-b_c"), "题", "文", NOW)
    assert room is not None
    assert room.url == "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=a-b_c"
    assert json.loads(room.body) == {"msgtype": "text", "text": {"content": "题\n文"}}


def test_a_dingtalk_room_with_a_secret_gets_a_signed_address() -> None:
    """HMAC-SHA256 of stamp, line end, secret, by its definition (RFC 2104)."""
    room = chatrooms.room_of(
        Service("dingtalk", token="t0ken", secret="SECx", targets=["13800000000"]), "s", "b", NOW
    )
    assert room is not None
    query = parse_qs(urlsplit(room.url).query)
    stamp = str(int(NOW.timestamp()) * 1000)
    key = b"SECx".ljust(64, b"\0")
    inner = hashlib.sha256(bytes(x ^ 0x36 for x in key) + f"{stamp}\nSECx".encode())
    outer = hashlib.sha256(bytes(x ^ 0x5C for x in key) + inner.digest())
    assert query == {
        "access_token": ["t0ken"],
        "timestamp": [stamp],
        "sign": [base64.b64encode(outer.digest()).decode()],
    }
    assert json.loads(room.body)["at"] == {"atMobiles": ["13800000000"], "isAtAll": False}


def test_a_dingtalk_room_without_a_secret_is_not_signed() -> None:
    assert chatrooms.dingtalk_url("t", None, NOW).endswith("/robot/send?access_token=t")


def test_any_other_service_is_the_librarys() -> None:
    assert chatrooms.room_of(Service("feishu"), "s", "b", NOW) is None
    assert chatrooms.room_of(object(), "s", "b", NOW) is None


@pytest.mark.parametrize(
    ("status", "answer", "receipt", "told"),
    [
        (200, b'{"errcode":0,"errmsg":"ok"}', "errcode 0 ok", "answered 200 with errcode 0"),
        (200, b'{"errcode":93000,"errmsg":"invalid webhook url"}', None, "errcode 93000 invalid"),
        (200, b'{"errcode":310000,"errmsg":"keywords not in content"}', None, "310000 keywords"),
        (200, b'{"errcode":45009}', None, "errcode 45009"),
        (200, b'{"errcode":false}', None, "errcode False"),
        (200, b"{}", None, "errcode None"),
        (200, b"[0]", None, "errcode None"),
        (200, b"<html>", None, "without JSON"),
        (502, b'{"errcode":0}', None, "answered 502"),
    ],
)
def test_only_errcode_zero_is_a_delivery(
    status: int, answer: bytes, receipt: str | None, told: str
) -> None:
    found, sentence = chatrooms.judge(status, answer)
    assert found == receipt
    assert told in sentence


@given(st.text(max_size=3_000), st.integers(8, 2_048))
def test_a_text_that_is_too_long_is_cut_between_characters(text: str, most: int) -> None:
    found = chatrooms.cut(text, most)
    assert len(found.encode()) <= most
    assert found == text or (found.endswith(" …") and text.startswith(found[:-2]))
