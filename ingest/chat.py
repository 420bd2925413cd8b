"""A notification in a chat room, by the library Apprise: WeCom, DingTalk, Feishu and its others.

Promise: the library is loaded when a chat is named and its absence is told in one sentence; it
works in a thread behind a deadline; no address, which is a secret, is in a log or an attempt.
WeCom and DingTalk answer 200 to what they refuse, which the library takes for sent: those two are
posted here, and count as delivered only where their answer says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import threading
from typing import TYPE_CHECKING, Any, Final

import httpx

from core import alertletter, sending
from core.errors import Misconfigured, Problem
from ingest import addresses, chatrooms, outgoing
from ingest.addresses import Gate
from store.notifications import Attempt

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from datetime import datetime

    from core.alertletter import Letter
    from ingest.addresses import Environment
    from ingest.channels import Chat
    from store.notifications import Due

DEADLINE_S: Final = 20.0
SERVICE_S: Final = 15.0  # the library's own deadline, which ends its thread before ours gives up
MOST_ANSWER_BYTES: Final = 65_536
MOST_DETAIL_CHARS: Final = 300
_TIMEOUT: Final = httpx.Timeout(10.0, connect=5.0)
# What Apprise shows on this machine's own screens or writes into its own files tells nobody.
LOCAL: Final = frozenset(
    {"dbus", "kde", "qt", "glib", "gnome", "macosx", "windows", "syslog", "blink1", "file"}
)
log = logging.getLogger(__name__)


class Link:
    """The way to one chat room: a transport."""

    def __init__(self, channel: Chat, gate: Gate, client: httpx.AsyncClient) -> None:
        self._channel = channel
        self._gate = gate
        self._client = client
        self._thread: threading.Thread | None = None

    async def send(self, due: Due, clock: Callable[[], datetime]) -> Attempt:
        """Send a notification once and return how it went; raises nothing but cancellation."""
        at = clock()
        loop = asyncio.get_running_loop()
        began = loop.time()
        status: int | None = None
        receipt: str | None = None
        try:
            told = alertletter.letter(json.loads(due.body), self._channel.style())
            async with asyncio.timeout(DEADLINE_S):
                status, receipt, detail = await self._say(told, at)
        except TimeoutError:
            detail = f"no whole answer within {DEADLINE_S:.0f} s"
        except (httpx.HTTPError, OSError) as error:
            detail = type(error).__name__  # its words may hold the address
        except Misconfigured as error:
            detail = f"not sent: {error}"
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            detail = f"not sent: the notification cannot be put into words ({type(error).__name__})"
        took_ms = round((loop.time() - began) * 1000)
        return Attempt(at, took_ms, status, receipt, sending.one_line(detail, MOST_DETAIL_CHARS))

    async def _say(self, told: Letter, at: datetime) -> tuple[int | None, str | None, str]:
        """Say it in the room; return the status, the receipt if there is one, a sentence."""
        service = load(self._channel)
        room = chatrooms.room_of(service, told.subject, told.brief, at)
        if room is not None:
            status, answer = await outgoing.exchange(
                self._client,
                room.url,
                room.body,
                {"Content-Type": "application/json"},
                MOST_ANSWER_BYTES,
            )
            return status, *chatrooms.judge(status, answer)
        await _check_host(service, self._gate)
        return await self._by_library(service, told)

    async def _by_library(self, service: Any, told: Letter) -> tuple[int | None, str | None, str]:
        """Let the library send in a thread that holds up nobody, not even the program's end."""
        if self._thread is not None and self._thread.is_alive():
            raise Misconfigured("the library is still busy with the attempt before")
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[tuple[int | None, str | None, str]] = loop.create_future()

        def settle(found: tuple[int | None, str | None, str]) -> None:
            if not outcome.done():
                outcome.set_result(found)

        def work() -> None:
            found = _notify(service, told)
            with contextlib.suppress(RuntimeError):  # nobody waits any more: the loop is closed
                loop.call_soon_threadsafe(settle, found)

        self._thread = threading.Thread(target=work, name="danhao-chat", daemon=True)
        self._thread.start()
        return await outcome


@contextlib.asynccontextmanager
async def open_link(channel: Chat, environment: Environment) -> AsyncIterator[Link]:
    """Open the way to a chat room; raises Misconfigured where the library or the room is none."""
    await asyncio.to_thread(load, channel)  # the first time takes as long as a hundred modules do
    gate = Gate(channel.private, environment.resolve)
    trust = outgoing.trusted(None)
    async with outgoing.client(trust, _TIMEOUT, most_connections=2, gate=gate) as client:
        yield Link(channel, gate, client)


def load(channel: Chat) -> Any:
    """Return Apprise's service for the room; raises Misconfigured with one sentence."""
    address = channel.address()
    try:
        import apprise  # noqa: PLC0415 - an extra of its own, loaded where a chat is named
    except ImportError as error:
        message = "needs the library apprise: pip install 'danhao[chat]'"
        raise Misconfigured([Problem(f"channel {channel.name}", message)]) from error
    # It logs addresses of rooms and bodies at DEBUG.
    apprise.logger.setLevel(logging.CRITICAL)
    asset = apprise.AppriseAsset(
        app_id="Danhao",
        async_mode=False,
        http_redirects=False,
        storage_mode=apprise.PersistentStoreMode.MEMORY,
        service_timeout=SERVICE_S,
        allow_templates=False,
        interpret_escapes=False,
    )
    service = apprise.Apprise.instantiate(address, asset=asset)
    where = str(channel.address_file)
    if service is None:
        message = "holds no address that apprise knows: write one such as wecombot://KEY"
        raise Misconfigured([Problem(where, message)])
    if address.partition("://")[0].lower() in LOCAL:
        message = "names this machine's own screen or log, which tells nobody: name a chat"
        raise Misconfigured([Problem(where, message)])
    if "overflow=" not in address:
        service.overflow_mode = apprise.OverflowMode.TRUNCATE  # a cut message is still one
    return service


async def _check_host(service: Any, gate: Gate) -> None:
    """Refuse a room on a host that is not spoken to; a service with a host of its own has none.

    The library resolves the name anew, so this is a check and no pin.
    """
    host = getattr(service, "host", None)
    if not isinstance(host, str) or not host:
        return
    if addresses.literal(host) is None and "." not in host and host != "localhost":
        return  # a token that stands where a host would
    with contextlib.suppress(OSError):  # no address of its own, as a domain of mail has none
        await gate.permitted(host, int(getattr(service, "port", None) or 443))


def _notify(service: Any, told: Letter) -> tuple[int | None, str | None, str]:
    """Let the library send; it says no more than whether it did."""
    name = str(service.service_name)
    try:
        sent = service.notify(body=told.brief, title=told.subject)
    except Exception as error:  # noqa: BLE001 - a hundred services of others: none ends ours
        return None, None, f"{name} failed: {type(error).__name__}"
    if sent:
        return None, f"sent by apprise to {name}", f"{name} took it"
    return None, None, f"{name} did not take it"
