"""Chats by the library Apprise, against a sink on this machine; and rooms it would misjudge."""

from __future__ import annotations

import builtins
import json
import logging
import threading
from typing import TYPE_CHECKING, Any

import pytest

from core.errors import Misconfigured
from ingest import chat, chatrooms, transports
from ingest.channels import Chat
from tests.core.alertbodies import body, condition
from tests.fixtures.service import free_port
from tests.ingest.letters import clock, due
from tests.ingest.receivers import Handler, answering, says

if TYPE_CHECKING:
    from pathlib import Path

    from store.notifications import Attempt

# The library asks for a module that Python 3.13 takes out, and has a stand-in for it there.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
TOKEN = "0f1e2d3c-secret-of-the-room"


def room(folder: Path, address: str, **more: Any) -> Chat:
    (folder / "room").write_text(address + "\n")
    given = {
        "name": "shift",
        "kind": "chat",
        "jurisdiction": "cn",
        "address_file": folder / "room",
        **more,
    }
    return Chat.model_validate(given)


async def send(channel: Chat, message: dict[str, Any] | None = None) -> Attempt:
    async with transports.open_transport(channel) as link:
        return await link.send(due(message), clock)


async def test_a_service_of_the_library_gets_subject_and_sentence(tmp_path: Path) -> None:
    with answering(says(200, b"{}")) as sink:
        attempt = await send(
            room(tmp_path, f"json://127.0.0.1:{sink.server_port}/alerts"),
            body("firing", condition()),
        )
    assert attempt.receipt == "sent by apprise to JSON"
    assert sink.seen == ["/alerts"]
    found = json.loads(sink.bodies[0])
    assert found["title"].startswith(
        "[单耗 0 提示] 预警：网关 gw-01 已 42 分钟无数据 / [Danhao 0 information]"
    )
    assert found["message"] == "网关 gw-01 已 42 分钟无数据。\n\nAgent gw-01 is silent for 42 min."


async def test_language_and_scheme_are_the_channels(tmp_path: Path) -> None:
    with answering(says(200, b"{}")) as sink:
        address = f"json://127.0.0.1:{sink.server_port}/"
        await send(room(tmp_path, address, language="zh", scheme="cn-city-2010"))
    assert json.loads(sink.bodies[0])["title"].startswith("[单耗 一级 一级预警] 预警：")


@pytest.mark.parametrize("status", [400, 404, 429, 500])
async def test_what_the_library_calls_not_sent_is_a_failed_attempt(
    tmp_path: Path, status: int
) -> None:
    with answering(says(status, b"{}")) as sink:
        attempt = await send(room(tmp_path, f"json://127.0.0.1:{sink.server_port}/"))
    assert (attempt.receipt, attempt.detail) == (None, "JSON did not take it")


async def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    with (
        answering(says(200, b"{}")) as other,
        answering(says(307, b"", Location=f"http://127.0.0.1:{other.server_port}/")) as sink,
    ):
        attempt = await send(room(tmp_path, f"json://127.0.0.1:{sink.server_port}/"))
        assert (attempt.receipt, other.seen) == (None, [])


async def test_a_room_that_is_out_is_a_failed_attempt(tmp_path: Path) -> None:
    attempt = await send(room(tmp_path, f"json://127.0.0.1:{free_port()}/"))
    assert attempt.receipt is None


async def test_a_room_inside_the_plant_needs_a_persons_word(tmp_path: Path) -> None:
    attempt = await send(room(tmp_path, "json://10.0.0.9/alerts"))
    assert attempt.detail == (
        "not sent: 10.0.0.9: 10.0.0.9 is not of the public network: write private = true if that"
        " is meant"
    )


async def test_a_library_that_hangs_is_given_up_and_not_started_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat, "DEADLINE_S", 0.2)
    over = threading.Event()

    def hang(handler: Handler) -> None:
        over.wait(10)
        says(200, b"{}")(handler)

    with answering(hang) as sink:
        channel = room(tmp_path, f"json://127.0.0.1:{sink.server_port}/?rto=20")
        async with transports.open_transport(channel) as link:
            first = await link.send(due(), clock)
            second = await link.send(due(), clock)
            assert isinstance(link, transports.Guarded)
            assert isinstance(link.inner, chat.Link)
            thread = link.inner._thread
            over.set()
        assert thread is not None
        thread.join(10)
        assert len(sink.seen) == 1
    assert first.detail.startswith("no whole answer within")
    assert second.detail == "not sent: the library is still busy with the attempt before"


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        (f"wecombot://{TOKEN}", "wecombot"),
        (f"https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key={TOKEN}", "wecombot"),
        ("dingtalk://SECabc123@" + "a1" * 32 + "/", "dingtalk"),
        ("feishu://" + "a1b2-c3d4" * 4, "feishu"),
        ("lark://" + "a1b2-c3d4" * 4, "lark"),
        ("tgram://123456789:AAbbCCddEEffGGhhIIjjKKllMMnnOOppQQr/12315544/", "tgram"),
    ],
)
def test_the_chats_that_plants_use_are_known_by_their_addresses(
    tmp_path: Path, address: str, kind: str
) -> None:
    assert chat.load(room(tmp_path, address)).secure_protocol == kind


async def test_a_refusal_that_looks_like_a_success_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """WeCom answers 200 to a key that is gone; the library alone would call that sent."""
    gone = b'{"errcode":93000,"errmsg":"invalid webhook url"}'
    with answering(says(200, gone)) as sink:
        here = f"http://127.0.0.1:{sink.server_port}/send"
        monkeypatch.setattr(chatrooms, "WECOM", here)
        monkeypatch.setattr(chatrooms, "DINGTALK", here)
        channel = room(tmp_path, f"wecombot://{TOKEN}")
        refused = await send(channel)
        sink.reply = says(200, b'{"errcode":0,"errmsg":"ok"}')
        taken = await send(channel)
        ding = await send(room(tmp_path, "dingtalk://SECabc123@" + "a1" * 32 + "/"))
    assert (refused.status, refused.receipt) == (200, None)
    assert "errcode 93000" in refused.detail
    assert (taken.receipt, ding.receipt) == ("errcode 0 ok", "errcode 0 ok")
    assert json.loads(sink.bodies[0])["text"]["content"].startswith("[单耗 1 关注] 预警：示例铝厂")
    assert "sign=" in sink.seen[2]


@pytest.mark.parametrize(
    "address", ["syslog://", "dbus://", "json://", "nonsense://x", "https://chat.example/hook"]
)
async def test_an_address_that_tells_nobody_is_one_sentence(tmp_path: Path, address: str) -> None:
    channel = room(tmp_path, address)
    with pytest.raises(Misconfigured) as caught:
        async with transports.open_transport(channel):
            pass
    (problem,) = caught.value.problems
    assert problem.where == str(tmp_path / "room")
    assert "name a chat" in problem.message or "write one such as" in problem.message


async def test_without_the_extra_a_person_reads_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loading = builtins.__import__

    def without(name: str, *args: Any, **more: Any) -> Any:
        if name == "apprise":
            raise ImportError(name)
        return loading(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(Misconfigured) as caught:
        chat.load(room(tmp_path, f"wecombot://{TOKEN}"))
    assert str(caught.value) == (
        "channel shift: needs the library apprise: pip install 'danhao[chat]'"
    )


async def test_the_secret_of_a_room_is_in_no_log_and_no_attempt(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    here = f"http://127.0.0.1:{free_port()}/send"
    monkeypatch.setattr(chatrooms, "WECOM", here)
    told = [await send(room(tmp_path, f"wecombot://{TOKEN}"))]
    told.append(await send(room(tmp_path, f"json://127.0.0.1:{free_port()}/{TOKEN}")))
    assert [attempt.receipt for attempt in told] == [None, None]
    assert all(TOKEN not in attempt.detail for attempt in told)
    assert TOKEN not in caplog.text
