"""How the series of a run lie on disk: the seam between the layouts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from faro.storage.layout import SeriesKey
    from faro.storage.ngff import ImageFacts
    from faro.storage.omexml import SeriesFacts
    from faro.storage.series import Series


class ImageTree(Protocol):
    """Creates series and lists them for readers; one thread at a time."""

    @property
    def equal_t(self) -> bool:
        """Whether the ordinary series must have time axes of one length."""
        ...

    def create(self, key: SeriesKey, facts: ImageFacts, n_timepoints: int, /) -> Series:
        """Create a series, on the device when this returns."""
        ...

    def list_series(self, series: Sequence[SeriesFacts], /) -> None:
        """Write which series there are; also called before there is any."""
        ...
