"""The contract of a segmenter, as a function that its author can run."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from faro.analysis import as_segmenter, normalise_labels
from faro.testing.movie import synthetic_stack
from faro.testing.promises import Promises

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faro.model.frame import PixelArray
    from faro.protocols import Segmenter
    from faro.protocols.analysis import Labels

_SHAPE = (96, 120)
_N_THREADS = 3


def check_segmenter(
    segmenter: object, *, n_channels: int | None = None, seeded: bool = False
) -> None:
    """Raise ContractError where a segmenter breaks its promises; all are listed.

    Checked on cells, on noise, and on dark, saturated, one-pixel and small images, in
    uint8 and uint16: labels have the shape of the image and are whole numbers or bool;
    the image is not changed; the same image gives the same labels, also when several
    threads ask at once; a dark image holds no cell.

    Parameters
    ----------
    segmenter
        Object with ``segment(pixels)``, or a function.
    n_channels
        For one that takes (C, Y, X): how many channels. None for (Y, X).
    seeded
        For one that takes seeds: it is given bright spots of the image, none in a
        dark one; each must be in an object of the same number.
    """
    component = as_segmenter(segmenter)
    promises = Promises(segmenter, "faro.protocols.Segmenter")
    if seeded:
        component = _Seeding(component, promises)
    images = _images(n_channels)
    for name, image in images.items():
        labels = _labels(component, image, name, promises)
        if labels is not None and name.startswith("dark"):
            n = len(np.unique(labels[labels > 0]))
            promises.keep(n == 0, "A dark image holds no cell.", f"{n} cells")
    _same_from_all_threads(component, images["cells, uint16"], promises)
    promises.settle()


class _Seeding:
    """Gives a segmenter the seeds that it asks for, and looks after them."""

    def __init__(self, segmenter: Any, promises: Promises) -> None:
        self._segmenter, self._promises = segmenter, promises

    def segment(self, pixels: PixelArray) -> Any:
        """Return the labels (Y, X) of an image (Y, X) or (C, Y, X)."""
        plane = pixels if pixels.ndim == 2 else pixels[0]
        bright = plane > max(int(plane.max()) // 2, 1)
        seeds = normalise_labels(bright, (plane.shape[0], plane.shape[1]))
        seeds = np.where(seeds > 0, seeds + 3, 0).astype(np.int32)
        seeds.setflags(write=False)
        found = self._segmenter.segment(pixels, seeds)
        kept = np.array_equal(np.asarray(found)[seeds > 0], seeds[seeds > 0])
        self._promises.keep(kept, "A seed is in an object of the same number.")
        return found


def _images(n_channels: int | None) -> Mapping[str, PixelArray]:
    """Return read-only images (Y, X) or (C, Y, X) by name."""
    rng = np.random.default_rng(0)
    one_pixel = np.zeros(_SHAPE, np.uint16)
    one_pixel[5, 7] = 60_000
    cells = synthetic_stack(_SHAPE, n_cells=8, seed=0)[0][0]
    planes: dict[str, PixelArray] = {
        "cells, uint16": cells,
        "cells, uint8": np.clip(cells // 16, 0, 255).astype(np.uint8),
        "noise": rng.poisson(200, _SHAPE).astype(np.uint16),
        "dark, uint16": np.zeros(_SHAPE, np.uint16),
        "dark, uint8": np.zeros(_SHAPE, np.uint8),
        "saturated": np.full(_SHAPE, 65_535, np.uint16),
        "one pixel": one_pixel,
        "small": cells[:20, :17],
    }
    images: dict[str, PixelArray] = {}
    for name, plane in planes.items():
        pixels = plane if n_channels is None else np.stack([plane] * n_channels)
        pixels = np.ascontiguousarray(pixels)
        pixels.setflags(write=False)
        images[name] = pixels
    return images


def _labels(
    segmenter: Segmenter, image: PixelArray, name: str, promises: Promises
) -> Labels | None:
    """Return the checked labels (Y, X) of one image, None where it failed."""
    before = image.copy()
    shape = (int(image.shape[-2]), int(image.shape[-1]))
    try:
        first = normalise_labels(segmenter.segment(image), shape).copy()
        again = normalise_labels(segmenter.segment(image), shape)
    except Exception as error:  # noqa: BLE001  a plug-in may raise anything
        promises.broke(error, name)
        return None
    promises.keep(np.array_equal(before, image), f"{name}: the image is left as it was")
    promises.keep(np.array_equal(first, again), f"{name}: equal images, equal labels")
    return first


def _same_from_all_threads(
    segmenter: Segmenter, image: PixelArray, promises: Promises
) -> None:
    """Note if threads that ask at once get different labels."""

    def call(_: int) -> Any:
        return segmenter.segment(image).copy()

    try:
        with ThreadPoolExecutor(_N_THREADS) as pool:
            answers = list(pool.map(call, range(2 * _N_THREADS)))
    except Exception as error:  # noqa: BLE001  a plug-in may raise anything
        promises.broke(error, "several threads at once")
        return
    same = all(np.array_equal(answers[0], other) for other in answers)
    promises.keep(same, "Several threads may ask at once and get equal labels.")
