"""Charts on pages, as vectors: axes with hairlines, limits dashed and named, missing days hatched.

Only what lies above the limit is tinted. A series of bars turns to its colour where it is worse
than zero; colour never speaks alone, the axis says the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from api.reporting import face
from api.reporting.canvas import (
    BAR,
    FILL_COLOURS,
    INK,
    INK2,
    LEFT,
    LINE,
    OVER_FILL,
    RED,
    RIGHT,
    TRACK,
    Canvas,
)
from core.reports import printing, scales
from core.reports.document import Style, Tone

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from core.reports.document import Chart, Language, Series, Text
    from core.reports.scales import Axis

SIZE: Final = 7.5  # points
TITLE: Final = 10.0
HEIGHT: Final = 40.0  # of the plot of a line [mm]
LOW: Final = 24.0  # of one of bars
LABELS: Final = 5.0  # below it
BAR_SHARE: Final = 0.62  # of its slot
ROW: Final = 6.0  # of a bar on its side
BAR_HEIGHT: Final = 3.4
MOST_NAME_LINES: Final = 2
NAME_LEADING: Final = 3.4
NAME_SHARE: Final = 0.42  # of the width, for names of bars on their side
LEGEND_LINE: Final = 7.0

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class _Plot:
    """Where a chart's inside lies, and where its values and labels fall."""

    canvas: Canvas
    chart: Chart
    axis: Axis
    left: float
    top: float
    width: float
    height: float

    def y(self, value: str) -> float:
        return self.top + self.height * (1 - self.axis.share(printing.to_decimal(value)))

    @property
    def slot(self) -> float:
        return self.width / max(1, len(self.chart.labels))

    def x(self, at: int) -> float:
        """Return the middle of a label's slot."""
        return self.left + self.slot * (at + 0.5)


def draw(canvas: Canvas, chart: Chart, language: Language) -> None:
    """Draw a chart with its title, legend and note."""
    if chart.horizontal:
        _draw_lying(canvas, chart, language)
    else:
        _draw_standing(canvas, chart, language)
    if chart.note is not None:
        for line in _note(canvas, chart.note, language):
            canvas.y += 3.8
            canvas.text(LEFT, canvas.y, line, SIZE, INK2)


def _note(canvas: Canvas, note: Text, language: Language) -> list[str]:
    return canvas.wrap(note.say(language), RIGHT - LEFT, SIZE)


def _title(canvas: Canvas, chart: Chart, language: Language) -> None:
    canvas.y += 3.6
    words = chart.title.say(language)
    canvas.text(LEFT, canvas.y, words, TITLE)
    x = LEFT + canvas.measure(words, TITLE) + 2.5
    canvas.text(x, canvas.y, chart.unit, SIZE, INK2)
    canvas.y += 1.8


def _draw_standing(canvas: Canvas, chart: Chart, language: Language) -> None:
    legend = _legend_rows(canvas, chart, language)
    bars = all(one.style in {Style.COLUMN, Style.LIMIT} for one in chart.series)
    height = LOW if bars else HEIGHT
    notes = 0 if chart.note is None else len(_note(canvas, chart.note, language))
    canvas.need(5.4 + 4.2 * len(legend) + 2.5 + height + LABELS + 3.8 * notes)
    _title(canvas, chart, language)
    _legend(canvas, legend)
    axis = scales.axis(chart)
    ticks = [axis.say(tick) for tick in axis.ticks]
    gutter = max(canvas.measure(tick, SIZE) for tick in ticks) + 2
    top = canvas.y + 2.5
    plot = _Plot(canvas, chart, axis, LEFT + gutter, top, RIGHT - LEFT - gutter, height)
    _missing(plot)
    _over(plot)
    for tick, words in zip(axis.ticks, ticks, strict=True):
        y = plot.top + plot.height * (1 - axis.share(tick))
        heavy = tick in {0, axis.low}
        canvas.line(plot.left, y, RIGHT, y, LINE if heavy else TRACK, 0.25 if heavy else 0.15)
        canvas.text_right(plot.left - 2, y + 0.95, words, SIZE, INK2)
    for series in chart.series:
        _DRAWN[series.style](plot, series)
    _names(plot, language)
    canvas.y = top + height + LABELS


def _names(plot: _Plot, language: Language) -> None:
    canvas = plot.canvas
    y = plot.top + plot.height
    for at, words in enumerate(scales.labels(plot.chart, language)):
        if words:
            most = max(plot.slot, 9.0) if len(plot.chart.labels) > scales.FEW_LABELS else plot.slot
            shown = face.shorten(words, most - 0.5, lambda part: canvas.measure(part, SIZE))
            canvas.text(plot.x(at) - canvas.measure(shown, SIZE) / 2, y + 3.8, shown, SIZE, INK2)


def _legend_rows(
    canvas: Canvas, chart: Chart, language: Language
) -> list[list[tuple[Series, str]]]:
    """Return the names of series in rows that fit; one alone is named by the title."""
    rows: list[list[tuple[Series, str]]] = []
    left = 0.0
    if len(chart.series) <= 1:
        return rows
    for series in chart.series:
        words = series.name.say(language)
        width = LEGEND_LINE + 1.5 + canvas.measure(words, SIZE) + 5
        if not rows or width > left:
            rows.append([])
            left = RIGHT - LEFT
        rows[-1].append((series, words))
        left -= width
    return rows


def _legend(canvas: Canvas, rows: Sequence[Sequence[tuple[Series, str]]]) -> None:
    for row in rows:
        canvas.y += 4.2
        x = LEFT
        for series, words in row:
            _sample(canvas, series, x, canvas.y - 1.0)
            x += LEGEND_LINE + 1.5
            canvas.text(x, canvas.y, words, SIZE, INK2)
            x += canvas.measure(words, SIZE) + 5


def _sample(canvas: Canvas, series: Series, x: float, y: float) -> None:
    if series.style is Style.COLUMN:
        canvas.box(x + 2, y - 1, 3, 2, FILL_COLOURS[series.tone])
        return
    if series.style is Style.LIMIT:
        canvas.line(x, y, x + LEGEND_LINE, y, _line_colour(series), 0.35, dash=_dash(series))
        return
    if series.style is Style.LINE:
        canvas.line(x, y, x + LEGEND_LINE, y, INK, 0.35)
    canvas.dot(x + LEGEND_LINE / 2, y, 0.7, INK)


def _line_colour(series: Series) -> tuple[int, int, int]:
    return RED if series.tone is Tone.OVER else INK2


def _dash(series: Series) -> float:
    return 1.8 if series.tone is Tone.OVER else 1.0


def _missing(plot: _Plot) -> None:
    """Hatch the slots in which no series but limits has a value."""
    data = [one for one in plot.chart.series if one.style is not Style.LIMIT]
    for at in range(len(plot.chart.labels)):
        if data and all(series.values[at] is None for series in data):
            x = plot.left + plot.slot * at
            plot.canvas.hatch(x, plot.top, plot.slot, plot.height)


def _over(plot: _Plot) -> None:
    """Tint what lies between the first limit and the line above it."""
    bound = next((one for one in plot.chart.series if one.style is Style.LIMIT), None)
    line = next((one for one in plot.chart.series if one.style is Style.LINE), None)
    if bound is None or line is None:
        return
    for shape in _areas(plot, line, bound):
        plot.canvas.shape(shape, OVER_FILL)


def _areas(plot: _Plot, line: Series, bound: Series) -> Iterator[list[Point]]:
    """Yield each area between the line and the limit under it, from crossing to crossing."""
    upper: list[Point] = []
    lower: list[Point] = []
    before: tuple[float, float, float] | None = None
    for at, (value, limit) in enumerate(zip(line.values, bound.values, strict=True)):
        here = None
        if value is not None and limit is not None:
            here = (plot.x(at), plot.y(value), plot.y(limit))
        cross = None if before is None or here is None else _crossing(before, here)
        if cross is not None:
            upper.append(cross)
            lower.append(cross)
        if here is not None and here[1] < here[2]:  # on paper higher is less
            upper.append((here[0], here[1]))
            lower.append((here[0], here[2]))
        elif upper:
            yield upper + lower[::-1]
            upper, lower = [], []
        before = here
    if len(upper) > 1:
        yield upper + lower[::-1]


def _crossing(before: tuple[float, float, float], here: tuple[float, float, float]) -> Point | None:
    """Return where a step of the line crosses a step of the limit, None where it does not."""
    first, second = before[2] - before[1], here[2] - here[1]
    if (first > 0) == (second > 0):
        return None
    share = first / (first - second)
    x = before[0] + (here[0] - before[0]) * share
    return x, before[2] + (here[2] - before[2]) * share


def _line(plot: _Plot, series: Series) -> None:
    before: Point | None = None
    for at, value in enumerate(series.values):
        if value is None:
            before = None
            continue
        here = (plot.x(at), plot.y(value))
        if before is not None:
            plot.canvas.line(*before, *here, INK, 0.35)
        before = here
    _points(plot, series)


def _points(plot: _Plot, series: Series) -> None:
    colour = INK if series.tone is Tone.CALM else FILL_COLOURS[series.tone]
    for at, value in enumerate(series.values):
        if value is not None:
            plot.canvas.dot(plot.x(at), plot.y(value), 0.65, colour)


def _limit(plot: _Plot, series: Series) -> None:
    """Draw a limit slot by slot, so that it steps where its value changes."""
    run: tuple[float, float, str] | None = None
    for at, value in enumerate((*series.values, None)):
        x = plot.left + plot.slot * at
        if run is not None and value != run[2]:
            y = plot.y(run[2])
            plot.canvas.line(run[0], y, run[1], y, _line_colour(series), 0.35, dash=_dash(series))
            run = None
        if value is not None:
            run = (x if run is None else run[0], x + plot.slot, value)


def _columns(plot: _Plot, series: Series) -> None:
    zero = plot.y("0") if plot.axis.low <= 0 <= plot.axis.high else plot.top + plot.height
    wide = min(plot.slot * BAR_SHARE, 16.0)
    for at, value in enumerate(series.values):
        if value is None:
            continue
        y = plot.y(value)
        colour = _bar_colour(series, value)
        plot.canvas.box(plot.x(at) - wide / 2, min(y, zero), wide, abs(zero - y), colour)


def _bar_colour(series: Series, value: str) -> tuple[int, int, int]:
    worse = printing.to_decimal(value) > 0
    return FILL_COLOURS[series.tone] if worse else BAR


_DRAWN: Final = {
    Style.LINE: _line,
    Style.POINT: _points,
    Style.LIMIT: _limit,
    Style.COLUMN: _columns,
}


@dataclass(frozen=True, slots=True)
class _Lying:
    """Bars on their side: where names end, where zero lies, and how high a row is."""

    canvas: Canvas
    axis: Axis
    gutter: float
    left: float
    width: float

    def x(self, value: str) -> float:
        return self.left + self.width * self.axis.share(printing.to_decimal(value))


def _draw_lying(canvas: Canvas, chart: Chart, language: Language) -> None:
    """Draw bars on their side, each with its name before and its value after it."""
    series = chart.series[0]
    canvas.need(14 + min(len(chart.labels), 8) * ROW)
    _title(canvas, chart, language)
    axis = scales.axis(chart)
    values = [
        printing.MISSING if value is None else printing.rounded(value, chart.places)
        for value in series.values
    ]
    names = scales.labels(chart, language)
    longest = max((canvas.measure(name, SIZE) for name in names), default=0.0)
    gutter = min(NAME_SHARE * (RIGHT - LEFT), longest) + 3
    tail = max((canvas.measure(value, SIZE) for value in values), default=0.0) + 2.5
    left = LEFT + gutter + (tail if axis.low < 0 else 0.0)
    lying = _Lying(canvas, axis, gutter, left, RIGHT - tail - left)
    for name, value, words in zip(names, series.values, values, strict=True):
        _lying_row(lying, series, name, (value, words))


def _lying_row(lying: _Lying, series: Series, name: str, told: tuple[str | None, str]) -> None:
    canvas = lying.canvas
    lines = canvas.wrap(name, lying.gutter - 3, SIZE)
    height = ROW + (min(len(lines), MOST_NAME_LINES) - 1) * NAME_LEADING
    if canvas.room < height:
        canvas.new_page()
    middle = canvas.y + height / 2
    for at, line in enumerate(lines[:MOST_NAME_LINES]):
        canvas.text(LEFT, canvas.y + 4.0 + at * NAME_LEADING, line, SIZE)
    value, words = told
    zero = end = lying.x("0")
    if value is not None:
        end = lying.x(value)
        canvas.box(
            min(zero, end), middle - BAR_HEIGHT / 2, abs(end - zero), BAR_HEIGHT,
            _bar_colour(series, value),
        )  # fmt: skip
    canvas.line(zero, canvas.y, zero, canvas.y + height, LINE, 0.25)
    if end < zero:
        canvas.text_right(end - 1.2, middle + 0.95, words, SIZE, INK2)
    else:
        canvas.text(end + 1.2, middle + 0.95, words, SIZE, INK2)
    canvas.y += height
