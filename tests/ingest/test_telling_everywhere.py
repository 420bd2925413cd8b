"""One alert, decided in PostgreSQL, reaches webhook, mailbox and chat, each with its receipt."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from core import alertletter, alerttext
from edge import keys
from ingest import transports
from ingest.alerting import Alerting
from ingest.channels import Chat, Mail
from ingest.notifier import Notifier
from simulators import mailbox, regulator
from simulators.mailbox import Door, Mailbox
from tests.edge.certificates import Authority
from tests.ingest.alertworld import NOW, SECRET, Desk, channel, month
from tests.ingest.receivers import answering, says
from tests.simulators.inbox import running

if TYPE_CHECKING:
    from pathlib import Path

    from ingest.channels import Channel
    from store.connection import Pool

# The library asks for a module that Python 3.13 takes out, and has a stand-in for it there.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
LATER = NOW + timedelta(minutes=10)


async def tell(pool: Pool, one: Channel) -> int:
    """Let a channel's notifier look at the table once."""
    async with transports.open_transport(one) as link:
        return await Notifier(pool, one, lambda: LATER).step(link)


async def test_one_alert_reaches_every_kind_of_channel_in_its_own_words(
    pool: Pool, tmp_path: Path
) -> None:
    keys.make(tmp_path / "alerts.key")
    authority = Authority(tmp_path)
    pair = authority.issue("mail server")
    box = Mailbox(mailbox.open_folder(tmp_path / "mails"))
    door = Door("starttls", mailbox.trust_of(pair.certificate, pair.key))
    with (
        running(tmp_path / "inbox", SECRET.encode(), lambda: LATER) as inbox,
        answering(says(200, b"{}")) as sink,
    ):
        inbox.sender = regulator.public_key(keys.public(tmp_path / "alerts.key"))
        (tmp_path / "room").write_text(f"json://127.0.0.1:{sink.server_port}/")
        async with mailbox.serving(box, door) as port:
            base = {"jurisdiction": "cn"}
            told: list[Channel] = [
                channel(tmp_path, inbox.url, key_file=tmp_path / "alerts.key"),
                Mail.model_validate(
                    {
                        **base,
                        "name": "mails",
                        "host": "127.0.0.1",
                        "port": port,
                        "sender": "danhao@plant.example",
                        "recipients": ["energy@plant.example"],
                        "ca_file": authority.file,
                        "scheme": "cn-barometer",
                    }
                ),
                Chat.model_validate(
                    {**base, "name": "room", "address_file": tmp_path / "room", "language": "zh"}
                ),
            ]
            desk = Desk(pool, Alerting(told), NOW - timedelta(minutes=2))
            for _ in range(2):
                await desk.see(month("exceeds"))
            assert [await tell(pool, one) for one in told] == [1, 1, 1]
        (posted,) = await asyncio.to_thread(inbox.inbox.items)
    (kept,) = await desk.kept()
    found = {each["channel"]: each for each in kept.deliveries}
    assert {name: each["state"] for name, each in found.items()} == {
        "regulator": "delivered",
        "mails": "delivered",
        "room": "delivered",
    }
    assert found["regulator"]["receipt"] == "inbox-000001"
    assert "queued as" in found["mails"]["receipt"]
    assert found["room"]["receipt"] == "sent by apprise to JSON"
    assert posted["body"]["tier"]["scheme"] == "danhao"
    (mail,) = box.mails()
    said = alertletter.letter(posted["body"], told[1].style())
    assert mail["Subject"] == said.subject
    assert "电解二系列" in said.subject
    chat = json.loads(sink.bodies[0])
    assert chat["message"] == alerttext.sentence(posted["body"], "zh")
