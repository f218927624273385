"""Writes a run: images, Arrow tables and a journal, one folder per run."""

from __future__ import annotations

import json
import threading
import uuid
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from faro.errors import FaroError, RunStateError, StorageError
from faro.storage import disk
from faro.storage.compaction import compact
from faro.storage.environment import faro_version, versions
from faro.storage.frameindex import write_frame_index
from faro.storage.hashes import labels_crc32, pixels_crc32
from faro.storage.held import Hold
from faro.storage.images import ImageStore
from faro.storage.journal import Journal, JournalReader
from faro.storage.jsontext import document, read_document
from faro.storage.kept import write_mask
from faro.storage.layout import FORMAT, SCHEMA_VERSION, RunLayout
from faro.storage.provenance import write_provenance
from faro.storage.refusals import path_problems, space_problems, write_new
from faro.storage.tables import CellWriter
from faro.storage.told import frame_record, needs_from, told_by

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from faro.errors import Problem
    from faro.model import CellTable, RunNeeds, Stack
    from faro.storage.disk import AskedDurability, Durability
    from faro.storage.imagetree import ImageTree
    from faro.storage.layout import Layout


@dataclass(frozen=True, slots=True)
class OpenParts:
    """What is open while a run is written."""

    journal: Journal
    images: ImageStore
    cells: CellWriter


class RunWriter(ABC):
    """Writes one run; implements `faro.protocols.Sink`. Thread-safe.

    What a method has returned from is readable, also after the process was killed.
    A folder that holds something is never touched.

    Parameters
    ----------
    path
        The run folder; absent or empty.
    durability
        ``"process"``: acknowledged data outlives the process. ``"power-loss"``: every
        frame, label and row is on the device before its method returns. ``"auto"``:
        the latter where the devices are real.
    free_bytes
        Returns the free bytes where a path is or would be.
    """

    layout: ClassVar[Layout]

    def __init__(
        self,
        path: str | Path,
        *,
        durability: AskedDurability = "auto",
        free_bytes: Callable[[Path], int] = disk.free_bytes,
    ) -> None:
        self._layout = RunLayout(Path(path).absolute())
        self._asked, self._free_bytes = durability, free_bytes
        self._durability: Durability = "process"
        self._lock = threading.Lock()
        self._parts: OpenParts | None = None
        self._hold: Hold | None = None
        self._kept_masks: set[Path] = set()
        self._closed = False
        self._texts: dict[str, str] = {}

    @property
    def path(self) -> Path:
        """The run folder, absolute."""
        return self._layout.path

    def keep(self, name: str, text: str) -> None:
        """Have a file lie in ``provenance`` from the start; before `open`."""
        self._texts[name] = text

    def problems(self, needs: RunNeeds) -> Sequence[Problem]:
        """Return why a run cannot be written here; nothing is created.

        While this writer has the run open, only the space is looked at.
        """
        found = [] if self._parts and not self._closed else path_problems(self._layout)
        found += self._layout_problems(needs)
        return found or space_problems(self.path, self._free_bytes(self.path), needs)

    def open(self, needs: RunNeeds, description: Mapping[str, Any]) -> None:
        """Create the run folder; ``description`` (JSON-able) goes to ``run.json``.

        Raises
        ------
        StorageError
            If the folder is in use, or cannot be written.
        """
        layout = self._layout
        problems = path_problems(self._layout) + self._layout_problems(needs)
        if problems:
            raise StorageError(problems[0].what, remedy=problems[0].remedy)
        self._durability = disk.durability(self._asked, real=needs.real_devices)
        disk.make_folder(layout.path)
        created = datetime.now(UTC).isoformat(timespec="milliseconds")
        run_uuid = str(uuid.uuid4())
        info = {
            "format": FORMAT,
            "schema_version": SCHEMA_VERSION,
            "uuid": run_uuid,
            "created": created,
            "faro_version": faro_version(),
            "versions": versions(),
            "durability": self._durability,
            "layout": self.layout,
            "writer": self._settings(),
            "needs": needs,
            "description": description,
        }
        write_new(layout.run_json, document(info))
        # Where locks do not work the run is written all the same.
        with suppress(StorageError):
            self._hold = Hold(layout.path)
        journal = Journal(layout.journal, self._durability)
        write_provenance(layout, info, self._texts)
        about: dict[str, Any] = {"uuid": run_uuid, "created": created}
        tree = self._image_tree(needs, **about)
        images = ImageStore(tree, needs, **about)
        self._parts = OpenParts(journal, images, self._cell_writer(needs, run_uuid))

    def reopen(self, again: Iterable[Mapping[str, Any]] = ()) -> list[str]:
        """Go on with the run in the folder, however it was ended.

        What nobody was told of, the writer's caller neither, is set aside. Frames keep
        their places, rows are appended, the summary is written anew.

        Parameters
        ----------
        again
            The journal's ``frame`` lines of stacks that will be taken again.

        Returns
        -------
        done
            What was set aside or cut off, in words.

        Raises
        ------
        StorageError
            If there is no run, another process writes it, or something is missing that
            was acknowledged.
        """
        from faro.storage.reader import open_own_run  # noqa: PLC0415  slow to load
        from faro.storage.reopening import cleared, given_up  # noqa: PLC0415

        layout = self._layout
        info = read_document(layout.run_json)
        hold = Hold(layout.path)
        try:
            self._durability = info["durability"]
            journal = Journal(layout.journal, self._durability)
            run = open_own_run(layout.path)
            done = list(given_up(layout, run, journal, again))
            told = told_by(run.journal)
            done += cleared(layout, run, told)
            if not layout.sources.exists():
                write_provenance(layout, info, self._texts)
            needs, run_uuid = needs_from(info["needs"]), info["uuid"]
            about: dict[str, Any] = {"uuid": run_uuid, "created": info["created"]}
            tree = self._image_tree(needs, **about)
            images = ImageStore(tree, needs, **about, stored=told)
            cells = self._cell_writer(needs, run_uuid)
            cells.restore(told.segments)
        except BaseException:
            hold.release()
            raise
        self._hold, self._parts = hold, OpenParts(journal, images, cells)
        self._kept_masks.update(layout.state(0).parent.glob("*.npy"))
        return done

    def _cell_writer(self, needs: RunNeeds, run_uuid: str) -> CellWriter:
        facts = {"pixel_size_um": needs.pixel_size_um, "interval_s": needs.interval_s}
        return CellWriter(self._layout, {**facts, "run": run_uuid}, self._durability)

    def extend(self, needs: RunNeeds) -> None:
        """Make room for more timepoints or FOVs; nothing shrinks."""
        parts = self.open_parts("extend")
        parts.images.extend(needs)
        parts.journal.append("extended", needs=needs)

    def store_stack(self, stack: Stack, times: Mapping[str, float]) -> None:
        """Store raw pixels (C, Y, X) or (C, Z, Y, X) and the frame's record.

        A timepoint beyond the planned ones, in any order, is fine.

        Raises
        ------
        StorageError
            If it could not be written; what was stored before is intact.
        """
        parts = self.open_parts("store a stack")
        series, indices = parts.images.store(stack)
        record = frame_record(stack, series, indices)
        record["crc32"] = pixels_crc32(stack.pixels)
        parts.journal.append("frame", **{**times, **record})
        parts.journal.sync()
        parts.images.note(record)

    def store_labels(
        self, name: str, fov: int, timestep: int, labels: npt.NDArray[np.integer[Any]]
    ) -> None:
        """Store one label image; a second one of the same place replaces it.

        (Y, X), which stands for all planes of a stack with a z axis, or (Z, Y, X).

        Raises
        ------
        StorageError
            If it could not be written, or a value does not fit what was stored before.
        """
        parts = self.open_parts("store labels")
        parts.images.store_labels(name, fov, timestep, labels)
        facts = {"name": name, "fov": fov, "timestep": timestep}
        parts.journal.append("labels", **facts, crc32=labels_crc32(labels))
        parts.journal.sync()
        kept = self._layout.kept_mask(name, fov, timestep)
        if kept in self._kept_masks:
            self._kept_masks.discard(kept)
            kept.unlink(missing_ok=True)

    def store_cells(self, fov: int, timestep: int, cells: CellTable) -> None:
        """Append the cells of one frame.

        Raises
        ------
        StorageError
            If they could not be written.
        """
        parts = self.open_parts("store cells")
        done = parts.cells.append(fov, timestep, cells)
        parts.journal.append("cells", fov=fov, timestep=timestep, **asdict(done))
        parts.journal.sync()

    def store_state(self, fov: int, state: Mapping[str, Any]) -> None:
        """Keep what a FOV's tracker and light remember, in place of what was before.

        ``state`` is JSON; NaN and infinity stay what they are. It counts as long as
        the journal has the lines that it has now.

        Raises
        ------
        StorageError
            If it could not be written; what was kept before is intact.
        """
        journal = self.open_parts("store the state").journal
        told = {**state, "journal": journal.mark()}
        journal.sync()
        path = self._layout.state(fov)
        synced = self._durability == "power-loss"
        disk.make_folder(path.parent, synced=synced)
        disk.write_atomic(path, json.dumps(told).encode(), synced=synced)

    def keep_mask(
        self, name: str, fov: int, timestep: int, mask: npt.NDArray[np.uint8]
    ) -> None:
        """Keep a mask (Y, X) that is about to fire, until `store_labels` has it.

        It outlives the process when this returns.

        Raises
        ------
        StorageError
            If it cannot be written.
        """
        self.open_parts("keep a mask")
        path = self._layout.kept_mask(name, fov, timestep)
        write_mask(path, mask)
        self._kept_masks.add(path)

    def record(self, kind: str, **facts: Any) -> None:
        """Append one line to the journal; any thread, also after `close`.

        It outlives the process when this returns; `sync` makes it outlive the power.
        """
        if self._parts is None:
            verb = f"record {kind!r}"
            raise self._not_open(verb)
        self._parts.journal.append(kind, **facts)

    def free_bytes(self) -> int:
        """Return the free bytes of the disk of the run folder."""
        return self._free_bytes(self.path)

    def sync(self) -> None:
        """Return when the lines of `record` are as safe as frames; any thread.

        Raises
        ------
        StorageError
            If the device does not take them.
        """
        self.open_parts("sync").journal.sync()

    def compress_less(self, on: bool, /) -> None:  # noqa: FBT001  a switch
        """Store the following stacks with less work and more bytes, or as usual again.

        For a processor that cannot keep up; any thread.
        """
        self.open_parts("compress less").images.compress_less(on)

    def let_go(self) -> None:
        """Leave the run as it is, unfinished, so that it can be reopened."""
        with self._lock:
            self._closed = True
        if self._hold is not None:
            self._hold.release()

    def close(self, summary: Mapping[str, Any]) -> None:
        """Finish the run: tables compacted, metadata complete. Safe to call twice.

        The rest is finished even if one part fails.

        Raises
        ------
        StorageError
            If something could not be finished; what was stored is intact.
        """
        with self._lock:
            if self._parts is None or self._closed:
                return
            self._closed = True
        parts, layout = self._parts, self._layout
        steps: list[Callable[[], object]] = [
            lambda: disk.write_atomic(layout.summary, document(summary)),
            lambda: compact(layout),
            lambda: write_frame_index(
                layout.frames, JournalReader(layout.journal).lines()
            ),
            lambda: parts.images.finish(JournalReader(layout.journal).lines()),
            parts.journal.close,
            self._hold.release if self._hold else lambda: None,
        ]
        failures = [error for step in steps if (error := _tried(step))]
        if failures:
            raise failures[0]

    @abstractmethod
    def _image_tree(self, needs: RunNeeds, *, uuid: str, created: str) -> ImageTree:
        """Return how the images lie on disk; the run folder exists."""

    def _settings(self) -> dict[str, Any]:
        """Return what this writer was told, JSON-able, to make it again."""
        return {}

    def _layout_problems(self, needs: RunNeeds) -> list[Problem]:  # noqa: ARG002
        """Return what of a run cannot be stored in this layout."""
        return []

    def open_parts(self, verb: str) -> OpenParts:
        """Return what is open; for the rooms of storage that store in other ways."""
        if self._parts is None or self._closed:
            raise self._not_open(verb)
        return self._parts

    def _not_open(self, verb: str) -> RunStateError:
        state = "closed" if self._closed else "not open"
        problem = f"Cannot {verb}: the run {self.path} is {state}."
        return RunStateError(problem, remedy="Use a new writer, and open it first.")


def _tried(step: Callable[[], object]) -> Exception | None:
    """Return what ``step`` raised."""
    try:
        step()
    except (FaroError, OSError) as error:
        return error
    return None
