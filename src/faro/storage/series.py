"""The stacks of one FOV and role that share a format: which times are taken."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from faro.errors import StorageError
from faro.storage.layout import is_label_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from faro.model import Stack
    from faro.storage.chunks import StoredArray
    from faro.storage.ngff import ImageFacts, Window

LABEL_DTYPES: Final = {
    "bool": "uint8",
    "uint8": "uint8",
    "int8": "int32",
    "int16": "int32",
    "uint16": "int32",
    "int32": "int32",
}
"""How labels are stored; what is not listed becomes uint32."""

SHOWN_PERCENT: Final = (0.5, 99.8)

LabelArray = npt.NDArray[np.integer[Any]]


class LabelStore(Protocol):
    """Where the label images of one name and series go."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """As which they are stored."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """(Y, X) or (Z, Y, X)."""
        ...

    def grow(self, n_timepoints: int) -> None:
        """Make the time axis at least ``n_timepoints`` long."""
        ...

    def write(self, timestep: int, labels: LabelArray, /) -> None:
        """Store labels of this shape and type; a second time replaces."""
        ...

    def link(self, timestep: int, source: StoredArray, /) -> bool:
        """Share a file of another array; return whether that was possible."""
        ...


class Series(ABC):
    """The stacks of one FOV and role that share a format; thread-safe.

    Parameters
    ----------
    name
        Path of the series in the folder of the images, as the journal says it.
    facts
        What its metadata says.

    Attributes
    ----------
    compress_less
        Whether the next stacks should cost little work rather than few bytes.
    """

    def __init__(self, name: str, facts: ImageFacts) -> None:
        self.name, self.facts = name, facts
        self._lock = threading.RLock()
        self._taken: set[int] = set()
        self._labels: dict[str, LabelStore] = {}
        self.window_of: dict[int, Window] = {}
        self.compress_less = False

    @property
    @abstractmethod
    def n_timepoints(self) -> int:
        """Length of the time axis."""

    @abstractmethod
    def describe(self, facts: ImageFacts) -> None:
        """Replace what the metadata says, of the images and of the labels."""

    @abstractmethod
    def note(self, record: Mapping[str, Any]) -> None:
        """Have the metadata tell of a stack that is in the journal now."""

    @abstractmethod
    def finish(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Complete the metadata; ``lines`` are the journal's ``frame`` lines."""

    @abstractmethod
    def _grow(self, n_timepoints: int) -> None:
        """Make the time axis of the images at least ``n_timepoints`` long."""

    @abstractmethod
    def _store(self, stack: Stack, at: list[int]) -> None:
        """Store a stack whole, its channels at these indices."""

    @abstractmethod
    def _link(self, timestep: int, source: StoredArray) -> bool:
        """Share the file of a timepoint; return whether that was possible."""

    @abstractmethod
    def _new_label(self, name: str, like: LabelArray) -> LabelStore:
        """Return a new label image for labels like ``like``."""

    def grow(self, n_timepoints: int) -> None:
        """Make images and labels at least ``n_timepoints`` long; nothing shrinks."""
        self._grow(n_timepoints)
        with self._lock:
            labels = list(self._labels.values())
        for label in labels:
            label.grow(n_timepoints)

    def restore(self, frames: Iterable[Mapping[str, Any]], labels: set[str]) -> None:
        """Take up again what a run that was ended had stored here.

        Parameters
        ----------
        frames
            The journal's ``frame`` lines of this series.
        labels
            Names of the label images that hold something.
        """
        del labels
        with self._lock:
            self._taken.update(line["timestep"] for line in frames)

    def claim(self, timestep: int) -> bool:
        """Return whether ``timestep`` was free; it is taken now."""
        with self._lock:
            free = timestep not in self._taken
            self._taken.add(timestep)
            return free

    def release(self, timestep: int) -> None:
        """Undo `claim`, after a write that failed."""
        with self._lock:
            self._taken.discard(timestep)

    def channel_indices(self, channels: tuple[str, ...]) -> list[int] | None:
        """Return where ``channels`` are stored, None if one has no place.

        A name that comes twice takes the first two places of that name.
        """
        known = list(self.facts.format.channels)
        indices = []
        for name in channels:
            if name not in known:
                return None
            index = known.index(name)
            known[index] = "\0taken"
            indices.append(index)
        return indices

    def write(self, stack: Stack, at: list[int]) -> None:
        """Store a stack; readable when this returns.

        ``at`` are the indices of its channels.

        Raises
        ------
        StorageError
            If it cannot be written.
        """
        self._store(stack, at)
        self.note_window(at, stack.pixels)

    def note_window(self, at: Iterable[int], pixels: npt.NDArray[Any]) -> None:
        """Note what to show of channels seen first, (C, Y, X) or (C, Z, Y, X)."""
        for index, planes in zip(at, pixels, strict=True):
            if index not in self.window_of:
                low, high = np.percentile(planes[..., ::4, ::4], SHOWN_PERCENT)
                self.window_of[index] = (int(low), int(max(high, low + 1)))

    def link(self, stack: Stack, source: StoredArray) -> bool:
        """Store a stack by sharing the file of another array.

        Returns whether that was possible; nothing is stored if not. Of ``stack`` only
        the timepoint counts.
        """
        if not self._link(stack.timestep, source):
            return False
        if not self.window_of:
            self.note_window(range(source.shape[1]), source.read(stack.timestep))
        return True

    def link_labels(self, name: str, timestep: int, source: StoredArray) -> bool:
        """Store labels by sharing the file of another array, as `link` does."""
        like = np.broadcast_to(np.zeros((), source.dtype), source.shape[1:])
        with self._lock:
            if name not in self._labels:
                _check_name(name)
                self._labels[name] = self._new_label(name, like)
            label = self._labels[name]
        return label.link(timestep, source)

    def write_labels(self, name: str, timestep: int, labels: LabelArray) -> None:
        """Store labels (Y, X) or (Z, Y, X), any integer or bool; values never change.

        Labels (Y, X) of a series with a z axis stand for all its planes: they are
        stored as one plane (1, Y, X) that is as thick as the stack.

        Raises
        ------
        StorageError
            If the name cannot be a folder, the shape differs, or a value does not fit
            the stored type.
        """
        if self.facts.format.n_z and labels.ndim == len("yx"):
            labels = labels[np.newaxis]
        with self._lock:
            if name not in self._labels:
                _check_name(name)
                self._labels[name] = self._new_label(name, labels)
            label = self._labels[name]
        _check_labels(name, labels, label)
        label.write(timestep, np.ascontiguousarray(labels, label.dtype))


def label_dtype(labels: LabelArray) -> str:
    """Return as which type labels are stored, so that no id ever wraps."""
    return LABEL_DTYPES.get(str(labels.dtype), "uint32")


def _check_name(name: str) -> None:
    if not is_label_name(name):
        problem = f"A label image cannot be called {name!r}."
        raise StorageError(problem, remedy="Use letters, digits, '_' and '-'.")


def _check_labels(name: str, labels: LabelArray, label: LabelStore) -> None:
    """Raise StorageError for labels of another shape or that do not fit."""
    if labels.shape != label.shape:
        problem = f"A label image {name!r} has shape {labels.shape}, "
        problem += f"the ones before {label.shape}."
        raise StorageError(problem, remedy="Store labels of one shape per name.")
    if np.can_cast(labels.dtype, label.dtype) or not labels.size:
        return
    limits = np.iinfo(label.dtype)
    low, high = int(labels.min()), int(labels.max())
    if low < limits.min or high > limits.max:
        problem = f"Labels {low} to {high} of {name!r} do not fit {label.dtype}."
        remedy = "Store them under another name, or as the type used at first."
        raise StorageError(problem, remedy=remedy)
