"""Pictures of positions as JPEG: contrast, outlines, track ids, the fired mask."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import cv2
import numpy as np

from faro.errors import MissingFrameError
from faro.view.journal import MASK
from faro.view.look import LIT, light_colours
from faro.view.panels import PREFERRED_LABELS, contrast, nearest, overlay

if TYPE_CHECKING:
    import numpy.typing as npt

    from faro.storage import Run
    from faro.view.panels import Colour, Image, Rgb

Grey: TypeAlias = "npt.NDArray[np.uint8]"
TRACKS: Final = "tracks"
QUALITY: Final = 75
KEPT: Final = 24
MOST_PX: Final = 2048
LEAST_PX: Final = 768
"""Smaller images are enlarged by a whole number, so that numbers can be read."""
COARSE_PX: Final = 256
"""Shorter side of the picture in which the middle of each cell is looked for."""
TEXT: Final = (255, 255, 255)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A picture.

    Attributes
    ----------
    low, high
        Grey values shown black and white; None to find them.
    side_px
        Longer side of the picture at most.
    revision
        Of what is stored for the position; a newer one is drawn again.
    """

    fov: int
    timestep: int
    channel: str
    low: int | None = None
    high: int | None = None
    side_px: int = 1024
    outlines: bool = True
    ids: bool = True
    mask: bool = True
    revision: int = 0


class Pictures:
    """Draws pictures of a run, each once; one at a time. Thread-safe.

    Parameters
    ----------
    run
        May be written meanwhile.
    """

    def __init__(self, run: Run) -> None:
        self._run, self._lock = run, threading.Lock()
        self._made: OrderedDict[Wanted, bytes] = OrderedDict()

    def jpeg(self, wanted: Wanted) -> bytes:
        """Return a picture as a JPEG file.

        Raises
        ------
        MissingFrameError
            If there is no such image.
        """
        with self._lock:
            if wanted in self._made:
                self._made.move_to_end(wanted)
                return self._made[wanted]
            made = jpeg_of(self._draw(wanted))
            self._made[wanted] = made
            while len(self._made) > KEPT:
                self._made.popitem(last=False)
            return made

    def limits(self, fov: int, timestep: int, channel: str) -> tuple[float, float]:
        """Return the grey values that are shown black and white if nobody says."""
        return contrast([self._run.frame(fov, timestep, channel)])

    def _draw(self, wanted: Wanted) -> Rgb:
        """Return the picture (Y, X, 3) uint8."""
        run, fov, time = self._run, wanted.fov, wanted.timestep
        plane = run.frame(fov, time, wanted.channel)
        low, high = contrast([plane])
        low = low if wanted.low is None else wanted.low
        high = max(high if wanted.high is None else wanted.high, low + 1)
        grey = _grey(plane, (low, high), min(wanted.side_px, MOST_PX))
        names = run.images.label_names(fov)
        outlined = next((n for n in PREFERRED_LABELS if n in names), "")
        labels = self._labels(outlined, fov, time) if wanted.outlines else None
        masks = [n for n in names if n.startswith(MASK)] if wanted.mask else []
        rgb = overlay(grey, labels, self._lights(masks, fov, time))
        tracks = self._labels(TRACKS, fov, time) if wanted.ids else None
        if tracks is not None:
            write_ids(rgb, tracks)
        return rgb

    def _labels(self, name: str, fov: int, timestep: int) -> Image | None:
        """Return a label image (Y, X), None where it is not stored (yet)."""
        if name not in self._run.images.label_names(fov):
            return None
        try:
            return self._run.images.labels(name, fov, timestep)
        except MissingFrameError:
            return None

    def _lights(
        self, masks: list[str], fov: int, timestep: int
    ) -> list[tuple[Image, Colour]]:
        """Return the masks (Y, X) of a timepoint, each with its colour."""
        found = [(name, self._labels(name, fov, timestep)) for name in masks]
        colours = light_colours(masks)
        return [(m, LIT[colours[n]]) for n, m in found if m is not None]


def _grey(
    plane: Image, limits: tuple[float, float], side_px: int
) -> npt.NDArray[np.uint8]:
    """Return a plane (Y, X) as (Y, X) uint8, as large as is wanted and seen."""
    low, high = limits
    height, width = plane.shape
    longest = max(height, width)
    factor = min(1.0, side_px / longest)
    values: npt.NDArray[Any] = plane
    if factor < 1.0:
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        values = cv2.resize(plane, size, interpolation=cv2.INTER_AREA)
    elif (times := min(LEAST_PX, side_px) // longest) > 1:
        values = plane.repeat(times, axis=0).repeat(times, axis=1)
    scale = 255.0 / (high - low)
    return cv2.convertScaleAbs(
        np.clip(values.astype(np.float32), low, high), alpha=scale, beta=-low * scale
    ).astype(np.uint8)


def write_ids(rgb: Rgb, tracks: Image) -> None:
    """Write the number of each object of ``tracks`` (Y, X) into ``rgb`` (Y, X, 3)."""
    height, width = rgb.shape[:2]
    step = max(1, min(height, width) // COARSE_PX)
    small = nearest(tracks, (height // step, width // step))
    flat = small.ravel().astype(np.int64)
    counts = np.bincount(flat)
    rows, columns = np.divmod(np.arange(flat.size), small.shape[1])
    y_sum = np.bincount(flat, weights=rows) * step
    x_sum = np.bincount(flat, weights=columns) * step
    size = max(0.3, min(0.5, rgb.shape[0] / 1500))
    for number in np.flatnonzero(counts[1:]) + 1:
        y, x = y_sum[number] / counts[number], x_sum[number] / counts[number]
        at = (round(x) - 6, round(y) + 4)
        font = cv2.FONT_HERSHEY_SIMPLEX
        cv2.putText(rgb, str(number), at, font, size, (0, 0, 0), 3, cv2.LINE_AA)
        cv2.putText(rgb, str(number), at, font, size, TEXT, 1, cv2.LINE_AA)


def jpeg_of(rgb: Rgb) -> bytes:
    """Return ``rgb`` (Y, X, 3) uint8 as a JPEG file."""
    bgr = np.ascontiguousarray(rgb[:, :, ::-1])
    _, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return bytes(encoded)
