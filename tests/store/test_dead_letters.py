"""Dead letters: kept once, cut to a bound, listed in pages."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from core.clock import to_us
from store import dead_letters
from store.dead_letters import Letter, Wanted

if TYPE_CHECKING:
    import pytest

    from store.connection import Pool

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
LETTER = Letter("future", "danhao/v1/a/b/readings", "a", "b", "why", b"{}", "a.u.p", to_us(NOW))


async def test_the_same_letter_again_stays_one_letter(pool: Pool) -> None:
    async with pool.connection() as connection:
        assert await dead_letters.write(connection, [LETTER, LETTER], NOW) == 1
        assert await dead_letters.write(connection, [LETTER], NOW) == 0
        other = dataclasses.replace(LETTER, reason="too_old")
        assert await dead_letters.write(connection, [LETTER, other], NOW) == 1
        assert await dead_letters.counts(connection) == {"future": 1, "too_old": 1}


async def test_a_large_message_is_kept_in_part_with_its_whole_length(pool: Pool) -> None:
    large = dataclasses.replace(LETTER, payload=b"x" * (2 << 20), point=None, measured_us=None)
    async with pool.connection() as connection:
        await dead_letters.write(connection, [large], NOW)
        [kept] = await dead_letters.page(connection)
    assert len(kept.payload) == dead_letters.MOST_PAYLOAD_BYTES
    assert kept.payload_bytes == 2 << 20


async def test_text_that_the_database_cannot_hold_is_made_holdable(pool: Pool) -> None:
    odd = dataclasses.replace(
        LETTER, point="a\0b\ud800", detail="\0" * 9_000, topic="t\0", measured_us=2**62
    )
    async with pool.connection() as connection:
        await dead_letters.write(connection, [odd], NOW)
        [kept] = await dead_letters.page(connection)
    assert kept.point == "a\ufffdb?"
    assert len(kept.detail) == dead_letters.MOST_TEXT_CHARS
    assert kept.measured_at is None


async def test_every_reason_of_the_contract_can_be_kept_and_no_other(pool: Pool) -> None:
    letters = [dataclasses.replace(LETTER, reason=reason) for reason in dead_letters.REASONS]
    async with pool.connection() as connection:
        assert await dead_letters.write(connection, letters, NOW) == len(letters)
        found = await dead_letters.page(connection, Wanted(reason="overlap"))
    assert [letter.reason for letter in found] == ["overlap"]


async def test_pages_go_from_the_newest_down(pool: Pool) -> None:
    letters = [dataclasses.replace(LETTER, payload=str(n).encode()) for n in range(5)]
    async with pool.connection() as connection:
        for letter in letters:
            await dead_letters.write(connection, [letter], NOW)
        first = await dead_letters.page(connection, limit=3)
        rest = await dead_letters.page(connection, limit=3, before=first[-1].id)
    assert [letter.payload for letter in [*first, *rest]] == [b"4", b"3", b"2", b"1", b"0"]


async def test_the_table_is_bounded_settled_letters_go_first_and_all_are_counted(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letters, "MOST_LETTERS", 6)
    monkeypatch.setattr(dead_letters, "ROOM", 2)
    letters = [dataclasses.replace(LETTER, payload=str(n).encode()) for n in range(10)]
    async with pool.connection() as connection:
        await dead_letters.write(connection, letters[:6], NOW)
        newest = await dead_letters.page(connection, limit=2)
        await dead_letters.discard(connection, Wanted(ids=[newest[0].id]), "me", NOW)
        await dead_letters.settle(connection, newest[1].id, ("stored", ""), "me", NOW)
        await dead_letters.write(connection, letters[6:7], NOW)
        left = await dead_letters.page(connection)
        # Both settled ones and the oldest of the others have gone.
        assert sorted(letter.payload for letter in left) == [b"1", b"2", b"3", b"6"]
        await dead_letters.write(connection, letters[7:], NOW)
        assert len(await dead_letters.page(connection)) == 4
        assert await dead_letters.removed(connection) == {"future": 6}
        cursor = await connection.execute("select letters, settled from dead_letter_removed")
        assert await cursor.fetchall() == [(6, 2)]


async def test_letters_are_chosen_by_what_is_asked(pool: Pool) -> None:
    later = NOW + timedelta(hours=1)
    async with pool.connection() as connection:
        await dead_letters.write(connection, [LETTER], NOW)
        other = dataclasses.replace(LETTER, site="c", reason="overlap")
        await dead_letters.write(connection, [other], later)
        first, second = await dead_letters.ids(connection, dead_letters.ALL)
        for wanted, expected in (
            (Wanted(since=later), [second]),
            (Wanted(reason="future"), [first]),
            (Wanted(sites=["c"]), [second]),
            (Wanted(sites=[]), []),
            (Wanted(ids=[first, 999]), [first]),
        ):
            assert await dead_letters.ids(connection, wanted) == expected
        await dead_letters.discard(connection, Wanted(ids=[first]), "me", NOW)
        assert await dead_letters.ids(connection, Wanted(unsettled=True)) == [second]
