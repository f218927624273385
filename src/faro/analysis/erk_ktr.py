"""The kinase translocation reporter: nucleus, cytoplasm ring, and their ratio."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from faro.analysis.intensity import channel_names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faro.model import Stack
    from faro.model.cells import Column
    from faro.protocols import Cells
    from faro.protocols.analysis import Floats, Labels


@dataclass(frozen=True, slots=True)
class ErkKtrFeatures:
    """Nucleus and cytoplasm ring, and their ratio: the kinase translocation reporter.

    Columns: ``mean_`` and ``median_<channel>_nuc`` and ``_ring`` of every channel,
    ``area_nuc`` (px), ``cnr`` and ``cnr_median``: ring over nucleus of ``channel``
    (Regot et al. 2014, Cell 157:1724).

    Parameters
    ----------
    channel
        Name or index of the reporter's channel.
    margin, distance
        Inner and outer edge of the ring, px from the nucleus.
    channels
        Names of the channels to measure besides the reporter's; all by default.
    """

    channel: str | int = 1
    margin: int = 2
    distance: int = 4
    channels: tuple[str, ...] | None = None

    @property
    def provides(self) -> tuple[str, ...] | None:
        """Names of the columns; None where they depend on the stack's channels."""
        if self.channels is None or not isinstance(self.channel, str):
            return None
        measured = [
            f"{statistic}_{name}_{region}"
            for name in dict.fromkeys((*self.channels, self.channel))
            for region in ("nuc", "ring")
            for statistic in ("mean", "median")
        ]
        return (*measured, "area_nuc", "cnr", "cnr_median")

    @property
    def rings(self) -> tuple[str, ...]:
        """Label images that are stored: ``"ring"``."""
        return ("ring",)

    def label_images(self, cells: Cells) -> dict[str, Labels]:
        """Return the rings as labels (Y, X) int32, under the name ``"ring"``."""
        return {"ring": cells.ring(self.margin, self.distance).labels}

    def features(self, cells: Cells, stack: Stack) -> dict[str, Column]:
        """Return the columns, name to (n,) array."""
        ring = cells.ring(self.margin, self.distance)
        columns: dict[str, Any] = {}
        reporter = channel_names(stack, (self.channel,))[0]
        for name in dict.fromkeys((*channel_names(stack, self.channels), reporter)):
            plane = stack[name]
            for region, pixels in (("nuc", cells), ("ring", ring)):
                columns[f"mean_{name}_{region}"] = pixels.mean(plane)
                columns[f"median_{name}_{region}"] = pixels.median(plane)
        return columns | {
            "area_nuc": cells.area,
            "cnr": _ratio(columns, "mean", reporter),
            "cnr_median": _ratio(columns, "median", reporter),
        }


def _ratio(columns: Mapping[str, Floats], statistic: str, channel: str) -> Floats:
    """Return ring over nucleus (n,), NaN where the nucleus is black."""
    ring = columns[f"{statistic}_{channel}_ring"]
    nucleus = columns[f"{statistic}_{channel}_nuc"]
    ratio: Floats = np.full(len(nucleus), np.nan)
    return np.divide(ring, nucleus, out=ratio, where=nucleus > 0)
