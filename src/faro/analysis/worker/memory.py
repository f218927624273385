"""Shared memory for one image and its labels, owned by the loop's process."""

from __future__ import annotations

from contextlib import suppress
from multiprocessing.shared_memory import SharedMemory
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from faro.system.memory import opened

if TYPE_CHECKING:
    from faro.model.frame import PixelArray
    from faro.protocols.analysis import Labels


class Block:
    """One piece of shared memory that grows to the largest array put into it."""

    def __init__(self) -> None:
        self._memory: SharedMemory | None = None

    def array(
        self, shape: tuple[int, ...], dtype: npt.DTypeLike
    ) -> npt.NDArray[np.generic]:
        """Return an array (Y, X) or (C, Y, X) that lies in the memory."""
        kind = np.dtype(dtype)
        n_bytes = max(int(np.prod(shape)) * kind.itemsize, 1)
        if self._memory is None or self._memory.size < n_bytes:
            self.close()
            self._memory = SharedMemory(create=True, size=n_bytes)
        return np.ndarray(shape, kind, self._memory.buf)

    @property
    def name(self) -> str:
        """Name by which the worker opens it."""
        return "" if self._memory is None else self._memory.name

    def close(self) -> None:
        """Give the memory back. Safe to call twice."""
        if self._memory is not None:
            self._memory.close()
            self._memory.unlink()
            self._memory = None


class Planes:
    """The image that a worker reads and the labels that it writes."""

    def __init__(self) -> None:
        self._pixels, self._labels, self._seeds = Block(), Block(), Block()

    def put(self, pixels: PixelArray, seeds: Labels | None = None) -> dict[str, Any]:
        """Copy an image and what it starts from in; return where all lies, JSON-able.

        Parameters
        ----------
        pixels
            (Y, X) or (C, Y, X).
        seeds
            (Y, X) int32, None for none.
        """
        np.copyto(self._pixels.array(pixels.shape, pixels.dtype), pixels)
        self._labels.array(pixels.shape[-2:], np.int32)
        where: dict[str, Any] = {
            "pixels": self._pixels.name,
            "labels": self._labels.name,
            "shape": list(pixels.shape),
            "dtype": str(pixels.dtype),
        }
        if seeds is not None:
            np.copyto(self._seeds.array(seeds.shape, np.int32), seeds)
            where["seeds"] = self._seeds.name
        return where

    def taken(self, shape: tuple[int, ...]) -> Labels:
        """Return a copy of the labels (Y, X) int32."""
        return np.array(self._labels.array(shape[-2:], np.int32), np.int32)

    def close(self) -> None:
        """Give the memory back. Safe to call twice."""
        for block in (self._pixels, self._labels, self._seeds):
            block.close()


class OpenedBlocks:
    """The worker's side: opens what it is told of, and keeps the last ones."""

    def __init__(self) -> None:
        self._open: dict[str, SharedMemory] = {}

    def array(
        self, name: str, shape: tuple[int, ...], dtype: str
    ) -> npt.NDArray[np.generic]:
        """Return an array (Y, X) or (C, Y, X) that lies in the memory ``name``."""
        if name not in self._open:
            self._open[name] = opened(name, SharedMemory)
        return np.ndarray(shape, np.dtype(dtype), self._open[name].buf)

    def keep(self, *names: str) -> None:
        """Let go of all but ``names``; somebody may still look at one."""
        for name in [name for name in self._open if name not in names]:
            with suppress(BufferError):
                self._open.pop(name).close()
