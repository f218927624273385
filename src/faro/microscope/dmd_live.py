"""Patterns on the DMD while somebody looks: all on, all off, a checkerboard, focus."""

from __future__ import annotations

import queue
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import useq

from faro.errors import ContractError, HardwareError
from faro.microscope.calibration_run import FRAME_DEADLINE_S, conditions_of, stop_taking
from faro.microscope.missed import DeviceFailedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy.typing as npt

    from faro.experiment import PowerChannel
    from faro.microscope.abstract import AbstractMicroscope, RunThread
    from faro.model.frame import PixelArray

    Pattern = npt.NDArray[np.bool_]
    Newest = queue.Queue[PixelArray | DeviceFailedError]

TURN_S = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class LiveFrame:
    """What the camera sees of a pattern.

    Attributes
    ----------
    pixels
        (Y, X) as the camera gives them.
    sharpness
        Mean squared slope over the squared mean brightness: the larger, the sharper
        (Tenengrad; Krotkov, Int. J. Comput. Vis. 1, 223, 1988). Comparable between
        frames of one pattern.
    """

    pixels: PixelArray
    sharpness: float


def all_on(shape: tuple[int, int]) -> Pattern:
    """Return a pattern (Y, X) of mirrors that are all on."""
    return np.ones(shape, np.bool_)


def all_off(shape: tuple[int, int]) -> Pattern:
    """Return a pattern (Y, X) of mirrors that are all off."""
    return np.zeros(shape, np.bool_)


def checker_board(shape: tuple[int, int], square_px: int = 20) -> Pattern:
    """Return a checkerboard (Y, X); the square at the top left is on.

    Raises
    ------
    ContractError
        If a square has no size.

    Examples
    --------
    >>> checker_board((2, 4), 1).astype(int).tolist()
    [[1, 0, 1, 0], [0, 1, 0, 1]]
    """
    if square_px < 1:
        problem = f"A checkerboard has squares of {square_px} mirrors."
        raise ContractError(problem, remedy="Use 1 or more.")
    y, x = (np.arange(n) // square_px % 2 for n in shape)
    board: Pattern = y[:, None] == x[None, :]
    return board


def sharpness_of(pixels: PixelArray) -> float:
    """Return how sharp an image (Y, X) is; see `LiveFrame`."""
    image = pixels.astype(np.float32)
    image = np.asarray(cv2.GaussianBlur(image, (3, 3), 0), np.float32)
    slopes = (cv2.Sobel(image, cv2.CV_32F, *d, ksize=3) for d in ((1, 0), (0, 1)))
    squared = sum(float(np.square(slope).mean()) for slope in slopes)
    return squared / max(float(image.mean()) ** 2, 1e-12)


def live(
    microscope: AbstractMicroscope, channel: PowerChannel, pattern: Pattern
) -> Iterator[LiveFrame]:
    """Show a pattern again and again, and yield what the camera sees.

    Light falls during the exposures only. It ends when the loop over it ends, however
    that is; then the sample is dark and the listeners are as before. A frame that
    nobody has taken by the time of the next is replaced by it.

    Parameters
    ----------
    microscope
        Loaded, not acquiring.
    channel
        Stimulation channel with exposure, and power if it can be set.
    pattern
        (Y, X) in mirrors, bool.

    Raises
    ------
    ContractError
        If the pattern has another shape than the DMD.
    HardwareError
        If there is no DMD, or frames do not come.

    Examples
    --------
    To focus::

        board = checker_board(microscope.dmd.shape)
        for frame in live(microscope, channel, board):
            print(frame.sharpness)
    """
    shape = conditions_of(microscope).slm_shape
    if pattern.shape != shape:
        problem = f"The pattern is {pattern.shape}, the DMD {shape} (Y, X)."
        raise ContractError(problem, remedy="Give a pattern in mirrors.")
    ended = threading.Event()
    newest: Newest = queue.Queue(maxsize=1)

    def take(pixels: PixelArray, _event: object, _facts: Mapping[str, Any]) -> None:
        _put(newest, np.array(pixels))

    def missing(_event: object, error: Exception) -> None:
        if isinstance(error, DeviceFailedError):
            _put(newest, error)

    thread: RunThread | None = None
    microscope.connect_frame(take)
    microscope.connect_missing(missing)
    try:
        thread = microscope.run_mda(_endless(microscope, channel, pattern, ended))
        while True:
            pixels = _next(newest, thread)
            yield LiveFrame(pixels, sharpness_of(pixels))
    finally:
        ended.set()
        stop_taking(microscope, thread)
        microscope.disconnect_frame(take)
        microscope.disconnect_missing(missing)
        microscope.go_dark("nobody looks at the DMD any more")


def _put(newest: Newest, what: PixelArray | DeviceFailedError) -> None:
    """Put a frame (Y, X) or an error in the place of what was not taken yet."""
    while True:
        try:
            newest.put_nowait(what)
        except queue.Full:
            with suppress(queue.Empty):
                newest.get_nowait()
        else:
            return


def _next(newest: Newest, thread: RunThread) -> PixelArray:
    """Return the next frame (Y, X); raises where none comes."""
    failed: Exception | None = None
    for _ in range(round(FRAME_DEADLINE_S / TURN_S)):
        try:
            found = newest.get(timeout=TURN_S)
        except queue.Empty:
            if not thread.is_alive():
                break
            continue
        if not isinstance(found, DeviceFailedError):
            return found
        failed = found
        break
    error = failed or thread.error
    why = f": {error}" if error else ""
    problem = f"The camera gives no more frames{why}."
    raise HardwareError(problem, remedy="See the log for what the devices said.")


def _endless(
    microscope: AbstractMicroscope,
    channel: PowerChannel,
    pattern: Pattern,
    ended: threading.Event,
) -> Iterator[useq.MDAEvent]:
    """Yield events that show ``pattern`` (Y, X) until ``ended`` is set."""
    group = channel.group or microscope.resolve_group(channel.config)
    power = microscope.resolve_power(channel)
    number = 0
    while not ended.is_set():
        index: Any = {"t": number}
        yield useq.MDAEvent(
            index=index,
            channel=useq.EventChannel(config=channel.config, group=group),
            exposure=channel.exposure,
            properties=[useq.PropertyTuple(*power)] if power else None,
            slm_image=useq.SLMImage(data=pattern, exposure=channel.exposure),
        )
        number += 1
