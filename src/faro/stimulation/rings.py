"""Lights the ring around each nucleus: the near cytoplasm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from faro.errors import ContractError
from faro.stimulation.settings import cells_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from faro.protocols import StimulationContext


@dataclass(frozen=True, slots=True)
class RingAroundNucleus:
    """Lights what is more than ``margin_px`` and at most ``distance_px`` from a cell.

    Parameters
    ----------
    margin_px, distance_px
        Inner and outer edge of the ring, whole pixels from the edge of the nucleus.
    nucleus_too
        Whether the nucleus is lit as well, and the gap up to the margin.

    Raises
    ------
    ContractError
        If the ring has no width.
    """

    needs: ClassVar[tuple[str, ...]] = ("labels",)
    required_metadata: ClassVar[tuple[str, ...]] = ()
    margin_px: int = 2
    distance_px: int = 4
    nucleus_too: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.margin_px < self.distance_px:
            problem = f"A ring from {self.margin_px} to {self.distance_px} px is none."
            raise ContractError(problem, remedy="Use 0 <= margin_px < distance_px.")

    def stimulate(self, context: StimulationContext) -> npt.NDArray[np.bool_]:
        """Return the mask (Y, X) of all rings."""
        cells = cells_of(context, self)
        margin = 0 if self.nucleus_too else self.margin_px
        lit: npt.NDArray[np.bool_] = cells.ring(margin, self.distance_px).labels != 0
        if self.nucleus_too:
            lit |= cells.labels != 0
        return lit
