"""Canned answers for the pages of people's work, with what they write kept while a test runs.

In the exact shapes of the API; every figure is invented. What is refused is refused in the words of
the real server, so that a test sees what a person would.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, TypeAlias

from tests.browser.canned import PLANT, Json, month_of, stamp

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SITE: Final = "gh-al"
CASE: Final = "33333333-3333-4333-8333-333333333333"
LATE: Final = "44444444-4444-4444-8444-444444444444"
RESULT: Final = "55555555-5555-4555-8555-555555555555"
OUTAGE: Final = "66666666-6666-4666-8666-666666666666"
MAY: Final[Mapping[str, Mapping[str, list[str]]]] = {
    "delivered": {"operator": ["acknowledge", "explain"], "engineer": ["acknowledge", "explain"]},
    "acknowledged": {"operator": ["explain"], "engineer": ["explain"]},
    "explained": {"regulator": ["accept", "dispute"]},
    "accepted": {"engineer": ["plan", "close"], "regulator": ["dispute", "close"]},
}
BECOMES: Final = {
    "acknowledge": "acknowledged",
    "explain": "explained",
    "accept": "accepted",
    "dispute": "disputed",
    "plan": "planned",
    "close": "plant_closed",
}
Answer: TypeAlias = tuple[HTTPStatus, Json]


def listed(items: list[Json]) -> Answer:
    """Return one page of a list."""
    return HTTPStatus.OK, {"items": items, "next": None}


def refused(status: HTTPStatus, detail: str, *reasons: str) -> Answer:
    """Return a problem document, with each reason where there are several."""
    errors = [{"reason": "canned", "message": each} for each in reasons]
    body: Json = {"title": status.phrase, "status": int(status), "detail": detail}
    return status, body | ({"errors": errors} if errors else {})


@dataclass(slots=True)
class Work:
    """What people did since the server began."""

    began: datetime
    role: str = "operator"
    state: str = "delivered"
    history: list[Json] = field(default_factory=list)
    facts: list[Json] = field(default_factory=list)
    closes: list[Json] = field(default_factory=list)
    outages: list[Json] = field(default_factory=list)
    shelved: dict[str, Json] = field(default_factory=dict)
    written: list[tuple[str, str, Json]] = field(default_factory=list)
    in_the_way: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Begin with a case that was told, a tapping of today and one that was corrected."""
        self.note("raise", "absent", "raised", 0)
        self.note("deliver", "raised", "delivered", 0)
        self.facts = [self.fact("heat-20261121-07", 0, "6.125", hours=3)]
        self.facts += [self.fact("heat-20261121-03", n, m, hours=9) for n, m in enumerate("69")]

    def note(self, event: str, before: str, after: str, position: int, **detail: str) -> None:
        """Add a row to the history of the case."""
        row: Json = {"position": len(self.history), "event": event, "detail": detail}
        system = event in {"raise", "deliver"}
        side = "system" if system else "regulator" if self.role == "regulator" else "plant"
        at = self.began - timedelta(minutes=25 - position)
        row |= {"at": stamp(at), "from_state": before, "to_state": after, "side": side}
        self.history.append(row | {"severity": 2, "who": self.role, "role": self.role})

    def fact(self, name: str, revision: int, mass: str, *, hours: int) -> Json:
        """Return a tapping of potline 1."""
        at = self.began - timedelta(hours=hours)
        return {
            "id": name,
            "revision": revision,
            "unit": f"{SITE}.potline-1",
            "kind": "tapping",
            "at": stamp(at),
            "stream": None,
            "mass_t": mass,
            "amount": None,
            "amount_unit": None,
            "grades": {"si": "0.0004"},
            "source": "user:operator",
            "recorded_at": stamp(at + timedelta(minutes=5)),
        }

    def get(self, path: str, query: Mapping[str, str], alerts: Mapping[str, Json]) -> Answer | None:
        """Answer a read, or None where it is none of these pages'."""
        lists: dict[str, Callable[[], list[Json]]] = {
            "cases": lambda: self.cases(query, alerts),
            "case-causes": causes,
            "output": lambda: [one for one in self.facts if one["unit"] == query["unit"]],
            f"sites/{SITE}/outages": lambda: self.outages,
        }
        if path in lists:
            return listed(lists[path]())
        if path == f"cases/{CASE}":
            return HTTPStatus.OK, self.whole(alerts)
        return (HTTPStatus.OK, self.ranking(query)) if path == "benchmarks" else None

    def post(self, path: str, body: Json, alerts: Mapping[str, Json]) -> Answer | None:
        """Take what a person says, or None where it is none of these pages'."""
        self.written.append(("POST", path, body))
        steps = path.split("/")
        if steps[:2] == ["cases", CASE]:
            return self.act(steps[2], body, alerts)
        if steps[0] == "alerts" and steps[-1] == "shelve":
            item = self.silence("shelved", body) | {"alert": steps[1]}
            self.shelved[steps[1]] = item
            return HTTPStatus.CREATED, item
        if path == "output":
            return self.enter(body)
        if path == f"sites/{SITE}/closes":
            return self.close(body)
        if path == f"sites/{SITE}/outages":
            self.outages.insert(0, self.silence(body["kind"], body))
            return HTTPStatus.CREATED, self.outages[0]
        return None

    def delete(self, path: str) -> Answer | None:
        """End an outage or a shelving, or None where it is neither."""
        self.written.append(("DELETE", path, {}))
        steps = path.split("/")
        if steps[-1] == "shelve":
            return HTTPStatus.OK, self.shelved.pop(steps[1])
        if steps[:2] == ["sites", SITE] and steps[2] == "outages":
            self.outages[0] |= {"state": "ended", "ended_at": stamp(self.began), "ended_by": "me"}
            return HTTPStatus.OK, self.outages[0]
        return None

    def act(self, doing: str, body: Json, alerts: Mapping[str, Json]) -> Answer:
        """Do one of the things that the case lets this role do."""
        if doing not in MAY.get(self.state, {}).get(self.role, []):
            return refused(HTTPStatus.CONFLICT, "The case cannot go there from where it stands.")
        before, self.state = self.state, BECOMES[doing]
        self.note(doing, before, self.state, 20, **{k: str(v) for k, v in body.items()})
        return HTTPStatus.OK, self.whole(alerts)

    def enter(self, body: Json) -> Answer:
        """Store a production fact as the real server would, or say why not."""
        try:
            float(body["mass_t"])
        except ValueError:
            text = f"mass_t {body['mass_t']!r}: not a decimal number"
            return refused(HTTPStatus.UNPROCESSABLE_ENTITY, text)
        same = [each for each in self.facts if each["id"] == body["id"]]
        if any(each["revision"] == body["revision"] for each in same):
            text = f"Revision {body['revision']} of {body['id']!r} is stored with other content."
            return refused(HTTPStatus.CONFLICT, text)
        empty: Json = dict.fromkeys(("mass_t", "amount", "amount_unit", "stream"))
        kept = empty | body | {"source": "user:operator", "recorded_at": stamp(self.began)}
        self.facts.append(kept)
        return HTTPStatus.CREATED, kept

    def close(self, body: Json) -> Answer:
        """Close a month, or tell everything that stands in the way."""
        if self.in_the_way:
            text = "; ".join(self.in_the_way)
            return refused(HTTPStatus.CONFLICT, f"{text}.", *self.in_the_way)
        self.closes.append(closed(body["month"], self.began))
        return HTTPStatus.CREATED, self.closes[-1]

    def silence(self, kind: str, body: Json) -> Json:
        """Return a silence that begins now."""
        none: Json = dict.fromkeys(("unit", "alert", "document", "ended_at", "ended_by"))
        made = {
            "silence": OUTAGE,
            "kind": kind,
            "state": "running",
            "site": SITE,
            "from": stamp(self.began),
            "created_at": stamp(self.began),
            "created_by": self.role,
        }
        return none | made | {key: value for key, value in body.items() if key != "kind"}

    def alert(self, item: Json, alerts: Mapping[str, Json]) -> Json:
        """Return an alert with what the alerts page shows of it."""
        silence = self.shelved.get(item["id"])
        quiet = None
        if silence is not None:
            names = ("until", "reason", "document")
            quiet = {name: silence[name] for name in names}
            quiet |= {"kind": "shelved", "told": True, "since": silence["from"], "alert": None}
            quiet |= {"by": self.role, "silence": silence["silence"]}
        more: Json = {"site": item["unit"].split(".")[0], "timezone": "Asia/Shanghai"}
        behind = [(each.get("quiet") or {}).get("alert") for each in alerts.values()]
        folded = behind.count(item["id"])
        return more | {"folded": folded, "result": RESULT} | {"quiet": quiet} | item

    def case(self, alerts: Mapping[str, Json]) -> Json:
        """Return the case of the first alert, as this role sees it."""
        item = next(iter(alerts.values()))
        told = self.began - timedelta(minutes=25)
        waits = {"delivered": "acknowledge", "acknowledged": "explain", "explained": "answer"}
        duty = waits.get(self.state)
        waiting = None
        if duty is not None:
            waiting = {
                "side": "regulator" if duty == "answer" else "plant",
                "duty": duty,
                "due_at": stamp(due(self.began, 10)),
                "working_days": 10,
                "working_days_left": 9,
                "calendar_known": True,
                "overdue": False,
                "told_at": None,
            }
        return {
            "id": CASE,
            "number": 1,
            "site": SITE,
            "state": self.state,
            "since": stamp(told),
            "severity": item["severity"],
            "closes": "both",
            "opened_at": stamp(told),
            "updated_at": stamp(told),
            "plan_due": None,
            "waiting": waiting,
            "stages": {},
            "evidence": None,
            "may": MAY.get(self.state, {}).get(self.role, []),
            "alert": self.alert(item, alerts),
        }

    def late(self, alerts: Mapping[str, Json]) -> Json:
        """Return a case whose time ran out."""
        item = list(alerts.values())[-1]
        waiting: Json = {"side": "plant", "duty": "explain", "due_at": None, "working_days": None}
        waiting |= {"working_days_left": None, "calendar_known": True, "overdue": True}
        return self.case(alerts) | {
            "id": LATE,
            "number": 2,
            "state": "escalated",
            "site": item["unit"].split(".")[0],
            "waiting": waiting | {"told_at": stamp(self.began)},
            "alert": self.alert(item, alerts),
        }

    def cases(self, query: Mapping[str, str], alerts: Mapping[str, Json]) -> list[Json]:
        """Return the cases that are asked for."""
        found = [self.case(alerts), self.late(alerts)]
        if "alert" in query:
            return [one for one in found if one["alert"]["id"] == query["alert"]]
        if "site" in query:
            found = [one for one in found if one["site"] == query["site"]]
        if "waits_for" in query:
            side = query["waits_for"]
            found = [one for one in found if (one["waiting"] or {}).get("side") == side]
        return [one for one in found if "overdue" not in query or one["waiting"]["overdue"]]

    def whole(self, alerts: Mapping[str, Json]) -> Json:
        """Return the case with everything that belongs to it."""
        start = month_of(self.began)[0] - timedelta(days=1)
        finding = {
            "period_start": start.replace(day=1).isoformat(),
            "found_at": stamp(self.began - timedelta(days=20)),
            "stands": True,
            "since": stamp(self.began - timedelta(days=20)),
            "result": RESULT,
            "evidence": f"/api/v1/results/{RESULT}/evidence",
        }
        more: Json = {"findings": [finding], "history": self.history, "attachments": []}
        return self.case(alerts) | more

    def ranking(self, query: Mapping[str, str]) -> Json:
        """Return how three plants rank, one of them not at all."""
        rows = (
            ("gh-al", "12810.4", 1, 1),
            ("qh-fa", "13120.9", 2, 4),
            ("dl-cem", None, None, None),
        )
        plants = [
            {
                "site": site,
                "units": [],
                "value": value,
                "uncertainty": None if value is None else "80",
                "completeness": 0.99,
                "rank": rank,
                "rank_best": rank,
                "rank_worst": rank,
                "quartile": quartile,
                "gap_to_best_quartile": None if value is None else "0",
                "position": "not_comparable" if rank is None else "middle",
                "doubtful": False,
                "why": None if rank else "incomplete",
                "why_text": None if rank else {"zh": "数据不全", "en": "data is incomplete"},
                "results": [RESULT] if rank else [],
            }
            for site, value, rank, quartile in rows
        ]
        return {
            "indicator": query["indicator"],
            "jurisdiction": query["jurisdiction"],
            "period": query["period"],
            "closed": True,
            "unit": "kWh/t",
            "higher_is_better": False,
            "counts": {"plants": 3},
            "quartiles": {
                "first": "12850",
                "median": "12960",
                "third": "13080",
                "concealed": False,
            },
            "plants": plants,
        }


def causes() -> list[Json]:
    """Return two causes, one of which asks for proof."""
    name = {"zh": "设备劣化或故障", "en": "Worn or failed equipment"}
    force = {"zh": "不可抗力", "en": "Force majeure"}
    return [
        {"cause": "equipment", "name": name, "proof": False},
        {"cause": "force_majeure", "name": force, "proof": True},
    ]


def due(now: datetime, days: int) -> datetime:
    """Return the plant's midnight some days on."""
    day = now.astimezone(PLANT).replace(hour=0, minute=0, second=0, microsecond=0)
    return day + timedelta(days=days)


def whole_close(one: Json) -> Json:
    """Return a canned close with everything that its own page shows of it."""
    whole = closed(one["month"], datetime.fromisoformat(one["closed_at"])) | one
    return whole | {"flips": whole["flips"] if one["flipped"] else []}


def closed(month: str, now: datetime) -> Json:
    """Return a closed month of which one verdict has changed since."""
    flip = {
        "unit": f"{SITE}.potline-1",
        "indicator": "al.liquid.ac",
        "period": "month",
        "period_start": f"{month}-01T00:00:00+08:00",
        "version": 1,
        "newest": RESULT,
        "newest_version": 2,
        "causes": ["late_readings"],
        "verdicts": [{"limit": "cn.al.liquid.ac.level-3", "from": "within", "to": "indeterminate"}],
    }
    return {
        "close": OUTAGE,
        "site": SITE,
        "number": 1,
        "month": month,
        "month_start": f"{month}-01T00:00:00+08:00",
        "month_end": stamp(now),
        "known_at": stamp(now),
        "closed_at": stamp(now),
        "closed_by": "user:engineer",
        "sha256": "ab" * 32,
        "previous": None,
        "signed": True,
        "key": "close-1",
        "figures": 42,
        "differing": 3,
        "flipped": 1,
        "flips": [flip],
    }
