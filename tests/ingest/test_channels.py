"""Channels: every mistake at once, with its line, and never the secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from core import severities, tomlfile
from core.errors import Misconfigured
from ingest import channels, config

GOOD = """
[[channel]]
name = "qinghai"
url = "https://alerts.example/danhao"
secret_file = "{secret}"
jurisdiction = "cn-qh"
"""
SECRET = "hush-hush-hush-hush"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text(SECRET + "\n")
    return path


MAIL = """
[[channel]]
kind = "mail"
name = "shift-mail"
jurisdiction = "cn-qh"
host = "mail.example"
sender = "danhao@plant.example"
recipients = ["energy@office.example"]
username = "danhao"
password_file = "{secret}"
"""
CHAT = """
[[channel]]
kind = "chat"
name = "shift-chat"
jurisdiction = "cn-qh"
address_file = "{secret}"
"""


def load(text: str) -> tuple[channels.Channel, ...]:
    return channels.load(tomlfile.parse(text, "danhao.toml"))


def refused(text: str) -> list[str]:
    with pytest.raises(Misconfigured) as caught:
        load(text)
    assert SECRET not in str(caught.value)
    return [str(problem) for problem in caught.value.problems]


def test_a_channel_is_read_with_its_secret_beside_it(secret: Path) -> None:
    (channel,) = load(GOOD.format(secret=secret))
    assert isinstance(channel, channels.Webhook)
    assert (channel.name, channel.kind, channel.least_severity) == ("qinghai", "webhook", 0)
    assert channel.secret() == SECRET.encode()
    assert SECRET not in repr(channel)


def test_a_mail_is_starttls_and_in_both_languages_unless_told_otherwise(secret: Path) -> None:
    (channel,) = load(MAIL.format(secret=secret))
    assert isinstance(channel, channels.Mail)
    assert (channel.security, channel.port, channel.language) == ("starttls", None, "both")
    assert channel.password() == SECRET


def test_a_chats_address_is_a_secret_beside_the_file(tmp_path: Path) -> None:
    address = tmp_path / "room"
    address.write_text("wecombot://hush-hush-hush\n")
    (channel,) = load(CHAT.format(secret=address))
    assert isinstance(channel, channels.Chat)
    assert channel.address() == "wecombot://hush-hush-hush"
    assert "wecombot" not in repr(channel)


def test_what_all_channels_have_is_there_for_every_kind(secret: Path, tmp_path: Path) -> None:
    address = tmp_path / "room"
    address.write_text("feishu://token")
    more = (
        'escalate_to = "qinghai"\nescalate_after_s = 1800\ndigest = "07:30"\ndigest_below = 3\n'
        'most_per_10_min = 5\nscheme = "cn-barometer"\nlanguage = "zh"\n'
        'timezone = "Asia/Urumqi"\nleast_severity = 1\n'
    )
    text = GOOD.format(secret=secret) + MAIL.format(secret=secret) + more
    found = load(text + CHAT.format(secret=address) + more)
    for channel in found[1:]:
        assert (channel.escalate_to, channel.escalate_after_s) == ("qinghai", 1800)
        assert (channel.digest, channel.digest_below, channel.timezone) == (
            "07:30",
            3,
            "Asia/Urumqi",
        )
        assert (channel.most_per_10_min, channel.scheme) == (5, "cn-barometer")
    assert (found[0].digest, found[0].most_per_10_min, found[0].escalate_to) == (None, 10, None)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('digest = "24:00"', "digest: write an hour of the day such as 08:00"),
        ("digest_below = 5", "digest_below: Input should be less than or equal to 4"),
        ("most_per_10_min = 0", "most_per_10_min: Input should be greater than or equal to 1"),
        ('scheme = "none"', "scheme: is no scheme of severities: write one of danhao, page, cn-"),
        ('language = "fr"', "language: Input should be 'zh', 'en' or 'both'"),
        ('timezone = "Asia/Nowhere"', "timezone: is no time zone: write one such as"),
        ('escalate_to = "nobody"', "escalate_to: 'nobody' is no channel of this file"),
        ('escalate_to = "qinghai"', "escalate_to: leads back to this channel"),
        ("escalate_after_s = 5", "escalate_after_s: Input should be greater than or equal to 60"),
        ('recipients = ["a@b.example"]', "recipients: is not a key of this table"),
    ],
)
def test_a_mistake_in_what_all_have_is_one_sentence(secret: Path, line: str, told: str) -> None:
    (sentence,) = refused(GOOD.format(secret=secret) + line + "\n")
    assert sentence.startswith("danhao.toml:7: channel.0.")
    assert told in sentence


def test_second_channels_that_lead_round_in_a_circle_are_told(secret: Path) -> None:
    one = GOOD.format(secret=secret)
    told = refused(
        one.replace("qinghai", "a")
        + 'escalate_to = "b"\n'
        + one.replace("qinghai", "b")
        + 'escalate_to = "c"\n'
        + one.replace("qinghai", "c")
        + 'escalate_to = "a"\n'
        + one.replace("qinghai", "d")
        + 'escalate_to = "a"\n'
    )
    assert [sentence.partition(" ")[0] for sentence in told] == [
        "danhao.toml:7:",
        "danhao.toml:14:",
        "danhao.toml:21:",
    ]


@pytest.mark.parametrize(
    ("found", "written", "told"),
    [
        ('host = "mail.example"', 'host = "10.1.1.1"', "10.1.1.1 is not of the public network"),
        (
            'host = "mail.example"',
            'host = "mail.example\\r\\nX"',
            "host: write the server's name such as",
        ),
        ('"energy@office.example"', "", "recipients: List should have at least 1 item"),
        (
            "energy@office.example",
            "energy",
            "recipients.0: write a mail address such as energy@plant.example",
        ),
        ('username = "danhao"\n', "", "password_file: is for an account: write its username"),
        (
            "danhao@plant.example",
            "a@b.example\\nBcc: x@y.example",
            "sender: write a mail address such as",
        ),
        ('kind = "mail"', 'kind = "mail"\nsecurity = "none"', "security: write tls or starttls"),
        ('kind = "mail"', 'kind = "mail"\nport = 70000', "port: Input should be less than"),
    ],
)
def test_a_mail_that_will_not_do_is_one_sentence(
    secret: Path, found: str, written: str, told: str
) -> None:
    (sentence,) = refused(MAIL.format(secret=secret).replace(found, written))
    assert told in sentence


def test_plain_smtp_is_for_this_machine_and_private_opens_the_plants_network(secret: Path) -> None:
    text = MAIL.format(secret=secret)
    assert load(text.replace("mail.example", "127.0.0.1") + 'security = "none"\n')
    assert load(text.replace("mail.example", "10.1.1.1") + "private = true\n")
    assert refused(text.replace("mail.example", "169.254.169.254") + "private = true\n")


@pytest.mark.parametrize("text", ["", "no address", "wecombot://a\nwecombot://b", "x" * 3_000])
def test_a_file_that_holds_no_address_of_a_chat_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "room").write_text(text)
    (sentence,) = refused(CHAT.format(secret=tmp_path / "room"))
    assert "channel.0.address_file: " in sentence
    assert "holds no address of a chat: write one line such as wecombot://KEY" in sentence


def test_a_literal_address_inside_needs_a_persons_word(secret: Path) -> None:
    text = GOOD.format(secret=secret).replace("alerts.example", "192.168.1.9")
    (sentence,) = refused(text)
    assert "channel.0.url: 192.168.1.9 is not of the public network" in sentence
    assert load(text + "private = true\n")
    assert refused(text.replace("192.168.1.9", "[fe80::1]") + "private = true\n")


@pytest.mark.parametrize("url", ["danhao.example", "https://d.example/?x=1", "https://a b/", 7])
def test_where_the_page_is_must_be_an_address(secret: Path, url: object) -> None:
    line = f"page_url = {url}" if isinstance(url, int) else f'page_url = "{url}"'
    (sentence,) = refused(GOOD.format(secret=secret) + line + "\n")
    assert "channel.0.page_url: write where the page is, such as https://" in sentence


def test_the_page_stands_anywhere_a_persons_browser_reaches(secret: Path) -> None:
    (channel,) = load(GOOD.format(secret=secret) + 'page_url = "http://10.1.1.5:8080/"\n')
    assert channel.style().page_url == "http://10.1.1.5:8080"


def test_no_channel_is_no_mistake() -> None:
    assert load("") == ()


def test_a_receiver_is_told_of_its_jurisdiction_and_what_lies_below(secret: Path) -> None:
    (channel,) = load(GOOD.format(secret=secret) + "least_severity = 2\n")
    assert channel.concerns("cn-qh", 2)
    assert channel.concerns("cn-qh-xining", 4)
    assert not channel.concerns("cn-qh", 1)
    assert not channel.concerns("cn", 4)
    assert not channel.concerns("cn-qhx", 4)


def test_a_changed_secret_counts_at_once(secret: Path) -> None:
    (channel,) = load(GOOD.format(secret=secret))
    secret.write_text("another-secret-of-ours")
    assert isinstance(channel, channels.Webhook)
    assert channel.secret() == b"another-secret-of-ours"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://alerts.example/x", "use https"),
        ("ftp://alerts.example/x", "write https://host/path"),
        ("https:///x", "write https://host/path"),
        ("https://me:hush@alerts.example/x", "leave the account out"),
        ("https://alerts.example:99999/x", "Port out of range"),
        ("alerts.example", "write https://host/path"),
        ("https://xn--0.example/x", "write https://host/path"),
        ("https://a b.example/x", "the host holds a sign that no name has"),
        ("https://" + "a" * 64 + ".example/x", "the host is no name"),
    ],
)
def test_an_address_that_will_not_do_is_one_sentence(secret: Path, url: str, told: str) -> None:
    (sentence,) = refused(GOOD.format(secret=secret).replace("https://alerts.example/danhao", url))
    assert sentence.startswith("danhao.toml:4: channel.0.url: ")
    assert told in sentence
    assert "hush" not in sentence


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_plain_http_is_for_this_machine(secret: Path, host: str) -> None:
    text = GOOD.format(secret=secret)
    assert load(text.replace("https://alerts.example", f"http://{host}:9000"))


def test_all_mistakes_of_all_channels_are_told_at_once(secret: Path, tmp_path: Path) -> None:
    (tmp_path / "short").write_text("hush")
    told = refused(
        GOOD.format(secret=secret)
        + GOOD.format(secret=tmp_path / "none")
        + GOOD.format(secret=tmp_path / "short").replace("qinghai", "other")
        + '[[channel]]\nname = "No Slug"\nkind = "fax"\n'
    )
    assert len(told) == 6
    assert any("danhao.toml:9: channel.1.name: 'qinghai' is the name of another" in t for t in told)
    assert any("channel.1.secret_file" in t and "cannot be read" in t for t in told)
    assert any("channel.2.secret_file" in t and "holds no secret" in t for t in told)
    assert any("channel.3.kind: write one of webhook, mail, chat" in t for t in told)
    assert any("channel.3.jurisdiction: is required" in t for t in told)


def test_a_table_in_single_brackets_is_told(secret: Path) -> None:
    told = refused(GOOD.format(secret=secret).replace("[[channel]]", "[channel]"))
    assert "double brackets" in told[0]


def test_ingest_takes_its_channels_from_danhao_toml(secret: Path, tmp_path: Path) -> None:
    path = tmp_path / "danhao.toml"
    path.write_text(GOOD.format(secret=secret))
    environment = {
        "DANHAO_DATABASE_URL": "postgresql://me@db/danhao",
        "DANHAO_MQTT_URL": "mqtt://broker",
    }
    assert [one.name for one in config.load(environment, path).channels] == ["qinghai"]
    path.write_text(GOOD.format(secret=tmp_path / "none"))
    with pytest.raises(Misconfigured, match=r"channel\.0\.secret_file"):
        config.load(environment, path)


def test_every_key_of_a_channel_is_explained() -> None:
    page = Path(channels.__file__).parents[1] / "docs" / "channels.md"
    text = page.read_text("utf-8")
    keys = {key for model in channels.KINDS.values() for key in model.model_fields} - {"kind"}
    assert {key for key in keys if f"`{key}`" not in text} == set()


def test_the_page_shows_the_grades_of_every_scheme() -> None:
    page = Path(channels.__file__).parents[1] / "docs" / "channels.md"
    rows = [line for line in page.read_text("utf-8").splitlines() if line.startswith("| `")]
    for scheme in severities.catalogue().values():
        (row,) = [row for row in rows if row.startswith(f"| `{scheme.id}` | ")][-1:]
        cells = [cell.strip() for cell in row.strip("|").split("|")][1:]
        for tier, cell in zip(scheme.tiers, cells, strict=True):
            assert cell.split()[0] == tier.code
