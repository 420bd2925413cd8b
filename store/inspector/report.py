"""What was looked at, part by part, and what was found: the program's answer.

Bytes first: where one is changed, nothing that the pack says is believed or computed.
"""

# ruff: noqa: B905, UP017 - this runs on Python 3.9 too

from __future__ import annotations

import argparse
import hashlib
import json
import struct
import sys
from datetime import timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from store.inspector.exact import HOUR, BeyondError, Span, instant, neighbours, shown
from store.inspector.facts import Facts, millionths
from store.inspector.figure import Book
from store.inspector.laws import against
from store.inspector.meters import Meter, Slots
from store.inspector.sealed import canonical, changed, sha256, verified

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from store.inspector.sealed import Json

PACK_FORMAT, CLOSE_FORMAT = 1, 2
MOST_BYTES = 1 << 30
REACH = 96 * HOUR  # of a stock-taking: how far from a month a fact may count in it
WORDS = {
    "en": {"wrong": "WRONG"},
    "zh": {
        "well": "相符", "wrong": "不符", "unchecked": "未核查",
        "bytes and signature": "字节与签名", "catalogue": "目录", "month close": "月结",
        "figure": "数值", "format": "格式",
        "energy": "能耗", "estimated energy": "其中估计", "output": "产量", "intensity": "单耗",
        "uncertainty": "不确定度", "completeness": "完整率",
        "within": "达标", "exceeds": "超限", "indeterminate": "不确定", "incomplete": "数据不全",
    },
}  # fmt: skip


class Report:
    """What was found; `well` where nothing is wrong and nothing is beyond the program."""

    def __init__(self) -> None:
        self.parts: list[tuple[str, list[str], list[str]]] = []  # name, wrong, unchecked
        self.about: Json = {}
        self.told: list[tuple[str, str]] = []  # what was computed: a name, a value

    def add(self, name: str, wrong: Sequence[str], unchecked: Sequence[str] = ()) -> None:
        """Say what was found of one part."""
        self.parts.append((name, list(wrong), list(unchecked)))

    @property
    def problems(self) -> list[str]:
        """Return what is wrong, one sentence each."""
        return [f"{name}: {one}" for name, wrong, _ in self.parts for one in wrong]

    @property
    def unchecked(self) -> list[str]:
        """Return what nobody could look at, one sentence each."""
        return [f"{name}: {one}" for name, _, left in self.parts for one in left]

    @property
    def well(self) -> bool:
        """Tell whether all that was looked at stands."""
        return bool(self.parts) and not self.problems

    def item(self) -> Json:
        """Return it as JSON."""
        return {
            "well": self.well,
            "of": self.about,
            "parts": [
                {"part": name, "problems": wrong, "unchecked": left}
                for name, wrong, left in self.parts
            ],
            "figure": [list(one) for one in self.told],
        }

    def lines(self, language: str) -> Iterator[str]:
        """Yield it for a person."""
        words = WORDS[language]
        for name, wrong, left in self.parts:
            state = "wrong" if wrong else "unchecked" if left else "well"
            yield f"{words.get(name, name)}: {words.get(state, state)}"
            yield from (f"  {words['wrong']}: {one}" for one in wrong)
            yield from (f"  {words.get('unchecked', 'unchecked')}: {one}" for one in left)
        yield from (f"{words.get(name, name)} {value}" for name, value in self.told)


def check(data: bytes, public_key: str | None = None) -> Report:
    """Check a pack; with a public key, that this one and no other has signed."""
    report = Report()
    wrong, unchecked = changed(data, public_key)
    report.add("bytes and signature", wrong, unchecked)
    if wrong:
        return report
    members = [json.loads(line) for line in data.split(b"\n")[:-1]]
    heads = [one for one in members if one["member"] == "evidence"]
    if len(heads) != 1 or heads[0]["format"] != PACK_FORMAT:
        report.add("format", [f"the pack is none of format {PACK_FORMAT}"])
        return report
    report.about = heads[0]
    for name, look in (("catalogue", _catalogue), ("month close", _close), ("figure", _figure)):
        try:
            report.add(name, *look(members, report))
        except BeyondError as beyond:
            report.add(name, [f"this program cannot compute it: {beyond}"])
        except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
            report.add(
                name, [f"the pack does not hold what it needs: {type(error).__name__} {error}"]
            )
    return report


def one_of(members: Sequence[Json], name: str) -> Json | None:
    """Return the member of this name, None without one."""
    return next((one for one in members if one["member"] == name), None)


def many(members: Sequence[Json], name: str) -> list[Json]:
    """Return all members of this name."""
    return [one for one in members if one["member"] == name]


def _catalogue(members: Sequence[Json], _: Report) -> tuple[list[str], list[str]]:
    """Compare the rows of the law with the files that the figure's catalogue is the hash of."""
    files = {one["file"]: one["text"] for one in many(members, "catalogue")}
    said = (one_of(members, "figure") or {}).get("catalogue")
    if not files:
        return [], ["the pack holds no catalogue: compare limit and factors with their sources"]
    digest = hashlib.sha256()
    for name, text in sorted(files.items()):
        digest.update(f"{name}\0{len(text.encode())}\0{text}".encode())
    if digest.hexdigest() != said:
        return ["its files are not those that the figure was computed with"], []
    try:
        import tomllib  # noqa: PLC0415 - from Python 3.11 on
    except ImportError:
        return [], ["rows were not compared with the files: that needs Python 3.11"]
    tables = {name: tomllib.loads(text) for name, text in files.items()}
    wrong = []
    for name in ("indicator", "carrier", "limit"):
        table = plain(tables[f"{name}s.toml"][name])
        wrong += [
            f"the row {name} {member['id']} is not that of the files"
            for member in many(members, name)
            if table.get(member["id"]) != member["row"]
        ]
    (rule,) = many(members, "indicator")
    limits = plain(tables["limits.toml"]["limit"])
    there = {one["id"] for one in many(members, "limit")}
    left_out = [key for key, row in limits.items() if row["indicator"] == rule["id"]]
    wrong += [f"the limit {key} is left out" for key in left_out if key not in there]
    return wrong, []


def plain(data: Any) -> Any:
    """Return data with its dates as text."""
    return json.loads(json.dumps(data, default=lambda one: one.isoformat()))


def _close(members: Sequence[Json], _: Report) -> tuple[list[str], list[str]]:
    """Check the month close that speaks of the figure: its seal, and what it names."""
    close, figure = one_of(members, "close"), one_of(members, "figure")
    (head,) = many(members, "evidence")
    if close is None or figure is None:
        return [], ["no month close speaks of this figure"]
    body = json.loads(close["body"])
    wrong, left = _of_seal(close, body)
    named = {one["result"]: one for one in body["figures"]}.get(figure["result"])
    if named is None:
        left.append("it was closed with another version of this figure")
    elif named["sha256"] != sha256(canonical(figure["figures"]).encode()):
        wrong.append("the figure is not the one that the month was closed with")
    (declared,) = many(members, "declaration")
    digest = sha256(canonical(declared["declared"]).encode())
    then = body["declaration"]
    if then["version"] == declared["version"] and then["sha256"] != digest:
        wrong.append("the declaration is not the one that the month was closed with")
    span = (instant(body["month_start"]), instant(body["month_end"]))
    for found, unseen in (_of_readings(members, body, span), _of_facts(members, body, head, span)):
        wrong += found
        left += unseen
    return wrong, left


def _of_seal(close: Json, body: Json) -> tuple[list[str], list[str]]:
    """Check a close's hash, signature and chain."""
    raw, wrong, left = close["body"].encode(), [], []
    if sha256(raw) != close["sha256"]:
        wrong.append("its body is not the one that was hashed")
    if body.get("key", close["key"]) != close["key"]:
        wrong.append("it was to be signed by another key")
    if close["key"] is None:
        left.append("it is not signed")
    elif not verified(close["key"], close["signature"], raw):
        wrong.append("its signature is not by its key")
    for before, after in neighbours(close["chain"]):
        if after["previous"] != before["sha256"] or after["number"] != before["number"] + 1:
            wrong.append(f"the chain is broken at number {after['number']}")
    hashes = {one["number"]: one["sha256"] for one in close["chain"]}
    if hashes.get(body["number"]) != close["sha256"]:
        wrong.append("its chain does not end with it")
    if body["previous"] != hashes.get(body["number"] - 1):
        wrong.append("the close before it is another one")
    return wrong, left


def rows_of(member: Json) -> list[tuple[int, float | None, int, int]]:
    """Return a line of readings as (instant, value, quality, recorded), sums of its differences."""
    at = recorded = 0
    found = []
    for step, value, quality, later in zip(
        member["at_us"], member["value"], member["quality"], member["recorded_us"]
    ):
        at, recorded = at + step, recorded + later
        found.append((at, value, quality, recorded))
    return found


def _of_readings(members: Sequence[Json], body: Json, span: Span) -> tuple[list[str], list[str]]:
    """Compare the digests of the month's readings with the readings in the pack."""
    (head,) = many(members, "evidence")
    known = instant(body["known_at"])
    said = {one["point"]: one for one in body["readings"]}
    given: dict[str, list[Any]] = {}
    for one in many(members, "readings"):
        given.setdefault(one["point"], []).extend(rows_of(one))
    wrong, left = [], []
    for point in head["points"]:
        if point not in said:
            wrong.append(f"{point} is not among the points that the month was closed with")
            continue
        if point not in given:
            left.append(
                f"readings of {point} are not in the pack: the close names {said[point]['count']}"
                f" with sha256 {said[point]['sha256']}"
            )
            continue
        if not (head["begin_us"] <= span[0] and span[1] <= head["end_us"]):
            left.append(f"readings of {point}: the pack holds a part of the month, the digest all")
            continue
        rows = [r for r in given[point] if span[0] <= r[0] < span[1] and r[3] <= known]
        packed = b"".join(
            struct.pack("<qdh", at, float("nan") if value is None else value + 0.0, quality)
            for at, value, quality, _ in rows
        )
        if (len(rows), sha256(packed)) != (said[point]["count"], said[point]["sha256"]):
            wrong.append(f"readings of {point} are not those that the month was closed with")
    return wrong, left


def _of_facts(
    members: Sequence[Json], body: Json, head: Json, span: Span
) -> tuple[list[str], list[str]]:
    """Compare the digest of the month's facts with the facts in the pack."""
    if body["format"] != CLOSE_FORMAT or not (
        head["begin_us"] <= span[0] and span[1] <= head["end_us"]
    ):
        return [], ["facts: the digest is of a whole month, or of an older format"]
    (said,) = (one for one in body["facts"] if one["unit"] == head["unit"])
    known = instant(body["known_at"])
    seen = [one for one in many(members, "fact") if instant(one["recorded_at"]) <= known]
    rows = [
        [one["id"], one["revision"], one["kind"], one["at"], millionths(one), one["grades"],
         one["stream"], one["amount_unit"]]
        for one in Facts(seen, head["unit"], timezone.utc, 0).rows
        if _reaches(one, span)
    ]  # fmt: skip
    rows.sort(key=lambda row: str(row[0]).encode())
    if (len(rows), sha256(canonical(rows).encode())) != (said["count"], said["sha256"]):
        return ["the facts are not those that the month was closed with"], []
    return [], []


def _reaches(fact: Json, span: Span) -> bool:
    """Tell whether a fact may count in a month: a stock later, a heating value all day."""
    at = fact["at_us"]
    begin, end = at, at + 1
    if fact["kind"] == "base":
        return bool(span[1] > at)
    if fact["kind"] == "stock":
        begin, end = at - 1, at + REACH + 1
    elif any(name.startswith("lhv_") for name in fact["grades"]):
        begin, end = at - 24 * HOUR, at + 24 * HOUR + 1
    return bool(span[0] < end and begin < span[1])


def meters_of(members: Sequence[Json]) -> dict[str, Meter | Slots]:
    """Return the meters of the pack, by readings or by slots."""
    (site,) = many(members, "declaration")
    (head,) = many(members, "evidence")
    found: dict[str, Meter | Slots] = {}
    for point in head["points"]:
        table = site["declared"]["unit"][head["unit"].split(".", 1)[1]]["point"][
            point.rsplit(".", 1)[1]
        ]
        slots = [one for one in many(members, "slots") if one["point"] == point]
        if slots:
            found[point] = Slots([row for one in slots for row in one["rows"]])
            continue
        rows = [
            row
            for one in many(members, "readings")
            if one["point"] == point
            for row in rows_of(one)
        ]
        confirmed = {
            at for one in many(members, "confirmed") if one["point"] == point for at in one["at_us"]
        }
        found[point] = Meter(table, [row[:3] for row in rows], confirmed)
    return found


def _figure(members: Sequence[Json], report: Report) -> tuple[list[str], list[str]]:
    """Compute the figure and its verdicts anew and compare them with what was told."""
    (head,) = many(members, "evidence")
    (told,) = (one["figures"] for one in many(members, "figure"))
    book = Book(members, meters_of(members))
    span = (head["begin_us"], head["end_us"])
    wrong = []
    if sorted(book.points) != sorted(head["points"]):
        wrong.append("the points in the pack are not those that the indicator counts")
    found = book.figure(span)
    unit = told["intensity"]["unit"]
    for name, value, said, of in (
        ("energy", shown(found.energy), told["energy"]["value"], book.rule["energy_unit"]),
        ("estimated energy", shown(found.estimated), told["energy"]["estimated"], ""),
        ("output", shown(found.output), told["output"]["value"], book.rule.get("output_unit", "t")),
        ("intensity", shown(found.value), told["intensity"]["value"], book.rule["unit"]),
        ("uncertainty", shown(found.doubt), told["intensity"]["uncertainty"], unit),
        ("completeness", round(float(found.complete), 6), told["completeness"], ""),
    ):
        report.told.append((name, "-" if value is None else f"{value} {of}".rstrip()))
        if value != said:
            wrong.append(f"{name} is {value}, told was {said}")
    if unit != book.rule["unit"]:
        wrong.append(f"the figure is told in {unit}")
    rows = [(one["id"], one["row"]) for one in many(members, "limit")]
    differing, verdicts = against(book, rows, told["verdicts"], span)
    wrong += differing
    report.told += [one for one in verdicts if one[0] != "not_applicable"]
    left = [f"{one}: its readings are archived, its energy is that of slots"
            for one, meter in book.meters.items() if isinstance(meter, Slots)]  # fmt: skip
    return wrong, [*left, "flags are told by the product and not computed here"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; return 0 where all of the pack stands, 1 where not, 2 on wrong use."""
    parser = argparse.ArgumentParser(description="Checks an evidence pack of a danhao figure.")
    parser.add_argument("pack")
    parser.add_argument("--public-key", metavar="KEY", help="ed25519:...: it must have signed")
    parser.add_argument("--lang", choices=sorted(WORDS), default="en")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    try:
        with Path(options.pack).open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        sys.stderr.write(f"{options.pack} cannot be read: {error.strerror}\n")
        return 2
    if len(data) > MOST_BYTES:
        sys.stderr.write(f"{options.pack} is larger than {MOST_BYTES} bytes\n")
        return 2
    report = check(data, options.public_key)
    if options.json:
        sys.stdout.write(json.dumps(report.item(), ensure_ascii=False, indent=1) + "\n")
    else:
        sys.stdout.write("".join(f"{line}\n" for line in report.lines(options.lang)))
    return 0 if report.well else 1
