"""A calibration as a picture: where spots were seen, and how far off they are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from faro.microscope.calibration import Calibration

LONGEST_SHARE = 0.08
"""Length of the longest arrow, as part of the image."""


def draw_calibration(found: Calibration, path: str | Path) -> Path:
    """Write a PNG: spots in the camera image with their residuals, and a histogram.

    Parameters
    ----------
    found
        The calibration.
    path
        Of the picture; one that is there is replaced.
    """
    figure = Figure(figsize=(9, 4.5), dpi=120, layout="constrained")
    where, how_far = figure.subplots(1, 2, width_ratios=(1.3, 1))
    _draw_spots(where, found)
    how_far.hist(found.residuals_px[found.used], bins=20, color="C0")
    how_far.axvline(found.median_px, color="k", lw=1)
    how_far.set_xlabel("residual (camera px)")
    how_far.set_ylabel("spots")
    told = f"median {found.median_px:.2f} px, largest {found.largest_px:.2f} px"
    how_far.set_title(told, fontsize=10)
    conditions = found.conditions
    optics = [f"{name} {value}" for name, value in conditions.optics.items()]
    names = [conditions.device, conditions.camera, *optics]
    figure.suptitle(f"{found.kind}, {found.date}: {', '.join(names)}", fontsize=10)
    target = Path(path)
    figure.savefig(target)
    return target


def _draw_spots(ax: Axes, found: Calibration) -> None:
    """Draw where spots were seen, and how far from where they should be."""
    height, width = found.conditions.image_shape
    seen, used = found.seen, found.used
    expected = found.to_camera(found.shown)
    scale = LONGEST_SHARE * max(height, width) / max(found.largest_px, 1e-9)
    ends = expected[used] + scale * (seen - expected)[used]
    arrows = np.stack([expected[used], ends])
    ax.plot(arrows[..., 0], arrows[..., 1], color="C0", lw=1)
    ax.plot(*seen[used].T, ".", color="C0", label=f"{used.sum()} spots used")
    if not used.all():
        ax.plot(*seen[~used].T, "x", color="C3", label=f"{(~used).sum()} left out")
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]], np.float64)
    rows, columns = found.conditions.slm_shape
    edge = found.to_camera(corners * [columns - 1, rows - 1])
    ax.plot(*edge.T, color="0.5", lw=1, ls="--", label="edge of the DMD")
    margin = 0.05 * max(height, width)
    ax.set_xlim(-margin, width - 1 + margin)
    ax.set_ylim(height - 1 + margin, -margin)
    ax.set_aspect("equal")
    ax.set_xlabel("x (camera px)")
    ax.set_ylabel("y (camera px)")
    ax.set_title(f"Residuals, {scale:.0f} times as long", fontsize=10)
    ax.legend(fontsize=8, loc="upper right")
