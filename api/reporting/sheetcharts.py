"""Charts of a workbook: native ones, drawn from a sheet that holds exactly what they show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from api.reporting.sheetcells import FACE, INK, INK2, LINE, breadth, number_format
from core.reports import printing, scales
from core.reports.document import Day, Figure, Style, Tone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xlsxwriter.worksheet import Worksheet

    from api.reporting.sheetcells import Cells
    from core.reports.document import Chart, Series

STANDING_ROWS: Final = 15  # that a chart covers
ROW_PIXELS: Final = 20
WIDTH: Final = 900  # pixels
BAR_PIXELS: Final = 24
LEAST_PIXELS: Final = 140
BARS: Final = {
    Tone.CALM: "#6C757A",
    Tone.OVER: "#C4122F",
    Tone.WARN: "#B35900",
    Tone.DOUBT: "#878F94",
}
RED: Final = "#C4122F"
TRACK: Final = "#D3D7D9"


def rows_of(chart: Chart) -> int:
    """Return how many rows of a sheet a chart covers."""
    return -(-_height(chart) // ROW_PIXELS) + 1


def _height(chart: Chart) -> int:
    if chart.horizontal:
        return max(LEAST_PIXELS, len(chart.labels) * BAR_PIXELS + 80)
    return STANDING_ROWS * ROW_PIXELS


def write(
    book: Any, data: Worksheet, charts: Sequence[tuple[Worksheet, int, Chart]], cells: Cells
) -> None:
    """Write what every chart draws below one another, and put the charts in their places."""
    data.set_column(0, 0, 30)
    data.set_column(1, 8, 18)
    row = 0
    for sheet, place, chart in charts:
        data.write(row, 0, chart.title.say(cells.language), cells.subheading)
        data.write(row, 1, chart.unit, cells.quiet)
        drawn = _chart(book, data.get_name(), row + 1, chart, cells)
        sheet.insert_chart(place, 0, drawn, {"object_position": 1})
        row = _data(data, row + 1, chart, cells) + 1


def _data(sheet: Worksheet, row: int, chart: Chart, cells: Cells) -> int:
    for at, series in enumerate(chart.series, start=1):
        sheet.write_string(row, at, series.name.say(cells.language), cells.note)
    for number, label in enumerate(chart.labels, start=1):
        cells.write(sheet, row + number, 0, label, _label_format(label, cells))
        for at, series in enumerate(chart.series, start=1):
            value = series.values[number - 1]
            if value is not None:
                shown = Figure(value, chart.places)
                cells.write(sheet, row + number, at, shown, cells.left(shown))
    return row + len(chart.labels) + 1


def _label_format(label: object, cells: Cells) -> Any:
    return (
        cells.format(num_format="yyyy-mm-dd", align="left")
        if isinstance(label, Day)
        else cells.quiet
    )


def _chart(book: Any, sheet: str, row: int, chart: Chart, cells: Cells) -> Any:
    columns = [(at, one) for at, one in enumerate(chart.series) if one.style is Style.COLUMN]
    lines = [(at, one) for at, one in enumerate(chart.series) if one.style is not Style.COLUMN]
    kind = "bar" if chart.horizontal else "column" if columns else "line"
    drawn = book.add_chart({"type": kind})
    for at, series in columns or lines:
        drawn.add_series(_series(sheet, row, chart, at, series))
    if columns and lines and not chart.horizontal:
        over = book.add_chart({"type": "line"})
        for at, series in lines:
            over.add_series(_series(sheet, row, chart, at, series))
        drawn.combine(over)
    _dress(drawn, chart, cells)
    return drawn


def _series(sheet: str, row: int, chart: Chart, at: int, series: Series) -> dict[str, Any]:
    last = row + len(chart.labels)
    found: dict[str, Any] = {
        "name": [sheet, row, at + 1],
        "categories": [sheet, row + 1, 0, last, 0],
        "values": [sheet, row + 1, at + 1, last, at + 1],
    }
    if series.style is Style.COLUMN:
        found |= {"fill": {"color": BARS[series.tone]}, "gap": 60, "points": _points(series)}
        if chart.horizontal:
            found["data_labels"] = {
                "value": True,
                "num_format": number_format(Figure("0", chart.places)),
                "font": {"name": FACE, "size": 9, "color": INK2},
            }
        return found
    if series.style is Style.LIMIT:
        colour = RED if series.tone is Tone.OVER else INK2
        found |= {
            "line": {"color": colour, "width": 1.25, "dash_type": "dash"},
            "marker": {"type": "none"},
        }
        return found
    marker = {"type": "circle", "size": 4, "fill": {"color": INK}, "border": {"color": INK}}
    line = {"none": True} if series.style is Style.POINT else {"color": INK, "width": 1.25}
    return found | {"line": line, "marker": marker}


def _points(series: Series) -> list[dict[str, Any] | None]:
    """Return the colour of each bar below zero; Excel's own inversion is not drawn by others."""
    calm = {"fill": {"color": BARS[Tone.CALM]}}
    return [
        calm if value is not None and value.startswith("-") else None for value in series.values
    ]


def _dress(drawn: Any, chart: Chart, cells: Cells) -> None:
    """Give a chart its title, axes and size."""
    font = {"name": FACE, "size": 9, "color": INK2}
    title = f"{chart.title.say(cells.language)}  {chart.unit}"
    drawn.set_title(
        {
            "name": title,
            "name_font": {"name": FACE, "size": 11, "bold": False, "color": INK},
            "overlay": False,
        }
    )
    axis = scales.axis(chart)
    values: dict[str, Any] = {
        "min": float(axis.low),
        "max": float(axis.high),
        "major_unit": float(axis.ticks[1] - axis.ticks[0]),
        "num_format": "#,##0" + (f".{'0' * axis.places}" if axis.places else ""),
        "num_font": font,
        "line": {"none": True},
        "major_gridlines": {"visible": True, "line": {"color": TRACK, "width": 0.5}},
    }
    names: dict[str, Any] = {
        "num_font": font,
        "line": {"color": LINE},
        "label_position": "low",
        "major_tick_mark": "none",
    }
    if all(isinstance(label, Day) for label in chart.labels):
        months = all(isinstance(one, Day) and one.iso.endswith("-01") for one in chart.labels)
        names |= {"text_axis": True, "num_format": "yyyy-mm" if months else "d"}
    if chart.horizontal:
        names["reverse"] = True
        values |= {"visible": False, "major_gridlines": {"visible": False}}
        # Of bars on their side the library calls the upright axis y, though it names them.
        drawn.set_x_axis(values)
        drawn.set_y_axis(names)
    else:
        drawn.set_x_axis(names)
        drawn.set_y_axis(values)
    drawn.show_blanks_as("gap")
    legend = {"none": True} if len(chart.series) == 1 else {"position": "bottom", "font": font}
    drawn.set_legend(legend)
    wide = max((breadth(printing.say(label, cells.language)) for label in chart.labels), default=0)
    drawn.set_size(
        {"width": WIDTH + (int(wide) * 2 if chart.horizontal else 0), "height": _height(chart)}
    )
    drawn.set_chartarea({"border": {"none": True}})
