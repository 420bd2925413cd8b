"""Who takes which site: a law over every order of joining, dying, looking late and declaring."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from ingest.leases import Decision, Share, decide
from store.leases import EVERY

WORKERS = range(5)
SITES = [f"s{n}" for n in range(7)]


@dataclass
class Table:
    """What the database enforces: a lease is taken only where nobody has it."""

    sites: set[str] = field(default_factory=set)
    workers: set[int] = field(default_factory=set)
    held: dict[str, int] = field(default_factory=dict)
    moves: int = 0

    def seen(self, me: int) -> Decision:
        return decide(me, self.workers, dict(self.held), set(self.sites))

    def act(self, me: int, decision: Decision) -> None:
        """Act as a worker that looked a while ago: the table has the last word."""
        if me not in self.workers:
            return
        for site in decision.give_up:
            if self.held.get(site) == me:
                del self.held[site]
                self.moves += 1
        for site in decision.take:
            self.held.setdefault(site, me)

    def kill(self, worker: int) -> None:
        self.workers.discard(worker)
        self.held = {site: who for site, who in self.held.items() if who != worker}

    def settle(self) -> int:
        """Have every worker look and act in turn until nothing moves; return how many turns."""
        for turn in range(20):
            before = dict(self.held)
            for worker in sorted(self.workers):
                self.act(worker, self.seen(worker))
            if self.held == before:
                return turn
        raise AssertionError(f"never at rest: {self.held}")


EVENTS = st.one_of(
    st.tuples(st.just("join"), st.sampled_from(WORKERS)),
    st.tuples(st.just("kill"), st.sampled_from(WORKERS)),
    st.tuples(st.just("look"), st.sampled_from(WORKERS)),
    st.tuples(st.just("act"), st.sampled_from(WORKERS)),
    st.tuples(st.just("declare"), st.sampled_from(SITES)),
    st.tuples(st.just("withdraw"), st.sampled_from(SITES)),
)


@given(st.lists(EVENTS, max_size=40))
def test_every_site_ends_up_with_one_worker_and_the_shares_are_even(
    events: list[tuple[str, int | str]],
) -> None:
    table = Table(sites=set(SITES[:4]), workers={0})
    stale: dict[int, Decision] = {}
    for kind, what in events:
        if kind in {"declare", "withdraw"}:
            (table.sites.add if kind == "declare" else table.sites.discard)(str(what))
            continue
        worker = int(what)
        if kind == "join":
            table.workers.add(worker)
        elif kind == "kill" and len(table.workers) > 1:
            table.kill(worker)
        elif kind == "look" and worker in table.workers:
            stale[worker] = table.seen(worker)
            assert not stale[worker].take & set(table.held), "it takes only what is free"
        elif kind == "act" and worker in stale:
            table.act(worker, stale.pop(worker))
    table.settle()
    assert set(table.held) == {*table.sites, EVERY}
    shares = [
        sum(who == worker for site, who in table.held.items() if site != EVERY)
        for worker in table.workers
    ]
    assert max(shares) - min(shares) <= 1


@given(
    st.integers(1, 5),
    st.lists(st.sampled_from(SITES), unique=True, min_size=1),
    st.sampled_from(WORKERS),
)
def test_as_few_sites_move_as_an_even_share_takes(number: int, sites: list[str], dies: int) -> None:
    table = Table(sites=set(sites), workers=set(range(number)))
    table.settle()
    before, table.moves = dict(table.held), 0
    table.settle()
    assert table.held == before
    if number > 1 and dies in table.workers:
        table.kill(dies)
        table.settle()
        # What the dead one had is shared out; nobody else gives anything up.
        assert table.moves == 0
        table.workers.add(dies)
        table.settle()
        assert table.moves <= len(sites) // number + 1


def test_what_one_does_for_all_goes_to_the_first_and_stays() -> None:
    assert decide(2, [1, 2], {}, []).take == {EVERY}
    assert decide(1, [1, 2], {EVERY: 2}, []) == Decision(frozenset(), frozenset(), wants_more=False)


def test_a_site_that_is_no_longer_declared_is_given_up() -> None:
    assert decide(1, [1], {"gone": 1, "a": 1, EVERY: 1}, ["a"]).give_up == {"gone"}


def test_work_goes_on_while_alone_whatever_is_declared_and_ends_with_any_loss() -> None:
    one = Share(frozenset({"a"}), 1, alone=True, for_all=True)
    more = Share(frozenset({"a", "b"}), 2, alone=True, for_all=True)
    assert one.covers(more)
    assert not one.covers(Share(one.sites, 1, alone=True, for_all=True, losses=1))
    several = Share(frozenset({"a"}), 1, for_all=True)
    assert not one.covers(several)
    assert several.covers(Share(frozenset({"a"}), 1, for_all=True))
    assert not several.covers(Share(frozenset({"a", "b"}), 1, for_all=True))
    assert not several.covers(Share(frozenset({"a"}), 2, for_all=True))
    assert Share().idle
    assert not Share(for_all=True).idle
