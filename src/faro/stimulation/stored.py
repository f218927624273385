"""Light as drawn in a picture file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import cv2
import numpy as np

from faro.errors import ContractError

if TYPE_CHECKING:
    import numpy.typing as npt

    from faro.protocols import StimulationContext


class StoredImage:
    """Lights the field with a picture; it is read once, when this is made.

    Parameters
    ----------
    path
        PNG, TIFF or ``.npy`` in camera pixels, (Y, X): bool or 8 bits, 0 dark to 255
        full. 16 bits are scaled down; colours are made grey.
    stretch
        Whether a picture of another size is stretched to the camera's, each pixel
        taking the nearest; otherwise it is refused.

    Raises
    ------
    ContractError
        If the file is no picture.
    """

    needs: ClassVar[tuple[str, ...]] = ()
    required_metadata: ClassVar[tuple[str, ...]] = ()

    def __init__(self, path: str, *, stretch: bool = False) -> None:
        self.path, self.stretch = str(path), stretch
        self._levels = _read(Path(path))

    def stimulate(self, context: StimulationContext) -> npt.NDArray[np.uint8]:
        """Return the grey levels (Y, X) uint8.

        Raises
        ------
        ContractError
            If the camera image has another size, and nothing is stretched.
        """
        if self._levels.shape == context.shape:
            return self._levels
        if not self.stretch:
            problem = (
                f"{self.path} is {self._levels.shape} (Y, X), the camera image "
                f"{context.shape}."
            )
            raise ContractError(problem, remedy="Draw it anew, or set stretch = true.")
        size = context.shape[::-1]
        stretched = cv2.resize(self._levels, size, interpolation=cv2.INTER_NEAREST)
        return np.asarray(stretched, np.uint8)


def _read(path: Path) -> npt.NDArray[np.uint8]:
    """Return the picture at ``path``, (Y, X) uint8, read-only."""
    remedy = "Give the path of a PNG, TIFF or .npy file, (Y, X)."
    try:
        content = path.read_bytes()
    except OSError as error:
        problem = f"The picture {str(path)!r} cannot be read: {error}."
        raise ContractError(problem, remedy=remedy) from None
    if path.suffix == ".npy":
        pixels = np.load(path, allow_pickle=False)
    else:  # from memory: OpenCV opens no path with letters beyond ASCII on Windows
        found = np.frombuffer(content, np.uint8)
        decoded = cv2.imdecode(found, cv2.IMREAD_ANYDEPTH) if len(found) else None
        pixels = np.empty(0) if decoded is None else np.asarray(decoded)
    if pixels.ndim != 2 or pixels.dtype not in (np.bool_, np.uint8, np.uint16):
        problem = f"{str(path)!r} holds {pixels.dtype} of shape {pixels.shape}."
        raise ContractError(problem, remedy=remedy)
    if pixels.dtype == np.bool_:
        pixels = pixels.view(np.uint8) * np.uint8(255)
    if pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    levels: npt.NDArray[np.uint8] = np.ascontiguousarray(pixels, np.uint8)
    levels.setflags(write=False)
    return levels
