"""The rooms whose refusals look like successes: what is posted to them, and what they answer.

WeCom and DingTalk answer HTTP 200 with an `errcode` that is not 0 where the key is wrong, the room
is gone or too much was said. Pure.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

if TYPE_CHECKING:
    from datetime import datetime

WECOM: Final = "https://qyapi.weixin.qq.com/cgi-bin/webhook/send"
DINGTALK: Final = "https://oapi.dingtalk.com/robot/send"
MOST_WECOM_BYTES: Final = 2_048  # of a text message, by its documentation
MOST_DINGTALK_BYTES: Final = 20_000
MOST_RECEIPT_CHARS: Final = 200
_MORE: Final = " …"


@dataclass(frozen=True, slots=True)
class Room:
    """What is posted, and where."""

    url: str
    body: bytes


def room_of(service: Any, subject: str, text: str, at: datetime) -> Room | None:
    """Return what is posted to a WeCom or DingTalk room, None for any other service.

    `service` is the library's, which has read the address.
    """
    kind = getattr(service, "secure_protocol", None)
    said = f"{subject}\n{text}"
    if kind == "wecombot":
        url = f"{WECOM}?{urlencode({'key': service.key})}"
        content = cut(said, MOST_WECOM_BYTES)
        return Room(url, _json({"msgtype": "text", "text": {"content": content}}))
    if kind == "dingtalk":
        content = cut(said, MOST_DINGTALK_BYTES)
        message: dict[str, Any] = {"msgtype": "text", "text": {"content": content}}
        if service.targets:
            message["at"] = {"atMobiles": list(service.targets), "isAtAll": False}
        return Room(dingtalk_url(service.token, service.secret, at), _json(message))
    return None


def dingtalk_url(token: str, secret: str | None, at: datetime) -> str:
    """Return the address of a DingTalk room, signed where the room has a secret."""
    url = f"{DINGTALK}?{urlencode({'access_token': token})}"
    if not secret:
        return url
    stamp = str(round(at.timestamp() * 1000))
    digest = hmac.digest(secret.encode(), f"{stamp}\n{secret}".encode(), hashlib.sha256)
    signature = quote(base64.b64encode(digest), safe="")
    return f"{url}&timestamp={stamp}&sign={signature}"


def judge(status: int, answer: bytes) -> tuple[str | None, str]:
    """Return the receipt, None where it was refused, and one sentence."""
    if status != 200:  # noqa: PLR2004 - all that these two call well
        return None, f"answered {status}"
    try:
        found = json.loads(answer)
    except (ValueError, RecursionError):
        return None, f"answered {status} without JSON"
    code = found.get("errcode") if isinstance(found, dict) else None
    if code != 0 or isinstance(code, bool):
        said = found.get("errmsg", "") if isinstance(found, dict) else ""
        return None, f"answered {status} and refused it: errcode {code} {said}".rstrip()
    said = str(found.get("msgid") or found.get("errmsg") or "ok")
    return f"errcode 0 {said}"[:MOST_RECEIPT_CHARS], f"answered {status} with errcode 0"


def cut(text: str, most_bytes: int) -> str:
    """Return a text of at most so many bytes, cut between two characters, and marked as cut."""
    raw = text.encode()
    if len(raw) <= most_bytes:
        return text
    kept = raw[: most_bytes - len(_MORE.encode())].decode("utf-8", "ignore")
    return kept + _MORE


def _json(data: dict[str, Any]) -> bytes:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()
