"""What a channel tells next: in order, within its rate, grave ones at once, little ones later."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from core import delivery
from core.delivery import FRESH_EVERY, MOST_BUNDLED, MOST_HELD, Plan, Reason, Terms, Waiting

NOW = datetime(2026, 11, 21, 4, tzinfo=UTC)  # 12:00 in Shanghai
TERMS = Terms(10, None, 2, "Asia/Shanghai")
MORNING = Terms(10, time(8), 2, "Asia/Shanghai")  # the newest digest was four hours ago


def one(number: int, alert: int, severity: int = 2, **more: object) -> Waiting:
    given = {"created_at": NOW, "tried": False, "attempts": 0, "next_at": NOW, **more}
    key, of = UUID(int=number), UUID(int=1_000 + alert)
    return Waiting(key, number, of, severity, **given)  # type: ignore[arg-type]  # fields by name


def several(count: int, severity: int = 2, first: int = 1) -> list[Waiting]:
    return [one(n, n, severity) for n in range(first, first + count)]


def numbers(ids: tuple[UUID, ...]) -> list[int]:
    return [each.int for each in ids]


def test_what_the_rate_allows_is_told_one_by_one_the_gravest_first() -> None:
    rows = [one(1, 1, 2), one(2, 2, 4), one(3, 3, 3), one(4, 4, 4)]
    plan = delivery.plan(rows, 6, NOW, TERMS)
    assert numbers(plan.singly) == [2, 4, 3, 1]
    assert (plan.bundled, plan.reason) == ((), None)


def test_what_is_over_the_rate_is_one_bundle_in_the_last_place() -> None:
    plan = delivery.plan([*several(20), one(99, 99, 4)], 0, NOW, TERMS)
    assert len(plan.singly) == 9
    assert plan.singly[0].int == 99
    assert numbers(plan.bundled) == list(range(9, 21))
    assert plan.reason is Reason.RATE


def test_what_fills_several_bundles_leaves_them_their_places() -> None:
    """A thousand that wait are told within a minute by a channel that takes ten messages."""
    rows, sent, rounds = several(950), 0, 0
    while rows:
        plan = delivery.plan(rows, sent, NOW, TERMS)
        told = {*plan.singly, *plan.bundled}
        rows = [row for row in rows if row.id not in told]
        sent += len(plan.singly) + bool(plan.bundled)
        rounds += 1
        assert rounds < 20
    assert sent == TERMS.most_per_10_min


def test_where_the_rate_is_used_up_nothing_is_told() -> None:
    assert delivery.plan(several(3), 10, NOW, TERMS) == Plan()
    assert delivery.plan(several(3), 12, NOW, TERMS) == Plan()


def test_of_one_alert_only_the_first_is_told_or_all_in_one_bundle() -> None:
    rows = [one(1, 7), one(2, 7), one(3, 8)]
    assert numbers(delivery.plan(rows, 0, NOW, TERMS).singly) == [1, 3]
    narrow = delivery.plan(rows, 8, NOW, TERMS)  # two places: one of them the bundle's
    assert (numbers(narrow.singly), numbers(narrow.bundled)) == ([3], [1, 2])


def test_what_was_tried_stays_by_itself_and_holds_its_alert_up() -> None:
    tried = one(1, 7, tried=True, attempts=3)
    rows = [tried, one(2, 7), *several(20, first=10)]
    plan = delivery.plan(rows, 0, NOW, TERMS)
    assert numbers(plan.again) == [1]
    assert len(plan.singly) == 8
    assert 2 not in numbers(plan.singly + plan.bundled)
    rows[0] = replace(tried, next_at=NOW + timedelta(seconds=1))
    later = delivery.plan(rows, 0, NOW, TERMS)
    assert later.again == ()
    assert 2 not in numbers(later.singly + later.bundled)


def test_a_bundle_that_was_made_goes_at_once_and_into_no_other() -> None:
    bundle = replace(one(1, 1, 0), alert=None)
    rows = [bundle, *several(20, first=10)]
    plan = delivery.plan(rows, 0, NOW, MORNING)
    assert plan.again == (bundle.id,)
    assert bundle.id not in plan.bundled
    assert len(plan.singly) == 8


def test_little_ones_wait_for_the_digest_and_come_in_one_message() -> None:
    before, after = NOW - timedelta(hours=5), NOW - timedelta(hours=3)
    rows = [one(n, n, 1, created_at=before if n < 4 else after) for n in range(1, 7)]
    plan = delivery.plan(rows, 0, NOW, MORNING)
    assert plan == Plan((), (), tuple(row.id for row in rows[:3]), Reason.DIGEST)
    assert delivery.plan(rows[3:], 0, NOW, MORNING) == Plan()
    tomorrow = delivery.plan(rows[3:], 0, NOW + timedelta(hours=20), MORNING)
    assert numbers(tomorrow.bundled) == [4, 5, 6]


def test_a_digest_of_one_is_no_bundle() -> None:
    row = one(1, 1, 0, created_at=NOW - timedelta(days=1))
    assert delivery.plan([row], 0, NOW, MORNING) == Plan(singly=(row.id,))


def test_a_grave_one_takes_along_what_its_alert_has_to_say_before() -> None:
    rows = [one(1, 7, 1), one(2, 7, 3), one(3, 7, 1), one(4, 8, 1)]
    assert numbers(delivery.plan(rows, 0, NOW, MORNING).singly) == [1]
    assert numbers(delivery.plan(rows, 9, NOW, MORNING).bundled) == [1, 2]


def test_too_many_that_wait_for_a_digest_go_early() -> None:
    rows = several(MOST_HELD, 1)
    assert delivery.plan(rows, 0, NOW, MORNING) == Plan()
    plan = delivery.plan([*rows, one(5_000, 5_000, 1)], 0, NOW, MORNING)
    assert (len(plan.bundled), plan.reason, plan.early) == (MOST_BUNDLED, Reason.DIGEST, True)


def test_the_digests_hour_is_of_the_plants_clock() -> None:
    def last(hour: int, minute: int = 0) -> datetime | None:
        return delivery.last_digest(datetime(2026, 11, 21, hour, minute, tzinfo=UTC), MORNING)

    assert last(0) == datetime(2026, 11, 21, 0, tzinfo=UTC)  # 08:00 in Shanghai
    assert last(23, 59) == datetime(2026, 11, 21, 0, tzinfo=UTC)
    before = delivery.last_digest(datetime(2026, 11, 20, 23, 59, tzinfo=UTC), MORNING)
    assert before == datetime(2026, 11, 20, 0, tzinfo=UTC)
    assert delivery.last_digest(NOW, TERMS) is None


def test_a_receiver_that_is_out_is_mostly_asked_with_what_it_was_asked_before() -> None:
    tried = [one(n, n, tried=True, attempts=n) for n in (3, 2)]
    whole = delivery.plan([*tried, *several(2, first=10)], 0, NOW, TERMS)
    probes = [delivery.probe(whole, failures) for failures in range(5, 5 + FRESH_EVERY)]
    assert [numbers(probe.again) for probe in probes].count([2]) == FRESH_EVERY - 1
    assert [numbers(probe.singly) for probe in probes].count([10]) == 1


TIMES = st.integers(-2_000, 60).map(lambda minutes: NOW + timedelta(minutes=minutes))
ROWS = st.lists(
    st.builds(
        Waiting,
        id=st.none(),
        number=st.none(),
        alert=st.integers(0, 6).map(lambda n: UUID(int=1_000 + n) if n else None),
        severity=st.integers(0, 4),
        created_at=TIMES,
        tried=st.booleans(),
        attempts=st.integers(0, 3),
        next_at=TIMES,
    ),
    max_size=30,
).map(
    lambda rows: [
        replace(row, id=UUID(int=n), number=n, tried=row.tried and (row.alert not in seen))
        for n, row in enumerate(rows, 1)
        for seen in ({before.alert for before in rows[: n - 1]},)
    ]
)
ANY_TERMS = st.builds(
    Terms,
    st.integers(1, 12),
    st.one_of(st.none(), st.times().map(lambda at: at.replace(tzinfo=None))),
    st.integers(1, 4),
    st.sampled_from(["Asia/Shanghai", "Europe/Berlin"]),
)


@given(ROWS, st.integers(0, 14), ANY_TERMS)
def test_a_plan_keeps_order_rate_and_what_was_tried(
    rows: list[Waiting], sent: int, terms: Terms
) -> None:
    plan = delivery.plan(rows, sent, NOW, terms)
    by_id = {row.id: row for row in rows}
    told = [*plan.again, *plan.singly, *plan.bundled]
    assert len(told) == len(set(told))
    messages = len(plan.again) + len(plan.singly) + bool(plan.bundled)
    assert messages <= max(terms.most_per_10_min - sent, 0)
    assert all(by_id[each].settled and by_id[each].next_at <= NOW for each in plan.again)
    assert not any(by_id[each].settled for each in (*plan.singly, *plan.bundled))
    assert numbers(plan.bundled) == sorted(numbers(plan.bundled))
    assert len(plan.bundled) != 1
    assert (plan.reason is None) == (not plan.bundled)
    for each in told:
        before = {
            row.id
            for row in rows
            if row.alert == by_id[each].alert is not None and row.number < by_id[each].number
        }
        assert before <= (set(plan.bundled) if each in plan.bundled else set())


@given(ROWS, ANY_TERMS)
def test_whatever_is_grave_moves_where_there_is_room(rows: list[Waiting], terms: Terms) -> None:
    plan = delivery.plan(rows, 0, NOW, terms)
    told = {*plan.again, *plan.singly, *plan.bundled}
    alerts_told = {row.alert for row in rows if row.id in told}
    for row in rows:
        head = min((each for each in rows if each.alert == row.alert), key=lambda each: each.number)
        if head.settled or row.severity < terms.digest_below:
            continue
        crowded = len(plan.again) >= terms.most_per_10_min
        assert row.alert in alerts_told or crowded


@given(ROWS, st.integers(0, 14), ANY_TERMS, st.integers(0, 50))
def test_a_probe_is_one_message_of_the_plan(
    rows: list[Waiting], sent: int, terms: Terms, failures: int
) -> None:
    plan = delivery.plan(rows, sent, NOW, terms)
    probe = delivery.probe(plan, failures)
    messages = len(probe.again) + len(probe.singly) + bool(probe.bundled)
    assert messages == (0 if plan == Plan() else 1)
    assert {*probe.again, *probe.singly, *probe.bundled} <= {
        *plan.again,
        *plan.singly,
        *plan.bundled,
    }
