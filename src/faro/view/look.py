"""Colours of the report: readable in light and dark, and by the colour-blind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

    from faro.view.response import Arm

OUTLINE = (240, 228, 66)
"""Cell outlines on images: yellow of Okabe and Ito, as red, green, blue."""

LIT = (86, 180, 233)
"""Lit pixels on images: sky blue of Okabe and Ito."""


@dataclass(frozen=True, slots=True)
class Look:
    """Colours of one theme.

    Attributes
    ----------
    paper, ink, faint, grid
        Background, text, second text, and lines of the grid.
    treated, control
        Of these two arms.
    others
        Of further arms, in order.
    """

    paper: str
    ink: str
    faint: str
    grid: str
    treated: str
    control: str
    others: tuple[str, ...]


LIGHT = Look(
    paper="#ffffff",
    ink="#1b1f24",
    faint="#57606a",
    grid="#e2e6ea",
    treated="#0072B2",
    control="#6e7781",
    others=("#D55E00", "#009E73", "#CC79A7", "#E69F00"),
)
DARK = Look(
    paper="#14181d",
    ink="#e9edf1",
    faint="#a3adb8",
    grid="#2d343c",
    treated="#56B4E9",
    control="#a8b0b8",
    others=("#E8743B", "#2BC79A", "#E09BC3", "#F0B433"),
)


def colours_of(
    arms: Sequence[Arm], compare: tuple[str, str], look: Look
) -> Mapping[str, str]:
    """Return the colour of each arm by its name."""
    treated, control = compare
    fixed = {treated: look.treated, control: look.control}
    if len(arms) == 1:
        return {arms[0].name: look.treated}
    rest = [arm.name for arm in arms if arm.name not in fixed]
    cycle = {name: look.others[i % len(look.others)] for i, name in enumerate(rest)}
    return {arm.name: (fixed | cycle)[arm.name] for arm in arms}


def dress(ax: Axes, look: Look, *, grid: str = "y") -> None:
    """Give ``ax`` the colours of ``look`` and only the lines it needs."""
    ax.set_facecolor(look.paper)
    for side, spine in ax.spines.items():
        spine.set_visible(side in {"left", "bottom"})
        spine.set_color(look.faint)
    ax.tick_params(colors=look.faint, labelcolor=look.ink, which="both")
    ax.xaxis.label.set_color(look.ink)
    ax.yaxis.label.set_color(look.ink)
    ax.title.set_color(look.ink)
    if grid:
        ax.grid(visible=True, axis="both" if grid == "xy" else grid, color=look.grid)  # type: ignore[arg-type]  # the stub wants a literal
        ax.set_axisbelow(True)
