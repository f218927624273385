"""The OME-XML of one series, told of every plane as it is stored.

The document is complete after every frame at a cost that does not grow: the new planes
and the end tags are written over the end tags by one write, and the length of the time
axis has a fixed width.
"""

from __future__ import annotations

import os
import re
import threading
from typing import TYPE_CHECKING, Any, Final

from faro.errors import StorageError
from faro.storage import disk
from faro.storage.omexml import SeriesFacts, ome_xml, planes_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from faro.storage.ngff import ImageFacts

NAME: Final = "frames.ome.xml"
END: Final = b"</Pixels>"
SIZE_T: Final = re.compile(rb'SizeT="(\d+)"')
DIGITS: Final = 9
"""Width of the length of the time axis, so that it can be written over."""


class PlaneFile:
    """``frames.ome.xml`` of one image group; thread-safe.

    It tells nothing that the journal does not, so it is not synced: after a power cut
    it is written anew from the journal.

    Parameters
    ----------
    folder
        The image group.
    name
        Path of the series in the folder of the images.
    facts, n_timepoints
        What is said about the series.
    """

    def __init__(
        self, folder: Path, name: str, facts: ImageFacts, n_timepoints: int
    ) -> None:
        self._path, self._name, self._lock = folder / NAME, name, threading.Lock()
        self._at = self._size_at = 0
        self._end = b""
        self.rewrite(facts, n_timepoints, ())

    def rewrite(
        self,
        facts: ImageFacts,
        n_timepoints: int,
        lines: Iterable[Mapping[str, Any]],
    ) -> None:
        """Write the whole document anew, atomically, with the planes of ``lines``."""
        about = SeriesFacts(
            self._name,
            str(facts.faro.get("name", facts.name)),
            facts.format,
            facts.place,
            n_timepoints,
            tuple(lines),
        )
        created = str(facts.faro.get("created", ""))
        text = ome_xml([about], uuid=str(facts.faro.get("run", "")), created=created)
        text = SIZE_T.sub(b'SizeT="%0*d"' % (DIGITS, n_timepoints), text, count=1)
        sized = SIZE_T.search(text)
        with self._lock:
            self._format, self._n_timepoints = facts.format, n_timepoints
            self._at = text.rindex(END)
            self._end = text[self._at :]
            self._size_at = sized.start(1) if sized else 0
            disk.write_atomic(self._path, text, synced=False)

    def append(self, record: Mapping[str, Any], n_timepoints: int) -> None:
        """Add the planes of one stack; ``n_timepoints`` is the length of the t axis.

        Raises
        ------
        StorageError
            If it cannot be written.
        """
        planes = planes_text(record, self._format)
        with self._lock:
            try:
                with self._path.open("rb+", buffering=0) as file:
                    file.seek(self._at)
                    _write(file.fileno(), planes + self._end)
                    self._at += len(planes)
                    if n_timepoints > self._n_timepoints:
                        file.seek(self._size_at)
                        _write(file.fileno(), b"%0*d" % (DIGITS, n_timepoints))
                        self._n_timepoints = n_timepoints
            except OSError as error:
                problem = f"{self._path} cannot be written: {error}."
                remedy = "Free space, or check the disk; the frame itself is stored."
                raise StorageError(problem, remedy=remedy) from error


def _write(descriptor: int, data: bytes) -> None:
    written = os.write(descriptor, data)
    if written != len(data):
        message = f"only {written} of {len(data)} bytes"
        raise OSError(message)
