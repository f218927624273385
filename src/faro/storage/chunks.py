"""Tells a stored chunk from a missing one, and reads it; any zarr v3 array."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import tensorstore as ts

from faro.errors import StorageError

if TYPE_CHECKING:
    from faro.storage.disk import Durability

SHARDING: Final = "sharding_indexed"
ABSENT: Final = np.uint64(2**64 - 1)
CHECKSUM_BYTES: Final = 4

_shared_context = ts.Context(
    {
        "data_copy_concurrency": {"limit": 2},
        "file_io_concurrency": {"limit": 4},
        "file_io_sync": False,
    }
)
_synced_context = ts.Context(
    {
        "data_copy_concurrency": {"limit": 2},
        "file_io_concurrency": {"limit": 4},
        "file_io_sync": True,
    }
)


def open_array(path: Path, durability: Durability = "process") -> ts.TensorStore:
    """Return the zarr v3 array in the folder ``path``.

    Raises
    ------
    StorageError
        If there is none, or its metadata is damaged.
    """
    whole = Path(os.path.abspath(path))  # noqa: PTH100  tensorstore takes no ".."
    spec = {
        "driver": "zarr3",
        "kvstore": {"driver": "file", "path": f"{whole.as_posix()}/"},
        "store_data_equal_to_fill_value": True,
        "recheck_cached_metadata": "open",
    }
    synced = durability == "power-loss"
    context = _synced_context if synced else _shared_context
    try:
        return ts.open(spec, context=context, open=True).result()
    except ValueError as error:
        problem = f"The array {path} cannot be opened: {error}."
        raise StorageError(problem, remedy="Check that the run is complete.") from error


@dataclass(frozen=True)
class StoredArray:
    """A zarr v3 array that tells what was written from what was not.

    Parameters
    ----------
    path
        Its folder.
    metadata
        Its ``zarr.json``.
    """

    path: Path
    metadata: dict[str, Any]

    @classmethod
    def at(cls, path: Path) -> StoredArray:
        """Return the array in the folder ``path``.

        Raises
        ------
        StorageError
            If there is none.
        """
        try:
            metadata = json.loads((path / "zarr.json").read_bytes())
            return cls(path, dict(metadata))
        except (OSError, ValueError, TypeError) as error:
            problem = f"There is no readable zarr array in {path}: {error}."
            raise StorageError(problem, remedy="Check the path.") from error

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return tuple(self.metadata["shape"])

    @property
    def dtype(self) -> str:
        """Name of the data type."""
        return str(self.metadata["data_type"])

    def holds(self, *index: int) -> bool:
        """Return whether the chunk at ``index`` (leading axes) was written.

        An image that is black was written; one that is missing was not.
        """
        full = (*index, *(0,) * (len(self.shape) - len(index)))
        file = self.path / self._key(full)
        if self._inner is None:
            return file.is_file() and file.stat().st_size > 0
        position = self._inner_position(full)
        return position in self._written(file)

    def file_of(self, timestep: int) -> Path:
        """Return the file of a timepoint, there or not, of our own arrays."""
        return self.path / self._key((timestep,))

    def chunks_of(self, timestep: int) -> frozenset[int]:
        """Return which chunks of a timepoint were written, numbered in C order.

        Of arrays whose files hold all of a timepoint, or of several.
        """
        file = self.file_of(timestep)
        if self._inner is None:
            return frozenset({0} if file.is_file() and file.stat().st_size else ())
        n_chunks = int(np.prod(self._per_shard[1:]))
        first = timestep % self._chunk[0] * n_chunks
        mine = range(first, first + n_chunks)
        return frozenset(p - first for p in self._written(file) if p in mine)

    @property
    def chunks_per_file(self) -> int:
        """How many chunks a file holds."""
        return 1 if self._inner is None else int(np.prod(self._per_shard))

    def read(self, *index: int) -> npt.NDArray[Any]:
        """Return the values at ``index`` (leading axes): the rest, like (Y, X).

        Raises
        ------
        StorageError
            If the stored bytes are damaged.
        """
        try:
            values: npt.NDArray[Any] = self._array[index].read().result()
        except ValueError as error:
            problem = f"{self.path / self._key(index)} is damaged: {error}."
            raise StorageError(problem, remedy="Restore it from a copy.") from error
        return values

    @cached_property
    def _array(self) -> ts.TensorStore:
        return open_array(self.path)

    @cached_property
    def _chunk(self) -> tuple[int, ...]:
        return tuple(self.metadata["chunk_grid"]["configuration"]["chunk_shape"])

    @cached_property
    def _inner(self) -> dict[str, Any] | None:
        """Return the configuration of the shards, None where there are none."""
        codec = self.metadata["codecs"][0]
        return codec["configuration"] if codec["name"] == SHARDING else None

    @cached_property
    def _per_shard(self) -> tuple[int, ...]:
        assert self._inner is not None
        inner = self._inner["chunk_shape"]
        return tuple(c // i for c, i in zip(self._chunk, inner, strict=True))

    def _key(self, index: tuple[int, ...]) -> str:
        """Return the file of the chunk (or shard) at ``index``."""
        full = (*index, *(0,) * (len(self.shape) - len(index)))
        grid = [str(i // c) for i, c in zip(full, self._chunk, strict=True)]
        encoding = self.metadata["chunk_key_encoding"]
        named = encoding["name"] == "default"
        separator = "/" if named else "."
        separator = encoding.get("configuration", {}).get("separator", separator)
        return str(separator).join(["c", *grid] if named else grid)

    def _inner_position(self, index: tuple[int, ...]) -> int:
        """Return the place of the chunk at ``index`` in the table of its shard."""
        assert self._inner is not None
        inner = self._inner["chunk_shape"]
        places = [i % c // n for i, c, n in zip(index, self._chunk, inner, strict=True)]
        return int(np.ravel_multi_index(places, self._per_shard))

    def _written(self, file: Path) -> frozenset[int]:
        """Return the chunks that a shard file holds, from the table at its end."""
        assert self._inner is not None
        n_bytes = 16 * int(np.prod(self._per_shard))
        last = [codec["name"] for codec in self._inner["index_codecs"]][-1]
        checksum = CHECKSUM_BYTES if last == "crc32c" else 0
        at_end = self._inner.get("index_location", "end") == "end"
        try:
            with file.open("rb") as opened:
                if at_end:
                    opened.seek(-n_bytes - checksum, os.SEEK_END)
                table = opened.read(n_bytes)
        except OSError:
            return frozenset()
        entries = np.frombuffer(table, "<u8", count=len(table) // 8).reshape(-1, 2)
        return frozenset(np.flatnonzero(entries[:, 0] != ABSENT).tolist())
