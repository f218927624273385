"""Everything a run writes down: to the sink, in order, off the hot path."""

from __future__ import annotations

import hashlib
import logging
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

from faro.model import FrameRole
from faro.run.jobs import BackgroundError
from faro.run.so_far import SoFar
from faro.run.writing import WriterThreads, WritingEvents, WritingJob

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from faro.model import CellTable, Stack
    from faro.protocols import Sink
    from faro.run.clock import RunClock
    from faro.run.writing import WritingPolicy

logger = logging.getLogger(__name__)

MAX_ERRORS_KEPT = 1_000
"""Errors kept in memory; the journal has them all."""


class Recorder:
    """Hands what the run produces to the sink; works without one too. Thread-safe.

    Parameters
    ----------
    sink
        Where the run is stored, None for a run that is not stored.
    clock
        Clock of the run; every journal line carries its seconds as ``run_s``.
    on_storage_failure
        Called once, on a writer thread, when the sink fails.
    policy
        How much may wait to be written, and what happens when more comes.
    undecided
        Tells of (fov, timestep) whether a mask is asked for and not yet there; its
        pixels are not written before, so that writing does not delay it.
    """

    def __init__(
        self,
        sink: Sink | None,
        clock: RunClock,
        on_storage_failure: Callable[[Exception], None],
        policy: WritingPolicy | None = None,
        undecided: Callable[[int, int], bool] = lambda _fov, _timestep: False,
    ) -> None:
        self._sink, self._clock = sink, clock
        self._on_storage_failure = on_storage_failure
        self._lock = threading.Lock()
        self._undecided = undecided
        self._storage_failed = self._sync_queued = False
        self._told = SoFar()
        self._written = threading.Condition()
        self._unwritten: Counter[tuple[int, int]] = Counter()
        self.errors: list[BackgroundError] = []
        self.counts: dict[str, int] = {}
        events = WritingEvents(
            self._writing_failed, self._behind, self._caught_up, self._compress_less
        )
        self._writer = WriterThreads(events, policy)

    def go_on(self, told: SoFar) -> None:
        """Go on with the record of a run; what it tells of is not written again."""
        self._told = told
        with self._lock:
            self.counts.update(told.counts)
            self.counts["positions_begun"] = len(told.places)

    @property
    def keeps(self) -> bool:
        """Whether anything is stored."""
        return self._sink is not None

    def has_rows(self, fov: int, timestep: int) -> bool:
        """Return whether rows of a frame were stored before the run was ended."""
        return (fov, timestep) in self._told.cells

    def has_decision(self, fov: int, timestep: int, channel: str) -> bool:
        """Return whether a decision was recorded before the run was ended."""
        return (fov, timestep, channel) in self._told.decided

    def count(self, what: str) -> None:
        """Count something of which there is no line of its own."""
        with self._lock:
            self.counts[what] = self.counts.get(what, 0) + 1

    @property
    def queued_bytes(self) -> int:
        """Bytes that wait to be written."""
        return self._writer.queued_bytes

    def note(self, kind: str, **facts: Any) -> None:
        """Write one line to the journal and count it."""
        with self._lock:
            self.counts[kind] = self.counts.get(kind, 0) + 1
        if self._sink is None:
            return
        try:
            self._sink.record(kind, run_s=round(self._clock.now_s(), 6), **facts)
        except OSError as error:
            logger.exception("The journal cannot be written.")
            self._stop_once(error)
        else:
            self._sync_soon()

    def error(self, error: BackgroundError) -> None:
        """Record a failure, on disk at once."""
        with self._lock:
            if len(self.errors) < MAX_ERRORS_KEPT:
                self.errors.append(error)
        self.note(
            "error",
            fov=error.fov,
            timestep=error.timestep,
            stage=error.stage,
            exc_type=error.exc_type,
            message=error.message,
            traceback=error.traceback,
        )

    def announce(self, stacks: Sequence[Stack]) -> None:
        """Say that ``stacks`` of one moment come, before anything that is made of them.

        Labels and rows of a frame are written after its pixels, so that none tells of
        a frame that a kill has lost.
        """
        if self._sink is not None and stacks:
            self._writer.announce(_lane_of(stacks[0]), len(stacks))

    def stack(self, stack: Stack, times: Mapping[str, float]) -> None:
        """Queue raw pixels."""
        with self._lock:
            key = f"stacks_{stack.role}"
            self.counts[key] = self.counts.get(key, 0) + 1
        sink, facts, frame = self._sink, dict(times), (stack.fov, stack.timestep)
        if sink is None:
            return
        waits = stack.role is FrameRole.IMAGE

        def store() -> None:
            try:
                sink.store_stack(stack, facts)
            finally:
                with self._written:
                    self._unwritten[frame] -= waits
                    self._unwritten += Counter()
                    self._written.notify_all()

        with self._written:
            self._unwritten[frame] += waits
        self._writer.put(
            WritingJob(
                stack.pixels.nbytes,
                store,
                _lane_of(stack),
                (lambda: not self._undecided(*frame)) if waits else None,
            )
        )

    def settle(self, timeout_s: float) -> bool:
        """Wait until the images of the frame before are stored; tell whether they are.

        Those whose mask is still being computed are not waited for: pixels come after
        the mask. Where more than one frame is behind, the disk is slow: what happens
        then is a matter of the policy.
        """

        def behind() -> int:
            return sum(not self._undecided(*frame) for frame in list(self._unwritten))

        with self._written:
            if behind() > 1:
                return False
            return self._written.wait_for(lambda: not behind(), timeout_s)

    def look_again(self) -> None:
        """Begin to write pixels that waited for a decision which is there now."""
        self._writer.look_again()

    def labels(
        self, name: str, fov: int, timestep: int, labels: npt.NDArray[np.integer[Any]]
    ) -> None:
        """Queue one label image (Y, X)."""
        sink = self._sink
        if sink is not None and name not in self._told.labels.get((fov, timestep), ()):
            self._writer.put(
                WritingJob(
                    labels.nbytes,
                    lambda: sink.store_labels(name, fov, timestep, labels),
                    (fov, timestep, name),
                    after=(_pixels(fov, timestep),),
                    part_of=_parts(fov, timestep),
                )
            )

    def light(
        self, name: str, fov: int, timestep: int, mask: npt.NDArray[np.uint8]
    ) -> None:
        """Keep the mask (Y, X) that is about to fire, at once; queue its label image.

        After that it is known what fired, however the process ends.
        """
        if self._sink is None:
            return
        try:
            self._sink.keep_mask(name, fov, timestep, mask)
        except OSError as error:
            logger.exception("The mask cannot be written.")
            self._stop_once(error)
        self.labels(name, fov, timestep, mask)

    def cells(self, fov: int, timestep: int, table: CellTable) -> None:
        """Queue the rows of one frame."""
        sink = self._sink
        if sink is not None and not self.has_rows(fov, timestep):
            n_bytes = sum(column.nbytes for column in table.columns.values())
            self._writer.put(
                WritingJob(
                    n_bytes,
                    lambda: sink.store_cells(fov, timestep, table),
                    ("f", fov),
                    after=(_pixels(fov, timestep),),
                    part_of=_parts(fov, timestep),
                )
            )

    def state(self, fov: int, timestep: int, state: Mapping[str, Any] | None) -> None:
        """Queue what a FOV remembers after a frame; `frozen` already.

        It is written when all of this frame and of those before it is, also of one
        whose state is None: that has none that could be stored.
        """
        sink, lane = self._sink, ("state", fov)
        if sink is None:
            return

        def store() -> None:
            if state is not None and not self._storage_failed:
                sink.store_state(fov, {"timestep": timestep, **state})

        after = (_pixels(fov, timestep), _parts(fov, timestep))
        self._writer.put(WritingJob(0, store, lane, after=after))

    def stop_blocking(self) -> None:
        """Make nobody wait for the disk any more; what is queued is still written."""
        self._writer.stop_blocking()

    def finish(self, summary: Mapping[str, Any], timeout_s: float) -> bool:
        """Write what is queued and close the sink; return False at the deadline."""
        written = self._writer.close(timeout_s)
        if self._sink is not None and written:
            self._sink.close(summary)
        return written

    def _sync_soon(self) -> None:
        """Have a writer thread make the journal's new lines as safe as frames."""
        sink = self._sink
        with self._lock:
            queued, self._sync_queued = self._sync_queued, True
        if queued or sink is None:
            return

        def sync() -> None:
            with self._lock:
                self._sync_queued = False
            sink.sync()

        self._writer.put(WritingJob(0, sync))

    def _behind(self, queued_bytes: int) -> None:
        self.note("writing_behind", queued_bytes=queued_bytes)

    def _caught_up(self, waited_s: float) -> None:
        self.note("writing_caught_up", waited_s=round(waited_s, 3))

    def _compress_less(self, on: bool) -> None:  # noqa: FBT001  a switch
        if self._sink is not None:
            self.note("compressing_less", on=on)
            self._sink.compress_less(on)

    def _writing_failed(self, error: Exception) -> None:
        self._stop_once(error)
        self.error(BackgroundError.of(error, stage="storage"))

    def _stop_once(self, error: Exception) -> None:
        with self._lock:
            first, self._storage_failed = not self._storage_failed, True
        if first:
            self._on_storage_failure(error)


def _pixels(fov: int, timestep: int) -> tuple[int, int, FrameRole]:
    """Return the lane of the images of a frame."""
    return fov, timestep, FrameRole.IMAGE


def _parts(fov: int, timestep: int) -> tuple[str, int, int]:
    """Return the lane in which what is made of a frame counts."""
    return "parts", fov, timestep


def _lane_of(stack: Stack) -> tuple[int, int, FrameRole]:
    """Return what is written one after the other with a stack."""
    return stack.fov, stack.timestep, stack.role


def mask_sha256(mask: npt.NDArray[np.uint8] | None) -> str | None:
    """Return the SHA-256 of a mask (Y, X) uint8, None for the whole field."""
    if mask is None:
        return None
    return hashlib.sha256(mask.tobytes()).hexdigest()
