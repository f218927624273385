"""Colours of the report: readable by the colour-blind, and inverted on dark pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

    from faro.view.response import Arm

OUTLINE = (240, 228, 66)
"""Cell outlines on images: yellow of Okabe and Ito, as red, green, blue."""

LIT = {
    "blue": (86, 180, 233),
    "orange": (213, 94, 0),
    "green": (0, 158, 115),
    "purple": (204, 121, 167),
}
"""Lit pixels on images, by stimulation channel in order: of Okabe and Ito."""


PAPER, INK, FAINT, GRID = "#ffffff", "#1b1f24", "#57606a", "#e2e6ea"
"""Background, text, second text, and lines of the grid. Dark pages invert them."""

TREATED, CONTROL = "#0072B2", "#6e7781"
"""Of these two arms."""

OTHERS = ("#D55E00", "#009E73", "#CC79A7", "#E69F00")
"""Of further arms, in order: Okabe and Ito."""


def colours_of(arms: Sequence[Arm], compare: tuple[str, str]) -> Mapping[str, str]:
    """Return the colour of each arm by its name."""
    treated, control = compare
    fixed = {treated: TREATED, control: CONTROL}
    if len(arms) == 1:
        return {arms[0].name: TREATED}
    rest = [arm.name for arm in arms if arm.name not in fixed]
    cycle = {name: OTHERS[i % len(OTHERS)] for i, name in enumerate(rest)}
    return {arm.name: (fixed | cycle)[arm.name] for arm in arms}


def light_colours(channels: Sequence[str]) -> dict[str, str]:
    """Return the name of the colour, in `LIT`, of each stimulation channel."""
    names = list(LIT)
    return {name: names[i % len(names)] for i, name in enumerate(channels)}


def dress(ax: Axes, *, grid: str = "y") -> None:
    """Give ``ax`` the colours of the report and only the lines it needs."""
    ax.set_facecolor(PAPER)
    for side, spine in ax.spines.items():
        spine.set_visible(side in {"left", "bottom"})
        spine.set_color(FAINT)
    ax.tick_params(colors=FAINT, labelcolor=INK, which="both")
    ax.xaxis.label.set_color(INK)
    ax.yaxis.label.set_color(INK)
    ax.title.set_color(INK)
    if grid:
        ax.grid(visible=True, axis="both" if grid == "xy" else grid, color=GRID)  # type: ignore[arg-type]  # the stub wants a literal
        ax.set_axisbelow(True)
