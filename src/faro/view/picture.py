"""The one picture of a run: images, trajectories, answer and latency together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from faro.view.look import FAINT, INK, PAPER, colours_of, light_colours
from faro.view.plots import draw_course, draw_ends, draw_paths, reach_of
from faro.view.timing import draw_stages, stage_rows
from faro.view.wording import count_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure

    from faro.view.numbers import Facts
    from faro.view.panels import Panel

SIZE_PX = (1600, 1000)
DPI = 100
MAX_ROWS = 3


def picture_of(facts: Facts, panels: Sequence[Sequence[Panel]]) -> Figure:
    """Return the picture of a run, 1600 x 1000 px at `DPI`.

    Parameters
    ----------
    facts
        Its numbers.
    panels
        Images by row and moment; the last two moments of three rows are shown.
    """
    size = (SIZE_PX[0] / DPI, SIZE_PX[1] / DPI)
    figure = Figure(figsize=size, dpi=DPI, facecolor=PAPER, layout="constrained")
    title, body = figure.subfigures(2, 1, height_ratios=(0.055, 1), squeeze=False)[:, 0]
    title.text(0.008, 0.3, headline(facts), size=13, color=INK, weight="bold")
    key = f"images: cell outlines in yellow{_light_key(facts)}"
    title.text(
        0.992, 0.3, key,
        ha="right", size=10, color=FAINT,
    )  # fmt: skip
    left, right = body.subfigures(1, 2, width_ratios=(1.25, 1), squeeze=False)[0]
    _draw_cells(left, facts, panels[:MAX_ROWS])
    _draw_answers(right, facts)
    return figure


def _light_key(facts: Facts) -> str:
    """Return which colours are light."""
    colours = light_colours(facts.light.channels)
    if len(colours) < 2:
        return "".join(f", fired light in {colour}" for colour in colours.values())
    named = ", ".join(f"{name} in {colour}" for name, colour in colours.items())
    return f", fired light of {named}"


def headline(facts: Facts) -> str:
    """Return what was done, in one line."""
    counts = facts.counts
    words = [
        f"{count_text(counts.fovs)} FOVs",
        f"{count_text(counts.timepoints)} timepoints",
        f"{count_text(counts.tracks)} tracks",
        f"{count_text(len(facts.light.fired))} stimulations",
    ]
    return f"{facts.header.name}: " + " \N{MIDDLE DOT} ".join(words)


def _draw_cells(
    figure: SubFigure, facts: Facts, panels: Sequence[Sequence[Panel]]
) -> None:
    """Draw one row per arm: images at the first light and at the end, and tracks."""
    if not panels:
        figure.text(0.5, 0.5, "no images were stored", ha="center", color=FAINT)
        return
    answer = facts.answer
    colours = colours_of(answer.arms, answer.compare)
    reach = reach_of(answer.paths)
    n_images = min(len(panels[0]), 2 if len(panels) >= MAX_ROWS else 1)
    columns = n_images + bool(answer.paths)
    axes = figure.subplots(len(panels), columns, squeeze=False)
    for row, line in zip(panels, axes, strict=True):
        shown = row[-n_images:]
        for panel, ax in zip(shown, line, strict=False):
            _draw_panel(ax, panel, first=panel is shown[0])
        if answer.paths:
            arm = row[0].row
            fovs = {f for a in answer.arms if a.name == arm.arm for f in a.fovs}
            fovs = fovs if len(answer.arms) > 1 else {arm.fov}
            paths = [path for path in answer.paths if path.fov in fovs]
            draw_paths(line[-1], paths, colours[arm.arm], reach=reach)
            line[-1].set_title(f"{len(paths)} tracks", size=10, color=INK)
            line[-1].set_ylabel(f"y ({answer.unit})")
            if row is panels[-1]:
                line[-1].set_xlabel(f"x ({answer.unit})")


def _draw_panel(ax: Axes, panel: Panel, *, first: bool) -> None:
    """Draw one image; the first of a row carries its name."""
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)
    light = ", light on" if panel.lit else ""
    ax.set_title(f"timepoint {panel.timestep}{light}", size=10, color=INK)
    if first:
        ax.set_ylabel(panel.row.title, size=13, color=INK, weight="bold")
    if panel.pixels is None:
        ax.text(
            0.5, 0.5, "not acquired", ha="center", transform=ax.transAxes,
            color=FAINT,
        )  # fmt: skip
    else:
        ax.imshow(panel.pixels, interpolation="antialiased")


def _draw_answers(figure: SubFigure, facts: Facts) -> None:
    """Draw the responses with their tests, and below them the loop's own time."""
    answer = facts.answer
    responses = answer.responses[:2]
    timed = bool(stage_rows(facts))
    blocks = len(responses) + timed
    if not blocks:
        figure.text(0.5, 0.5, "nothing was measured", ha="center", color=FAINT)
        return
    parts = figure.subfigures(blocks, 1, squeeze=False)[:, 0]
    arms = answer.arms[:6]
    colours = colours_of(answer.arms, answer.compare)
    for part, response in zip(parts, responses, strict=False):
        left, right = part.subplots(1, 2, width_ratios=(1.15, 1))
        draw_course(left, response, arms, colours, facts)
        draw_ends(right, response, arms, colours)
    if timed:
        ax = parts[-1].subplots()
        draw_stages(ax, facts)
        ax.set_title("loop latency by stage", size=10, color=INK)
