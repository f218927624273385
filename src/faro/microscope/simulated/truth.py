"""What is really in a field of view."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt

    from faro.microscope.simulated.geometry import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What is really in a field of view, one value per cell, in order of ``ids``.

    Attributes
    ----------
    ids
        (n,) int64, for ever.
    y_px, x_px
        (n,) centre in camera pixels; may lie just outside the image.
    ratio
        (n,) cytoplasm over nucleus intensity of the reporter.
    dose_ms
        (n,) light received so far, ms of full light, mean over the cell.
    columns
        Everything else that is known about the cells: name to (n,).
    """

    ids: npt.NDArray[np.int64]
    y_px: Floats
    x_px: Floats
    ratio: Floats
    dose_ms: Floats
    columns: Mapping[str, Floats]
