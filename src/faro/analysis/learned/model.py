"""What all learned segmenters share: loaded once, warmed up, described."""

from __future__ import annotations

import logging
import threading
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from faro.analysis.learned.weights import MissingWeightsError, weights_sha256
from faro.errors import FaroError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

logger = logging.getLogger(__name__)


def existing(find: Callable[[str], Path], model: str) -> Path | None:
    """Return what ``find(model)`` finds, None where it is missing."""
    try:
        return find(model)
    except MissingWeightsError:
        return None


class LearnedModel:
    """Loads its weights on first use, once, whatever thread asks first.

    Subclasses are dataclasses with JSON-able fields, so that a worker process can make
    them again; the field ``in_worker`` says whether a pipeline runs them in one.
    """

    def __post_init__(self) -> None:
        self._turn = threading.Lock()
        self._loaded: Any = None

    def load(self) -> Any:
        """Return the library's model, loaded now if it is not yet.

        Raises
        ------
        MissingExtraError
            If the library is not installed.
        MissingWeightsError
            If the weights are not on this machine.
        """
        with self._turn:
            if self._loaded is None:
                self._loaded = self._load()
            return self._loaded

    def weights_path(self) -> Path | None:
        """Return where the weights lie, None if they are not there."""
        raise NotImplementedError

    def _load(self) -> Any:
        raise NotImplementedError

    def warm_up(self, image_shape: tuple[int, ...]) -> None:
        """Load, and segment one dim image (Y, X) or (C, Y, X) of that shape.

        That a library does not like that image is no reason not to start.
        """
        self.load()
        pixels = np.full(image_shape, 100, np.uint16)
        pixels[..., ::7, ::5] = 300
        try:
            self.segment(pixels)  # type: ignore[attr-defined]  # subclasses are segmenters
        except FaroError:
            raise
        except Exception:
            logger.exception("The warm-up of %s failed.", type(self).__name__)

    def describe(self) -> dict[str, Any]:
        """Return what this is, with the SHA-256 of its weights, for the record."""
        given: dict[str, Any] = {
            f.name: getattr(self, f.name)
            for f in fields(self)  # type: ignore[arg-type]  # subclasses are dataclasses
            if f.init
        }
        kind = type(self)
        return {
            "component": f"{kind.__module__}:{kind.__qualname__}",
            "parameters": given,
            "weights_sha256": weights_sha256(self.weights_path()),
        }
