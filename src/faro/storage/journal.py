"""The journal: what happened, one JSON object per line, only ever appended."""

from __future__ import annotations

import json
import logging
import os
import threading
import zlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from faro.storage import disk
from faro.storage.jsontext import one_line
from faro.system.disk import sync_data

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from faro.storage.disk import Durability

logger = logging.getLogger(__name__)


class Journal:
    """Appends lines; thread-safe.

    A line that was returned from is with the operating system, so it outlives the
    process. With ``durability="power-loss"`` it outlives the power once `sync` has
    returned; threads that call it at once share one sync of the device.

    Parameters
    ----------
    path
        The file; created if absent. A line torn by a kill is cut off first.
    """

    def __init__(self, path: Path, durability: Durability = "process") -> None:
        self._path, self._durability = path, durability
        self._lock, self._sync_lock = threading.Lock(), threading.Lock()
        self._n_written = self._n_synced = 0
        self._descriptor: int | None = None
        self._mark = _mark(0, b"")
        if path.exists():
            lines, end = _complete(path.read_bytes())
            os.truncate(path, end)
            self._mark = _mark(end, lines[-1] + b"\n" if lines else b"")
        self._reopen()

    def mark(self) -> dict[str, int]:
        """Return where the journal ends now, JSON-able, for `has_mark`."""
        with self._lock:
            return self._mark

    def append(self, kind: str, **facts: Any) -> None:
        """Append one line with ``kind``, the time (``wall``, UTC) and ``facts``.

        Also after `close`; then the file is opened for this line.

        Raises
        ------
        StorageError
            If the line could not be written; then no part of it is there.
        """
        with self._lock:
            wall = datetime.now(UTC).isoformat(timespec="microseconds")
            line = one_line({"kind": kind, "wall": wall, **facts})
            if self._descriptor is not None:
                start = disk.append_all(self._path, self._descriptor, line)
                self._mark = _mark(start + len(line), line)
                self._n_written += 1
                return
            descriptor = disk.open_appending(self._path)
            try:
                disk.append_all(self._path, descriptor, line)
                if self._durability == "power-loss":
                    sync_data(descriptor)
            finally:
                os.close(descriptor)

    def sync(self) -> None:
        """Return when all lines appended so far are as safe as was asked for.

        Raises
        ------
        OSError
            If the device does not take them.
        """
        if self._durability == "process":
            return
        n_mine = self._n_written
        with self._sync_lock:
            if self._n_synced >= n_mine or self._descriptor is None:
                return
            n_written = self._n_written
            sync_data(self._descriptor)
            self._n_synced = n_written

    def close(self) -> None:
        """Write all to the device and let go of the file. Safe to call twice."""
        with self._sync_lock, self._lock:
            if self._descriptor is not None:
                sync_data(self._descriptor)
                os.close(self._descriptor)
                self._descriptor = None

    def _reopen(self) -> None:
        self._descriptor = disk.open_appending(self._path)


class JournalReader:
    """Reads a journal that may still grow; each look reads only what is new."""

    def __init__(self, path: Path) -> None:
        self._path, self._offset = path, 0
        self._lines: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    def lines(self) -> list[dict[str, Any]]:
        """Return all complete lines so far; a torn last one is left out."""
        with self._lock:
            if self._path.exists():
                with self._path.open("rb") as file:
                    file.seek(self._offset)
                    new, end = _complete(file.read())
                self._offset += end
                self._lines += _parsed(new, self._path)
            return list(self._lines)


def has_mark(path: Path, mark: Mapping[str, int]) -> bool:
    """Return whether a journal still has all that it had at a `Journal.mark`.

    Not where the power took its last lines, also if others were appended since.
    """
    if not path.exists():
        return False
    with path.open("rb") as file:
        file.seek(mark["bytes"] - mark["last_bytes"])
        return _mark(mark["bytes"], file.read(mark["last_bytes"])) == mark


def _mark(end: int, line: bytes) -> dict[str, int]:
    """Return where a journal ends, and what its last line is."""
    return {"bytes": end, "last_bytes": len(line), "crc32": zlib.crc32(line)}


def lines_about(path: Path, word: str) -> list[dict[str, Any]]:
    """Return the complete lines that hold ``word``; only these are parsed."""
    if not path.exists():
        return []
    lines, _ = _complete(path.read_bytes())
    return _parsed([line for line in lines if word.encode() in line], path)


def damaged_lines(path: Path) -> list[tuple[int, bytes]]:
    """Return number (from 1) and text of the complete lines that are no JSON object."""
    lines = enumerate(_complete(path.read_bytes())[0], 1)
    return [(number, line) for number, line in lines if _object(line) is None]


def complete_bytes(path: Path) -> int:
    """Return the bytes up to the end of the last complete line."""
    return _complete(path.read_bytes())[1]


def _complete(data: bytes) -> tuple[list[bytes], int]:
    """Return the complete lines in ``data`` and where they end."""
    end = data.rfind(b"\n") + 1
    return data[:end].split(b"\n")[:-1], end


def _parsed(lines: list[bytes], path: Path) -> list[dict[str, Any]]:
    """Return the JSON objects; what is none is left out and told to the log."""
    found = []
    for line in lines:
        value = _object(line)
        if value is not None:
            found.append(value)
        else:
            logger.warning("%s holds a damaged line: %r", path, line[:80])
    return found


def _object(line: bytes) -> dict[str, Any] | None:
    """Return the JSON object of a line, None if it is none."""
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
