"""Several worker processes for one segmenter, so that images are done side by side."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from faro.analysis.worker.process import WorkerDiedError
from faro.analysis.worker.segmenter import InWorkerProcess

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faro.model.frame import PixelArray
    from faro.protocols.analysis import Labels

logger = logging.getLogger(__name__)

_TRIES = 3
"""How many processes may die of one image."""


class WorkerProcesses:
    """Runs a segmenter in processes, over shared memory, one image in each.

    A process that dies costs nothing: its image is done by another one. One that
    hangs is killed and costs its image the deadline. Meanwhile a spare process takes
    what comes, so that nobody waits for the replacement to start.

    Parameters
    ----------
    segmenter
        As for `InWorkerProcess`.
    n_processes
        Images that are done at a time; one process more is kept as a spare.
    parameters
        As for `InWorkerProcess`.
    deadline_s, start_deadline_s
        As for `InWorkerProcess`.

    Raises
    ------
    NotMovableError
        If another process could not make the segmenter.
    """

    def __init__(
        self,
        segmenter: object,
        n_processes: int,
        parameters: Mapping[str, Any] | None = None,
        *,
        deadline_s: float = 10.0,
        start_deadline_s: float = 120.0,
    ) -> None:
        self._segmenter = segmenter
        self._all = [
            InWorkerProcess(
                segmenter,
                parameters,
                deadline_s=deadline_s,
                start_deadline_s=start_deadline_s,
            )
            for _ in range(n_processes + 1)
        ]
        for worker in self._all:
            worker.n_tries = 1  # another process does it
        self._idle = list(self._all)
        self._changed = threading.Condition()
        self._starting = threading.Lock()
        self._started = False

    @property
    def segmenter(self) -> object:
        """What runs in the processes."""
        return self._segmenter

    @property
    def pids(self) -> tuple[int, ...]:
        """Ids of all processes."""
        return tuple(pid for worker in self._all for pid in worker.pids)

    @property
    def n_ready(self) -> int:
        """Processes that wait for an image, with their segmenter made."""
        return sum(worker.ready for worker in self._all)

    @property
    def deadline_s(self) -> float:
        """How long one image may take."""
        return self._all[0].deadline_s

    @deadline_s.setter
    def deadline_s(self, deadline_s: float) -> None:
        for worker in self._all:
            worker.deadline_s = deadline_s

    def warm_up(self, image_shape: tuple[int, ...]) -> None:
        """Start all processes and have them warm up; returns when all are ready.

        Parameters
        ----------
        image_shape
            (Y, X) or (C, Y, X) of the images to come.

        Raises
        ------
        WorkerError
            If one cannot be started; says why.
        """
        errors: list[Exception] = []

        def start(worker: InWorkerProcess) -> None:
            try:
                worker.warm_up(image_shape)
            except Exception as error:  # noqa: BLE001  raised again by the caller
                errors.append(error)

        threads = [threading.Thread(target=start, args=(w,)) for w in self._all]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]
        self._started = True

    def segment(self, pixels: PixelArray, seeds: Labels | None = None, /) -> Labels:
        """Return labels (Y, X) int32 of ``pixels`` (Y, X) or (C, Y, X); any thread.

        The first call starts the processes. As for `InWorkerProcess`.
        """
        with self._starting:
            if not self._started:
                self.warm_up(pixels.shape)
        for _ in range(_TRIES - 1):
            with suppress(WorkerDiedError):
                return self._asked(pixels, seeds)
        return self._asked(pixels, seeds)

    def _asked(self, pixels: PixelArray, seeds: Labels | None) -> Labels:
        """Return labels (Y, X) int32 from the next process."""
        worker = self._taken()
        try:
            return worker.segment(pixels, seeds)
        finally:
            self._give_back(worker)
            self._mend(pixels.shape)

    def close(self) -> None:
        """End the processes. Safe to call twice; the next image starts new ones."""
        for worker in self._all:
            worker.close()
        self._started = False

    def _taken(self) -> InWorkerProcess:
        """Return an idle process, one that is ready if there is one."""
        with self._changed:
            self._changed.wait_for(lambda: self._idle)
            worker = self._next()
            self._idle.remove(worker)
            return worker

    def _give_back(self, worker: InWorkerProcess) -> None:
        with self._changed:
            self._idle.append(worker)
            self._changed.notify()

    def _mend(self, shape: tuple[int, ...]) -> None:
        """Have processes that died or were killed replaced, each on a thread."""
        with self._changed:
            broken = [worker for worker in self._idle if not worker.ready]
            self._idle = [worker for worker in self._idle if worker.ready]
        for worker in broken:
            what = partial(self._replace, worker, shape)
            threading.Thread(target=what, name="faro-mending", daemon=True).start()

    def _replace(self, worker: InWorkerProcess, shape: tuple[int, ...]) -> None:
        try:
            worker.warm_up(shape)
        except Exception:  # the next image tries again, and tells
            logger.exception("A worker process was not replaced.")
        finally:
            self._give_back(worker)

    def _next(self) -> InWorkerProcess:
        """Return the idle process that is ready, else the one that is longest."""
        return next((w for w in self._idle if w.ready), self._idle[0])
