"""A segmenter on another machine: an algorithm of an imaging-server-kit server."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from faro.analysis.labels import normalise_labels
from faro.analysis.method import as_segmenter
from faro.analysis.serverkit import Algorithm, RemoteError, connect

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faro.model.frame import PixelArray
    from faro.protocols.analysis import Labels

logger = logging.getLogger(__name__)

_PAUSE_S = 0.2


@dataclass(eq=False)
class ImagingServerSegmenter:
    """Asks a server of imaging-server-kit 0.3 for labels (extra ``imaging-server``).

    Pixels go as they are, (Y, X) or (C, Y, X), uint8 or uint16; the algorithm answers
    with one mask (Y, X) of whole numbers. An image that fails is sent again until its
    deadline; after that the fall-back is asked, and the log says so.

    Parameters
    ----------
    url
        Of the server, ``"http://host:8000"``. Whoever answers there decides what is
        lit: use a network that you trust.
    algorithm
        Its name on the server; None: the only one there.
    parameters
        What it takes besides the image; the rest as the server says.
    image_parameter
        What it calls the image.
    deadline_s
        How long one image may take, with all tries.
    n_tries
        How often an image is sent.
    fallback
        A segmenter to ask instead; None: the image fails.
    """

    needs_network: ClassVar[bool] = True

    url: str
    algorithm: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    image_parameter: str = "image"
    deadline_s: float = 10.0
    n_tries: int = 2
    fallback: object = None

    def __post_init__(self) -> None:
        if self.fallback is not None:
            self.fallback = as_segmenter(self.fallback)
        self._known: Algorithm | None = None
        self._lock = threading.Lock()
        self.n_fallbacks = 0

    def segment(self, pixels: PixelArray, /) -> Labels:
        """Return labels (Y, X) int32 of ``pixels`` (Y, X) or (C, Y, X); any thread.

        Raises
        ------
        MissingExtraError
            If msgpack is not installed.
        RemoteError
            If the server failed and there is no fall-back.
        """
        try:
            return self._tried(pixels)
        except RemoteError as error:
            if self.fallback is None:
                raise
            logger.warning("%s The fall-back was asked.", error.problem)
            with self._lock:
                self.n_fallbacks += 1
            labels = as_segmenter(self.fallback).segment(pixels)
            return normalise_labels(labels, _shape(pixels), "the fall-back")

    def warm_up(self, image_shape: tuple[int, ...]) -> None:
        """Ask the server for one dark image of that shape; no fall-back is asked.

        Raises
        ------
        RemoteError
            If the server does not answer.
        """
        self._tried(np.zeros(image_shape, np.uint16))

    def _tried(self, pixels: PixelArray) -> Labels:
        """Return what the server gave at last, within the deadline."""
        ends_s = time.monotonic() + self.deadline_s
        for left in reversed(range(self.n_tries)):
            try:
                return self._asked(pixels, ends_s)
            except RemoteError as error:
                left_s = ends_s - time.monotonic()
                if not left or left_s <= _PAUSE_S or error.final:
                    raise
                logger.info("%s Sent again.", error.problem)
                time.sleep(_PAUSE_S)
        raise AssertionError  # the last try returns or raises

    def _asked(self, pixels: PixelArray, ends_s: float) -> Labels:
        """Return labels (Y, X) int32 of one try."""
        if self._known is None:
            self._known = connect(self.url, self.algorithm, ends_s)
        given = {self.image_parameter: pixels, **self.parameters}
        mask = self._known.run(given, ends_s)
        return normalise_labels(mask, _shape(pixels), self.url)


def _shape(pixels: PixelArray) -> tuple[int, int]:
    return int(pixels.shape[-2]), int(pixels.shape[-1])
