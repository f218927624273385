"""The figures of the page: plots put side by side, as PNG for light and for dark."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from faro.view.look import INK, colours_of
from faro.view.panels import png_of
from faro.view.plots import draw_course, draw_ends, draw_paths, reach_of
from faro.view.timing import draw_latency_course, draw_lateness, draw_stages, stage_rows
from faro.view.wording import difference_text, ms_text, p_text

if TYPE_CHECKING:
    from faro.view.numbers import Facts
    from faro.view.panels import Panel
    from faro.view.response import Response

DPI = 110
MAX_ARMS = 6


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of the page.

    Attributes
    ----------
    address
        ``data:`` address of the PNG; the background of plots is transparent.
    alt
        What it shows, for those who cannot see it.
    caption
        What it means.
    """

    address: str
    alt: str
    caption: str = ""


def data_uri(png: bytes) -> str:
    """Return a PNG file as an address that needs no network."""
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"


def picture_of_panel(panel: Panel) -> Picture | None:
    """Return an image of cells, None where nothing was stored."""
    if panel.pixels is None:
        return None
    return Picture(data_uri(png_of(panel.pixels)), panel.alt)


def render(figure: Figure) -> str:
    """Return the address of ``figure`` as a PNG; equal figures give equal bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, transparent=True)
    return data_uri(buffer.getvalue())


def path_figure(facts: Facts) -> Picture | None:
    """Return the trajectories of each arm, None if no cell was followed."""
    answer = facts.answer
    arms = answer.arms[:MAX_ARMS]
    if not answer.paths:
        return None
    reach = reach_of(answer.paths)
    figure = _figure(max(5.0, 3.3 * len(arms)), 3.9)
    colours = colours_of(answer.arms, answer.compare)
    for i, arm in enumerate(arms):
        ax = figure.add_subplot(1, len(arms), i + 1)
        paths = [path for path in answer.paths if path.fov in arm.fovs]
        draw_paths(ax, paths, colours[arm.name], reach=reach)
        ax.set_title(f"{arm.title}: {len(paths)} tracks", color=INK)
        ax.set_xlabel(f"x ({answer.unit})")
        ax.set_ylabel(f"y ({answer.unit})" if i == 0 else "")
    names = ", ".join(arm.title for arm in arms)
    origin = "before light" if facts.light.fired else "at first"
    return Picture(
        render(figure),
        alt=f"Trajectories from a common origin, one plot each for: {names}.",
        caption=f"Each line is one cell from where it was {origin}; dots are the "
        "ends, the arrow (or cross) is their mean.",
    )


def response_figure(facts: Facts, response: Response) -> Picture:
    """Return one response over time, and one dot per FOV at the end."""
    answer = facts.answer
    arms = answer.arms[:MAX_ARMS]
    figure = _figure(10, 4)
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
    colours = colours_of(answer.arms, answer.compare)
    draw_course(left, response, arms, colours, facts)
    draw_ends(right, response, arms, colours)
    tests = "; ".join(
        f"{test.arm} against {test.other}: "
        f"{difference_text(test)}, {p_text(test.p_value)}"
        for test in response.comparisons
    )
    light = " The dashed line is the first light." if facts.light.fired else ""
    return Picture(
        render(figure),
        alt=f"{response.name} of each arm over time and per FOV. {tests}".strip(),
        caption=f"Left: mean \N{PLUS-MINUS SIGN} sd over FOVs.{light} "
        f"Right: one dot per FOV, {response.how}.",
    )


def stage_figure(facts: Facts) -> Picture | None:
    """Return latency by stage, None if none was recorded."""
    rows = stage_rows(facts)
    if not rows:
        return None
    figure = _figure(9.2, 1.1 + 0.38 * len(rows))
    draw_stages(figure.subplots(), facts)
    return Picture(
        render(figure),
        alt="Latency by stage; the numbers are in the table below.",
        caption="Boxes hold the middle half of the frames, whiskers 5 to 95 %.",
    )


def timing_figure(facts: Facts) -> Picture | None:
    """Return latency and lateness over time, None if neither was recorded."""
    parts = []
    if (facts.loop.to_mask_ms >= 0).any():
        words = "one dot per frame from frame in hand to mask ready, the line is the "
        parts.append((draw_latency_course, f"{words}median."))
    if facts.lateness.timesteps.size:
        parts.append((draw_lateness, "actual minus planned start of each timepoint."))
    if not parts:
        return None
    figure = _figure(9.2, 3.2)
    for i, (draw, _) in enumerate(parts):
        draw(figure.add_subplot(1, len(parts), i + 1), facts)
    sides = ("Left: ", "Right: ") if len(parts) == 2 else ("Shown: ",)
    late = facts.lateness.late_ms
    worst = ms_text(float(late.max())) if late.size else "unknown"
    return Picture(
        render(figure),
        alt=f"Loop latency and lateness of each timepoint; the latest was {worst}.",
        caption=" ".join(
            side + words for side, (_, words) in zip(sides, parts, strict=True)
        ),
    )


def _figure(*size_inches: float) -> Figure:
    """Return an empty figure of this width and height."""
    width, height = size_inches
    return Figure(figsize=(width, height), layout="constrained")
