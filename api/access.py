"""The one seam of authorisation: who is asking, what a role may do, and at which sites.

Deny by default: a route without a declared action does not start the server, a path that is not
public answers 401 to a stranger, and an action not listed for a role is refused (design 5.10).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from core import names
from core.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from core.plant import Site
    from store.access import Holder
    from store.sessions import Entered

EVERYTHING: Final = "*"
MOST_SCOPES: Final = 64  # of one token
_SITE, _JURISDICTION = "site:", "jurisdiction:"


class Role(StrEnum):
    """What kind of caller a token stands for."""

    OPERATOR = "operator"
    ENGINEER = "engineer"
    REGULATOR = "regulator"
    ADMIN = "admin"


class Action(StrEnum):
    """What a route does; every route declares exactly one."""

    READ_FIGURES = "read_figures"
    READ_LAW = "read_law"
    READ_AGENTS = "read_agents"
    READ_DEAD_LETTERS = "read_dead_letters"
    MEND_DEAD_LETTERS = "mend_dead_letters"
    WRITE_OUTPUT = "write_output"
    ACKNOWLEDGE_ALERT = "acknowledge_alert"
    EXPLAIN_CASE = "explain_case"
    PLAN_CASE = "plan_case"
    ANSWER_CASE = "answer_case"
    CLOSE_CASE = "close_case"
    ATTACH_TO_CASE = "attach_to_case"
    SHELVE_ALERT = "shelve_alert"
    DECLARE_OUTAGE = "declare_outage"
    CONFIRM_STEP = "confirm_step"
    CLOSE_MONTH = "close_month"
    RECORD_BENCHMARK = "record_benchmark"
    READ_METRICS = "read_metrics"
    READ_AUDIT = "read_audit"
    READ_DOCS = "read_docs"
    KEEP_SESSION = "keep_session"


_ALL: Final = frozenset(Role)
_PLANT: Final = frozenset({Role.OPERATOR, Role.ENGINEER, Role.ADMIN})
ALLOWED: Final = {
    Action.READ_FIGURES: _ALL,
    Action.READ_LAW: _ALL,
    Action.READ_AGENTS: _ALL,
    Action.READ_DEAD_LETTERS: _PLANT,
    Action.MEND_DEAD_LETTERS: frozenset({Role.ENGINEER, Role.ADMIN}),
    Action.WRITE_OUTPUT: _PLANT,
    Action.ACKNOWLEDGE_ALERT: _PLANT,
    Action.EXPLAIN_CASE: _PLANT,
    Action.PLAN_CASE: frozenset({Role.ENGINEER, Role.ADMIN}),
    # An answer is the other side's, whatever a plant's admin may do besides.
    Action.ANSWER_CASE: frozenset({Role.REGULATOR}),
    Action.CLOSE_CASE: frozenset({Role.ENGINEER, Role.ADMIN, Role.REGULATOR}),
    Action.ATTACH_TO_CASE: _ALL,
    Action.SHELVE_ALERT: _PLANT,
    Action.DECLARE_OUTAGE: frozenset({Role.ENGINEER, Role.ADMIN}),
    Action.CONFIRM_STEP: frozenset({Role.ENGINEER, Role.ADMIN}),
    Action.CLOSE_MONTH: frozenset({Role.ENGINEER, Role.ADMIN}),
    # What bars a plant from public funds, and what lifts it, is the regulator's to write.
    Action.RECORD_BENCHMARK: frozenset({Role.REGULATOR, Role.ADMIN}),
    Action.READ_METRICS: _PLANT,
    Action.READ_AUDIT: frozenset({Role.ADMIN}),
    Action.READ_DOCS: _ALL,
    Action.KEEP_SESSION: _ALL,
}


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking, with role and scope; by bearer token, or by a session."""

    name: str
    role: Role
    scope: frozenset[str]
    expires_at: datetime | None = None
    holder: Holder | None = None
    session: Entered | None = None

    @property
    def by_cookie(self) -> bool:
        """Tell whether a browser's session asks, not a bearer token."""
        return self.session is not None


def principal_of(holder: Holder, session: Entered | None = None) -> Principal:
    """Return the principal of a token's holder, or of a session's."""
    role, scope = Role(holder.role), frozenset(holder.scope)
    return Principal(holder.name, role, scope, holder.expires_at, holder, session)


def may(principal: Principal, action: Action, site: Site | None = None) -> bool:
    """Tell whether the principal may do this; with a site, whether there."""
    if principal.role not in ALLOWED.get(action, frozenset()):
        return False
    return site is None or covers(principal.scope, site.id, site.jurisdiction)


def covers(scope: Iterable[str], site: str, jurisdiction: str) -> bool:
    """Tell whether a scope holds the site: by its id, by a jurisdiction at or above, or by `*`."""
    entries = list(scope)
    return f"{_SITE}{site}" in entries or holds(entries, jurisdiction)


def holds(scope: Iterable[str], jurisdiction: str) -> bool:
    """Tell whether a scope holds a whole jurisdiction: by one at or above it, or by `*`."""
    for entry in scope:
        code = entry.removeprefix(_JURISDICTION)
        if entry == EVERYTHING or (code != entry and names.is_within(jurisdiction, code)):
            return True
    return False


def sees_everything(principal: Principal) -> bool:
    """Tell whether the scope is the whole store: what belongs to no site is shown to these."""
    return EVERYTHING in principal.scope


def parse_role(text: str) -> Role:
    """Read a role; raises Rejected with the roles there are."""
    try:
        return Role(text)
    except ValueError as error:
        raise Rejected(f"unknown role {text!r}: use one of {', '.join(Role)}") from error


def parse_scope(entries: Iterable[str]) -> tuple[str, ...]:
    """Check a scope's entries and return them sorted; raises Rejected with every mistake."""
    scope = sorted(set(entries))
    wrong = [entry for entry in scope if not _is_scope(entry)]
    if wrong:
        raise Rejected(
            f"not a scope: {', '.join(map(repr, wrong))}; write site:<id>, jurisdiction:<code> or *"
        )
    if not 0 < len(scope) <= MOST_SCOPES:
        raise Rejected(f"a token has 1 to {MOST_SCOPES} scopes, this one {len(scope)}")
    return tuple(scope)


def _is_scope(entry: str) -> bool:
    for prefix in (_SITE, _JURISDICTION):
        if entry.startswith(prefix):
            return names.is_slug(entry.removeprefix(prefix))
    return entry == EVERYTHING
