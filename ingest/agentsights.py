"""What data conditions see of agents: whether they are heard, their clocks, what they hold.

What an agent said of itself is known while it is heard; of a silent one nothing is.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from core.conditions import Seen, Subject, SubjectKind, Watch
from core.wire import AgentState
from ingest.asking import DAY, PROOF, growing, seconds, utc
from store import watched

if TYPE_CHECKING:
    from ingest.asking import Asking
    from store.watched import AgentSeen

ASIDE: Final = "set_aside"  # as an agent's status calls it (docs/wire.md)
LOST: Final = "lost_envelopes"
DAMAGED: Final = ("corrupt_files", "damaged")
IN_MEMORY: Final = "in_memory"
WITHHELD: Final = "withheld"


async def agents_silent(asking: Asking) -> list[Seen] | None:
    """Return how long each declared agent has been silent; one that was never heard is not."""
    if asking.heard_since is None:
        return None
    return [
        Seen(_subject(each), value, facts={"heard_at": utc(each.heard_at)})
        for each in await _declared(asking)
        for value in [_silence(each, asking)]
        if value is None or value > 0
    ]


async def sites_silent(asking: Asking) -> list[Seen] | None:
    """Return for how long nothing at all has come from each site."""
    if asking.heard_since is None:
        return None
    of_site: dict[str, list[AgentSeen]] = {}
    for each in await _declared(asking):
        of_site.setdefault(each.site, []).append(each)
    return [
        Seen(
            Subject(SubjectKind.SITE, site),
            _silence(newest, asking),
            words={"agents": str(len(own))},
            facts={"heard_at": utc(newest.heard_at), "agents": len(own)},
        )
        for site, own in of_site.items()
        for newest in [max(own, key=lambda each: each.heard_at)]
    ]


async def clocks(asking: Asking) -> list[Seen] | None:
    """Return how far the clock of each agent is off; of a silent one that is not known."""
    return [
        Seen(
            _subject(each),
            None if not _is_here(each, asking) else Decimal(str(abs(each.clock_offset_ms))) / 1_000,
            facts={"clock_offset_ms": each.clock_offset_ms},
        )
        for each in await _declared(asking)
        if each.clock_offset_ms is not None
    ]


async def outboxes(asking: Asking) -> list[Seen] | None:
    """Return how old the oldest unsent envelope of each agent is."""
    return [
        Seen(
            _subject(each),
            seconds(asking.now - each.oldest_at) if _is_here(each, asking) else None,
            words={"depth": str(each.depth)},
            facts={"depth": each.depth, "oldest_at": utc(each.oldest_at)},
        )
        for each in await _declared(asking)
        if each.depth and each.oldest_at is not None
    ]


async def holes(asking: Asking) -> list[Seen] | None:
    """Return how long envelopes of each agent have been missing that later ones came after."""
    return [
        Seen(
            _subject(each),
            seconds(asking.now - each.missing_since) if _is_here(each, asking) else None,
            words={"missing": str(each.missing)},
            facts={"missing": each.missing, "missing_since": utc(each.missing_since)},
        )
        for each in await _declared(asking)
        if each.missing and each.missing_since is not None
    ]


async def lost(asking: Asking) -> list[Seen] | None:
    """Return how many envelopes each agent lost in a loss that went on within a day."""
    seen = await _declared(asking)
    counts = {_subject(each): max(each.lost, each.troubles.get(LOST, 0)) for each in seen}
    return await growing(asking, Watch.ENVELOPES_LOST, counts, DAY)


async def set_aside(asking: Asking) -> list[Seen] | None:
    """Return how many envelopes each agent gave up within a day, as it says itself."""
    counts = {_subject(each): each.troubles.get(ASIDE, 0) for each in await _declared(asking)}
    return await growing(asking, Watch.ENVELOPES_ASIDE, counts, DAY)


async def disks(asking: Asking) -> list[Seen] | None:
    """Return how much of what each agent keeps was damaged within a day; one more: it keeps none.

    An agent whose disk is gone goes on in memory: what is there is lost with its power.
    """
    seen = {_subject(each): each.troubles for each in await _declared(asking)}
    counts = {
        subject: sum(troubles.get(name, 0) for name in DAMAGED)
        for subject, troubles in seen.items()
    }
    grown = {each.subject: each for each in await growing(asking, Watch.AGENT_DISK, counts, DAY)}
    found = []
    for subject, troubles in seen.items():
        damaged = grown[subject].value if subject in grown else None
        value = (damaged or 0) + troubles.get(IN_MEMORY, 0)
        if value:
            told = {name: troubles[name] for name in (*DAMAGED, IN_MEMORY) if name in troubles}
            found.append(Seen(subject, Decimal(value), facts=told))
    return found


async def withheld(asking: Asking) -> list[Seen] | None:
    """Return how many readings of each agent wait until it can trust its clock."""
    return [
        Seen(
            _subject(each),
            Decimal(each.troubles[WITHHELD]) if _is_here(each, asking) else None,
            facts={WITHHELD: each.troubles[WITHHELD]},
        )
        for each in await _declared(asking)
        if WITHHELD in each.troubles
    ]


async def _declared(asking: Asking) -> list[AgentSeen]:
    found = await watched.agents(asking.connection)
    return [each for key, each in found.items() if key in asking.plant.agents]


def _subject(agent: AgentSeen) -> Subject:
    return Subject(SubjectKind.AGENT, f"{agent.site}.{agent.agent}")


def _silence(agent: AgentSeen, asking: Asking) -> Decimal | None:
    if asking.quiet(agent.heard_at) is None:
        return None
    return seconds(asking.now - agent.heard_at)


def _is_here(agent: AgentSeen, asking: Asking) -> bool:
    """Tell whether what an agent said last is how it is now."""
    is_online = agent.state == AgentState.ONLINE.value
    return is_online and asking.now - agent.heard_at < PROOF
