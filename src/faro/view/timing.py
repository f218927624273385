"""Plots of the loop's own time: latency by stage, over time, and lateness."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from matplotlib.ticker import MaxNLocator

from faro.view.look import FAINT, INK, PAPER, TREATED, dress
from faro.view.numbers import percentile
from faro.view.response import finite
from faro.view.wording import pair_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from faro.view.numbers import Facts

Floats = npt.NDArray[np.float64]

STAGE_NAMES = {
    "assembled": "put the stack together",
    "started": "wait for a worker",
    "segmented": "segment",
    "queued": "wait for the frame before",
    "tracked": "track",
    "measured": "measure",
    "decided": "decide the mask",
    "displayed": "show mask, light on",
    "stored": "after the mask: measure, store",
}


def draw_stages(ax: Axes, facts: Facts) -> None:
    """Draw how long each stage took: box 25 to 75 %, whiskers 5 to 95 %."""
    dress(ax, grid="x")
    rows = stage_rows(facts)
    colours = [INK if total else TREATED for _, _, total in rows]
    boxes = [_box(values) for _, values, _ in rows]
    places = list(range(len(rows)))[::-1]
    drawn = ax.bxp(
        boxes,
        positions=places,
        orientation="horizontal",
        widths=0.5,
        showfliers=False,
        patch_artist=True,
    )
    for i, colour in enumerate(colours):
        drawn["boxes"][i].set(facecolor=colour, edgecolor=colour, alpha=0.75)
        drawn["medians"][i].set(color=PAPER, linewidth=2)
        for part in ("whiskers", "caps"):
            for line in drawn[part][2 * i : 2 * i + 2]:
                line.set_color(colour)
    for (_, values, _), y in zip(rows, places, strict=True):
        words = pair_text(percentile(values, 50), percentile(values, 95))
        ax.text(
            1.02, y, words, transform=ax.get_yaxis_transform(), va="center",
            color=INK, size=9,
        )  # fmt: skip
    ax.text(
        1.02, len(rows) - 0.3, "p50 / p95", transform=ax.get_yaxis_transform(),
        va="center", color=FAINT, size=9,
    )  # fmt: skip
    ax.set_yticks(places, [name for name, _, _ in rows])
    ax.set_ylim(-0.6, len(rows) - 0.1)
    _scale_ms(ax, [box["whishi"] for box in boxes], [box["whislo"] for box in boxes])
    ax.set_xlabel("time per frame (ms)")


def stage_rows(facts: Facts) -> list[tuple[str, Floats, bool]]:
    """Return name, known values (n,) in ms, and whether it is a total, in order."""
    loop = facts.loop
    known = [name for name in STAGE_NAMES if name in loop.stages_ms]
    stages = [
        (STAGE_NAMES.get(name, name), finite(loop.stages_ms[name]), False)
        for name in dict.fromkeys([*known, *loop.stages_ms])
    ]
    totals = [
        (
            "frame in hand \N{RIGHTWARDS ARROW} mask ready",
            finite(loop.to_mask_ms),
            True,
        ),
        ("frame in hand \N{RIGHTWARDS ARROW} light on", finite(loop.to_light_ms), True),
    ]
    return [row for row in [*stages, *totals] if row[1].size]


def draw_latency_course(ax: Axes, facts: Facts) -> None:
    """Draw how long the loop took at each timepoint: every frame, and the median."""
    dress(ax)
    loop = facts.loop
    known = np.isfinite(loop.to_mask_ms)
    time, values = loop.timesteps[known], loop.to_mask_ms[known]
    ax.plot(time, values, "o", color=TREATED, markersize=3, alpha=0.5, mew=0)
    steps = np.unique(time)
    medians = [float(np.median(values[time == t])) for t in steps]
    ax.plot(steps, medians, color=INK, linewidth=1.6)
    ax.set_ylim(bottom=0)
    ax.set_xlabel("timepoint")
    ax.set_ylabel("frame in hand \N{RIGHTWARDS ARROW}\nmask ready (ms)")
    _whole_ticks(ax)


def draw_lateness(ax: Axes, facts: Facts) -> None:
    """Draw how late each timepoint started."""
    dress(ax)
    late = facts.lateness
    ax.vlines(late.timesteps, 0, late.late_ms, color=TREATED, linewidth=1.5)
    ax.plot(late.timesteps, late.late_ms, "o", color=TREATED, markersize=4)
    ax.axhline(0, color=FAINT, linewidth=0.8)
    ax.set_xlabel("timepoint")
    ax.set_ylabel("lateness (ms)")
    _whole_ticks(ax)


def _whole_ticks(ax: Axes) -> None:
    """Let the time axis count in whole timepoints."""
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def _scale_ms(ax: Axes, highs: Sequence[float], lows: Sequence[float]) -> None:
    """Use a logarithmic axis where the stages differ by far."""
    top, bottom = max(highs, default=1.0), min(lows, default=1.0)
    if top > 30 * max(bottom, 1e-3):
        ax.set_xscale("log")
        ax.set_xlim(max(bottom, 1e-3) * 0.7, top * 1.6)
        ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    else:
        ax.set_xlim(0, top * 1.08)


def _box(values: Floats) -> dict[str, float]:
    """Return what `Axes.bxp` wants to know about values (n,)."""
    low, q1, med, q3, high = np.percentile(
        np.maximum(values, 1e-3), (5, 25, 50, 75, 95)
    )
    return {"whislo": low, "q1": q1, "med": med, "q3": q3, "whishi": high}
