"""Plots of what the cells did, each drawn on axes that somebody else placed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from matplotlib.collections import LineCollection
from matplotlib.ticker import MaxNLocator

from faro.view.look import FAINT, INK, PAPER, dress
from faro.view.response import finite, nan_mean
from faro.view.wording import p_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from matplotlib.axes import Axes

    from faro.view.numbers import Facts
    from faro.view.response import Arm, Path, Response

Floats = npt.NDArray[np.float64]

MAX_PATHS = 250


@dataclass(frozen=True, slots=True)
class Clock:
    """Turns timepoints into what stands on the time axis."""

    label: str
    seconds: Mapping[int, float]
    divisor: int = 1

    def at(self, timesteps: Iterable[int]) -> Floats:
        """Return the (n,) places on the axis."""
        if not self.seconds:
            return np.array([float(t) for t in timesteps])
        return np.array([self.seconds[int(t)] / self.divisor for t in timesteps])


def clock_of(facts: Facts, timesteps: Sequence[int]) -> Clock:
    """Return planned time where it is known for all ``timesteps``, else the index."""
    seconds = facts.planned_s
    if not set(timesteps) <= set(seconds) or max(seconds.values(), default=0) <= 0:
        return Clock("timepoint", {})
    longest_s = max(seconds.values())
    if longest_s >= 3 * 3600:
        return Clock("time (h)", seconds, 3600)
    if longest_s >= 180:
        return Clock("time (min)", seconds, 60)
    return Clock("time (s)", seconds)


def draw_paths(ax: Axes, paths: Sequence[Path], colour: str, *, reach: Floats) -> None:
    """Draw tracks from a common origin, up is up; ``reach`` (2,) is the half size."""
    shown = paths[:: max(1, -(-len(paths) // MAX_PATHS))]
    dress(ax, grid="xy")
    ax.axhline(0, color=FAINT, linewidth=0.8)
    ax.axvline(0, color=FAINT, linewidth=0.8)
    lines = [path.steps[:, ::-1] for path in shown if len(path.steps) > 1]
    ax.add_collection(LineCollection(lines, colors=colour, linewidths=0.7, alpha=0.45))
    if shown:
        ends = np.array([path.steps[-1] for path in shown])
        ax.plot(ends[:, 1], ends[:, 0], ".", color=colour, markersize=3.5, alpha=0.8)
        _draw_mean(ax, ends.mean(axis=0), reach=reach)
    ax.set_xlim(-reach[1], reach[1])
    ax.set_ylim(reach[0], -reach[0])
    ax.set_aspect("equal")


def _draw_mean(ax: Axes, mean: Floats, *, reach: Floats) -> None:
    """Draw an arrow to ``mean`` (2,) as (y, x); a cross where it would be too short."""
    y, x = (float(value) for value in mean)
    if np.hypot(y, x) < 0.08 * reach.max():
        ax.plot(x, y, "P", color=INK, markersize=6)
        return
    style = {"arrowstyle": "-|>", "color": INK, "linewidth": 1.8}
    whole = {"shrinkA": 0, "shrinkB": 0}
    ax.annotate("", xy=(x, y), xytext=(0, 0), arrowprops=style | whole)


def reach_of(paths: Sequence[Path]) -> Floats:
    """Return the (2,) half height and width that hold 99 % of the tracks."""
    if not paths:
        return np.ones(2)
    far = [float(np.abs(path.steps).max()) for path in paths]
    return np.full(2, max(float(np.percentile(far, 99)) * 1.08, 1e-3))


def draw_course(
    ax: Axes,
    response: Response,
    arms: Sequence[Arm],
    colours: Mapping[str, str],
    facts: Facts,
) -> None:
    """Draw mean and standard deviation over FOVs against time."""
    dress(ax)
    clock = clock_of(facts, response.timesteps.tolist())
    time = clock.at(response.timesteps)
    ax.axhline(0, color=FAINT, linewidth=0.8)
    for arm in arms:
        values, _ = response.of(arm)
        mean = nan_mean(values, axis=0)
        spread = np.sqrt(nan_mean((values - mean) ** 2, axis=0) * _bessel(values))
        colour = colours[arm.name]
        ax.fill_between(
            time, mean - spread, mean + spread, color=colour, alpha=0.18, linewidth=0
        )
        ax.plot(time, mean, color=colour, linewidth=2, label=arm.title)
    if facts.light.first_from is not None and facts.answer.span is not None:
        first = float(
            clock.at([max(facts.answer.span.start, response.timesteps[0])])[0]
        )
        ax.axvline(first, color=FAINT, linewidth=1, linestyle=(0, (4, 3)))
    ax.set_xlabel(clock.label)
    ax.xaxis.set_major_locator(MaxNLocator(integer=not clock.seconds))
    ax.set_ylabel(axis_label(response))
    if len(arms) > 1:
        legend = ax.legend(
            loc="best", handlelength=1.2, facecolor=PAPER, edgecolor="none"
        )
        for text in legend.get_texts():
            text.set_color(INK)


def axis_label(response: Response) -> str:
    """Return the name of a response with its unit, broken to fit an axis."""
    unit = f" ({response.unit})" if response.unit else ""
    words = f"{response.name}{unit}"
    return words if len(words) < 24 else "\n".join(_halves(words))


def draw_ends(
    ax: Axes,
    response: Response,
    arms: Sequence[Arm],
    colours: Mapping[str, str],
) -> None:
    """Draw one dot per FOV, the mean of each arm, and brackets with p-values."""
    dress(ax)
    ax.axhline(0, color=FAINT, linewidth=0.8)
    place = {arm.name: i for i, arm in enumerate(arms)}
    for arm in arms:
        ends = np.sort(finite(response.of(arm)[1]))
        if not ends.size:
            continue
        x = place[arm.name] + (np.arange(len(ends)) % 3 - 1) * 0.09
        ax.plot(x, ends, "o", color=colours[arm.name], markersize=6, alpha=0.85)
        at, mean = place[arm.name], float(ends.mean())
        ax.plot([at - 0.25, at + 0.25], [mean, mean], color=INK, linewidth=2)
    _brackets(ax, response, place)
    ax.set_xlim(-0.6, len(arms) - 0.4)
    names = [f"{arm.title}\nn = {len(finite(response.of(arm)[1]))}" for arm in arms]
    ax.set_xticks(range(len(arms)), names)
    ax.tick_params(axis="x", length=0)


def _brackets(ax: Axes, response: Response, place: Mapping[str, int]) -> None:
    """Draw who was compared with whom, above the dots."""
    known = finite(response.ends)
    if not known.size or not response.comparisons:
        return
    low, high = min(0.0, float(known.min())), max(0.0, float(known.max()))
    step = (high - low or 1.0) * 0.17
    for i, test in enumerate(reversed(response.comparisons)):
        left, right = sorted((place[test.arm], place[test.other]))
        y = high + step * (i + 0.55)
        foot = y - step * 0.2
        ax.plot([left, left, right, right], [foot, y, y, foot], color=INK, lw=1)
        ax.annotate(
            p_text(test.p_value),
            xy=((left + right) / 2, y),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            color=INK,
            size=9,
        )
    ax.set_ylim(low - step * 0.5, high + step * (len(response.comparisons) + 0.9))


def _bessel(values: Floats) -> Floats:
    """Return n / (n - 1) of the known (F, T) values by column, (T,); 0 for one."""
    count = np.isfinite(values).sum(axis=0)
    return np.where(count > 1, count / np.maximum(count - 1, 1), 0.0)


def _halves(words: str) -> tuple[str, str]:
    """Return ``words`` in two lines of about the same length."""
    spaces = [i for i, letter in enumerate(words) if letter == " "]
    cut = min(spaces, key=lambda i: abs(i - len(words) / 2))
    return words[:cut], words[cut + 1 :]
