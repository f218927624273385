"""The core's buffer of images: large enough for what comes, and no larger."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from faro.errors import HardwareError
from faro.microscope.mmcore import LEAST_MB

if TYPE_CHECKING:
    from faro.microscope.mmcore import CMMCorePlus

logger = logging.getLogger(__name__)

MB: Final = 1 << 20
MOST_MB: Final = 1024
"""A burst gets no more; a single image gets whatever it needs."""


def buffer_mb(image_bytes: int, images: int) -> int:
    """Return the size of a buffer for so many images, bounded.

    Parameters
    ----------
    image_bytes
        Size of one image.
    images
        How many it is to hold.

    Examples
    --------
    A sCMOS camera of 2048 x 2048 with 16 bits, eight images:

    >>> buffer_mb(2048 * 2048 * 2, 8)
    64
    >>> buffer_mb(512 * 512, 8), buffer_mb(9000 * 9000 * 2, 8)
    (16, 1024)
    """
    whole = -(-image_bytes * images // MB)
    single = -(-image_bytes // MB)
    return max(LEAST_MB, single, min(whole, MOST_MB))


class ImageBuffer:
    """Keeps the buffer of a core at the size that its camera needs now.

    MMCore makes 250 MB by itself and fills them with zeros, the camera locked, before
    each sequence: 0.1 s and more. A fixed smaller one is too small for large cameras.

    Parameters
    ----------
    core
        The core; the camera is its current one, written in C++.
    images
        How many images are to find a place that nobody has taken out yet.
    """

    def __init__(self, core: CMMCorePlus, images: int) -> None:
        self._core, self._images = core, images

    def fit(self) -> bool:
        """Change the size if it is not right; return whether it was changed.

        It is empty then. Raises HardwareError where there is no memory for it.
        """
        core = self._core
        wanted_mb = buffer_mb(core.getImageBufferSize(), self._images)
        if core.getCircularBufferMemoryFootprint() == wanted_mb:
            return False
        try:
            core.setCircularBufferMemoryFootprint(wanted_mb)
        except Exception as error:
            problem = f"The core got no buffer of {wanted_mb} MB for images: {error}."
            remedy = "Close other programs, or take a smaller ROI or more binning."
            raise HardwareError(problem, remedy=remedy) from error
        logger.info("the core's buffer holds %d MB of images", wanted_mb)
        return True
