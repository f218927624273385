"""When frames are missing one after the other: the camera or a stage is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faro.run.assembler import AUTOFOCUS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from useq import MDAEvent

    from faro.model.frame import PixelArray


class Losses:
    """Counts the frames that are missing in a row; on the acquisition's thread.

    A position that is out of focus counts once, however many exposures that costs.

    Parameters
    ----------
    most
        Frames in a row that may be missing before ``lost`` is called; 0: any number.
    lost
        Told how many are missing, and the error of the last one.

    Attributes
    ----------
    astray
        Whether an event failed since the last one was sent, so that stages and
        properties may not be what the plan takes them for.
    """

    def __init__(self, most: int, lost: Callable[[int, Exception], None]) -> None:
        self._most, self._lost = most, lost
        self._n_missing = 0
        self._unfocused: set[int] = set()
        self.astray = False

    def frame(self, _: PixelArray, event: MDAEvent, __: Mapping[str, Any]) -> None:
        """Note that a frame (Y, X) came; a listener of the microscope."""
        self._n_missing = 0
        self._unfocused.discard(event.metadata["faro"]["fov"])

    def missing(self, event: MDAEvent, error: Exception) -> None:
        """Note that an event gave no frame; a listener of the microscope."""
        self.astray = True
        facts = event.metadata["faro"]
        if facts["role"] == AUTOFOCUS:
            self._unfocused.add(facts["fov"])
        elif facts["fov"] in self._unfocused:
            return
        self._n_missing += 1
        if 0 < self._most <= self._n_missing:
            n_missing, self._n_missing = self._n_missing, 0
            self._lost(n_missing, error)
