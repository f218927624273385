"""A picture of what an experiment does when, at which position, in which channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from faro.model import FrameRole
from faro.view.look import FAINT, GRID, INK, PAPER, dress
from faro.view.schedule import lane_text, schedule_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from matplotlib.axes import Axes

    from faro.experiment import PlannedEvent
    from faro.view.schedule import Lane, Row, Schedule

MOST_ROWS = 24
DENSE = 400
"""Ticks in a lane that would touch each other."""
DPI = 120
WIDTH_IN, ROW_IN, AROUND_IN = 12.0, 0.62, 2.0
GREYS = ("#6e7781", "#a3abb4", "#424a53", "#c4cad1")
LIGHTS = ("#0072B2", "#D55E00", "#CC79A7", "#E69F00")
REFERENCES = ("#009E73", "#56B4E9")
PALETTES = {
    FrameRole.IMAGE: GREYS,
    FrameRole.STIM: LIGHTS,
    FrameRole.REF: REFERENCES,
}
UNITS = ((120.0, 1.0, "s"), (7200.0, 60.0, "min"), (float("inf"), 3600.0, "h"))
STOP = "#D55E00"
"""Of a wait for a time or a person."""
MARK_PT, MOST_MARKS, LONGEST = 13.0, 12, 60
LETTER = 0.0062
"""Width of a letter of a mark, as a fraction of the picture."""
PADDING_FRACTION = 0.12
"""Of a row, kept free above and below."""


def write_timeline(
    planned: Iterable[PlannedEvent], path: Path, *, title: str = ""
) -> Path:
    """Write the picture of a plan and return its path.

    Parameters
    ----------
    planned
        From `faro.experiment.plan`.
    path
        A file that ends in ``.png``, ``.svg`` or ``.pdf``; it is replaced.
    title
        What the experiment is called.
    """
    figure = timeline_of(schedule_of(planned), title)
    figure.savefig(path, dpi=DPI)
    return path


def timeline_of(schedule: Schedule, title: str = "") -> Figure:
    """Return the picture of a schedule: one row per kind of position.

    Inside a row every channel has its own height; light is drawn as high as its dose
    (exposure times power) relative to the highest one of its channel.
    """
    rows = schedule.rows[:MOST_ROWS]
    marks = marks_of(schedule)
    above_pt = MARK_PT * (1 + max((mark.level for mark in marks), default=-1))
    height_in = AROUND_IN + ROW_IN * max(1, len(rows)) + above_pt / 72
    figure = Figure((WIDTH_IN, height_in), facecolor=PAPER, layout="constrained")
    ax = figure.subplots()
    dress(ax, grid="x")
    colours = _colours(schedule.lanes)
    last_s = schedule.starts_s[-1] if schedule.starts_s else 0.0
    unit_s, unit = next((u, n) for most, u, n in UNITS if last_s < most)
    for number, row in enumerate(rows):
        _draw_row(ax, number, row, schedule, colours, unit_s)
    left_out = len(schedule.rows) - len(rows)
    labels = [f"{row.label}" for row in rows]
    ax.set_yticks(range(len(rows)), labels)
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(max(1, len(rows)) - 0.5, -0.5)
    edge = 0.02 * (last_s or 1.0) / unit_s
    ax.set_xlim(-edge, last_s / unit_s + edge)
    _draw_marks(ax, marks, unit_s)
    more = f"   ({left_out} more kinds of positions are not shown)" if left_out else ""
    ax.set_xlabel(f"planned start, {unit}{more}")
    words = f"{schedule.n_fovs} positions, {schedule.n_timepoints} timepoints"
    heading = f"{title}: {words}" if title else words
    pad = 6.0 + above_pt
    ax.set_title(heading, loc="left", color=INK, weight="bold", size=12, pad=pad)
    _draw_legend(figure, schedule, colours)
    return figure


@dataclass(frozen=True, slots=True)
class Mark:
    """Words above the rows, where a phase begins or something is waited for."""

    start_s: float
    text: str
    colour: str
    before: bool
    level: int


def marks_of(schedule: Schedule) -> list[Mark]:
    """Return what is written above the rows, each on the lowest free line.

    Words that would leave the picture end at their moment.
    """
    said = [(stop.planned_s, stop.text, STOP) for stop in schedule.stops]
    said += [(s, f"{name} \N{RIGHTWARDS ARROW}", FAINT) for name, s in schedule.phases]
    said = sorted(said, key=lambda mark: mark[0])[:MOST_MARKS]
    last_s = schedule.starts_s[-1] if schedule.starts_s else 0.0
    taken: list[list[tuple[float, float]]] = []
    found = []
    for start_s, full, colour in said:
        text = full if len(full) <= LONGEST else f"{full[: LONGEST - 3]}..."
        place = start_s / last_s if last_s else 0.0
        width = LETTER * len(text)
        before = place + width > 1
        span = (place - width, place) if before else (place, place + width)
        level = _free_line(span, taken)
        found.append(Mark(start_s, text, colour, before, level))
    return found


def _free_line(
    span: tuple[float, float], taken: list[list[tuple[float, float]]]
) -> int:
    """Return the lowest line on which ``span`` is free, and take it."""
    for level, spans in enumerate(taken):
        if all(span[1] < left or right < span[0] for left, right in spans):
            spans.append(span)
            return level
    taken.append([span])
    return len(taken) - 1


def _draw_marks(ax: Axes, marks: Iterable[Mark], unit_s: float) -> None:
    """Draw a line for every mark, and its words above the rows."""
    for mark in marks:
        x = mark.start_s / unit_s
        colour, dashes = mark.colour, (0, (3, 2))
        ax.axvline(x, color=colour, linewidth=1.0, linestyle=dashes, zorder=0.5)
        ax.annotate(
            mark.text,
            (x, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 3 + MARK_PT * mark.level),
            textcoords="offset points",
            ha="right" if mark.before else "left",
            color=colour,
            fontsize=9,
        )


def _colours(lanes: Iterable[Lane]) -> dict[Lane, str]:
    """Return a colour for each lane: greys for images, colours for light."""
    used = dict.fromkeys(PALETTES, 0)
    found = {}
    for lane in lanes:
        palette = PALETTES[lane.role]
        found[lane] = palette[used[lane.role] % len(palette)]
        used[lane.role] += 1
    return found


def _draw_row(
    ax: Axes,
    number: int,
    row: Row,
    schedule: Schedule,
    colours: Mapping[Lane, str],
    unit_s: float,
) -> None:
    """Draw the exposures of one row, each lane in its own height."""
    lanes = schedule.lanes
    height = (1 - 2 * PADDING_FRACTION) / len(lanes)
    top = number - 0.5 + PADDING_FRACTION
    if number:
        ax.axhline(number - 0.5, color=GRID, linewidth=0.8)
    for place, lane in enumerate(lanes):
        ticks = row.ticks.get(lane, ())
        floor = top + (place + 1) * height
        most = _highest(schedule, lane)
        lines = []
        for tick in ticks:
            part = tick.dose / most if lane.role is FrameRole.STIM and most else 1.0
            x = tick.planned_s / unit_s
            lines.append([(x, floor - 0.02), (x, floor - 0.02 - 0.88 * height * part)])
        dense = len(ticks) > DENSE
        light = lane.role is FrameRole.STIM
        width = (0.6 if dense else 2.0) * (1.5 if light else 1.0)
        ax.add_collection(
            LineCollection(
                lines, colors=colours[lane], linewidths=width, capstyle="butt"
            )
        )


def _highest(schedule: Schedule, lane: Lane) -> float:
    """Return the highest dose in a lane of any row."""
    doses = [tick.dose for row in schedule.rows for tick in row.ticks.get(lane, ())]
    return max(doses, default=0.0)


def _draw_legend(
    figure: Figure, schedule: Schedule, colours: Mapping[Lane, str]
) -> None:
    handles = [Line2D([], [], color=colours[lane], lw=4) for lane in schedule.lanes]
    texts = []
    for lane in schedule.lanes:
        ticks = [t for row in schedule.rows for t in row.ticks.get(lane, ())]
        texts.append(lane_text(lane, ticks))
    figure.legend(
        handles,
        texts,
        loc="outside lower left",
        ncols=3,
        frameon=False,
        labelcolor=FAINT,
        fontsize=9,
    )
