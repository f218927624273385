"""A segmenter in a worker process that is replaced when it dies or hangs."""

from __future__ import annotations

import sys
import threading
import time
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from faro.analysis.worker.memory import Planes
from faro.analysis.worker.process import (
    WorkerDiedError,
    WorkerError,
    WorkerProcess,
    WorkerTimeoutError,
)
from faro.analysis.worker.spec import spec_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from faro.model.frame import PixelArray
    from faro.protocols.analysis import Labels

_TRIES = 2
_SHAPE = (256, 256)


class InWorkerProcess:
    """Runs any segmenter in a process of its own, over shared memory.

    For models that hold the GIL, that may crash, or that you do not trust with the
    microscope's process. A worker that dies in the middle of an image is replaced and
    the image is tried again; one that hangs is killed and costs that image its
    deadline. The process ends with this one, however this one ends.

    Parameters
    ----------
    segmenter
        ``"module:Name"``, a class, a function of a module, or a segmenter that is a
        dataclass, as those of `faro.analysis.learned` are.
    parameters
        For a class: what it takes by name; JSON types.
    deadline_s
        How long one image may take, with a replacement of the worker if it died.
    start_deadline_s
        How long a worker may take to import, load its weights and warm up.
    spare
        Keep a second worker ready, so that a replacement does not have to load its
        weights. Costs the memory of the model once more.
    n_threads
        Threads of OpenMP, OpenBLAS, MKL and OpenCV in the worker.

    Attributes
    ----------
    n_tries
        How many workers may die of one image.

    Raises
    ------
    NotMovableError
        If another process could not make the segmenter.
    """

    def __init__(
        self,
        segmenter: object,
        parameters: Mapping[str, Any] | None = None,
        *,
        deadline_s: float = 10.0,
        start_deadline_s: float = 120.0,
        spare: bool = False,
        n_threads: int = 1,
    ) -> None:
        self._spec = spec_of(segmenter, parameters)
        named = isinstance(segmenter, (str, type))
        described = None if named else getattr(segmenter, "describe", None)
        self._inner: Callable[[], dict[str, Any]] | None = described
        self.deadline_s, self.start_deadline_s = deadline_s, start_deadline_s
        self.spare, self.n_threads, self.n_tries = spare, n_threads, _TRIES
        self._sys_path = tuple(sys.path)
        self._shape: tuple[int, ...] = _SHAPE
        self._turn = threading.Lock()
        self._planes = Planes()
        self._workers: list[WorkerProcess] = []
        self._started_once = False
        self._finalizer = weakref.finalize(self, _end_all, self._workers, self._planes)

    @property
    def ready(self) -> bool:
        """Whether a worker waits for an image, with its segmenter made."""
        return any(worker.ready and worker.alive for worker in list(self._workers))

    @property
    def pids(self) -> tuple[int, ...]:
        """Ids of the processes, the one at work first."""
        return tuple(worker.pid for worker in self._workers)

    def describe(self) -> dict[str, Any]:
        """Return what runs where, JSON-able, for the record."""
        own = {"component": self._spec.path, "parameters": dict(self._spec.parameters)}
        names = "deadline_s", "start_deadline_s", "spare", "n_threads"
        return {
            "component": "faro.analysis:InWorkerProcess",
            "parameters": {name: getattr(self, name) for name in names}
            | {"segmenter": own if self._inner is None else self._inner()},
        }

    def warm_up(self, image_shape: tuple[int, ...]) -> None:
        """Start the worker and have it load and warm up; returns when it is ready.

        Parameters
        ----------
        image_shape
            (Y, X) or (C, Y, X) of the images to come.

        Raises
        ------
        WorkerError
            If it cannot be started; says why.
        """
        with self._turn:
            self._shape = image_shape
            self._ready_worker(time.monotonic() + self.start_deadline_s)

    def segment(self, pixels: PixelArray, seeds: Labels | None = None, /) -> Labels:
        """Return labels (Y, X) int32 of ``pixels`` (Y, X) or (C, Y, X); any thread.

        One image at a time; the deadline runs from when it is its turn.

        Parameters
        ----------
        pixels
            The image.
        seeds
            (Y, X) int32, for a segmenter that starts from labels.

        Raises
        ------
        WorkerError
            If the image could not be done within the deadline.
        ComponentError, ContractError
            If the segmenter raised or returned rubbish.
        """
        with self._turn:
            self._shape = pixels.shape
            ends_s = time.monotonic() + self.deadline_s
            if not self._started_once:
                self._ready_worker(ends_s)
                ends_s = time.monotonic() + self.deadline_s
            where = self._planes.put(pixels, seeds)
            for last in (False,) * (self.n_tries - 1) + (True,):
                worker = self._ready_worker(ends_s)
                try:
                    worker.segment(where, ends_s - time.monotonic())
                except WorkerDiedError:
                    self._replace(worker)
                    if last:
                        raise
                except WorkerTimeoutError:
                    self._replace(worker)
                    raise
                else:
                    return self._planes.taken(pixels.shape)
            raise AssertionError  # the last try returns or raises

    def close(self) -> None:
        """End the worker. Safe to call twice; the next image starts a new one."""
        with self._turn:
            _end_all(self._workers, self._planes)

    def _ready_worker(self, ends_s: float) -> WorkerProcess:
        """Return a worker whose segmenter is made.

        The very first may take its whole start deadline; a replacement only what is
        left of the image's.
        """
        for worker in [w for w in self._workers if not w.alive or w.overdue]:
            self._drop(worker)
        while len(self._workers) < 1 + self.spare:
            self._workers.append(self._new_worker())
        worker = next((w for w in self._workers if w.ready), self._workers[0])
        limit_s = ends_s - time.monotonic()
        try:
            worker.wait_until_ready(
                limit_s if self._started_once else self.start_deadline_s
            )
        except WorkerTimeoutError:
            if worker.overdue:
                self._drop(worker)
            raise
        except WorkerError:
            self._drop(worker)
            raise
        self._started_once = True
        return worker

    def _new_worker(self) -> WorkerProcess:
        return WorkerProcess(
            self._spec,
            self._sys_path,
            self._shape,
            n_threads=self.n_threads,
            start_deadline_s=self.start_deadline_s,
        )

    def _replace(self, worker: WorkerProcess) -> None:
        """Kill a worker and start the next one, without waiting for it."""
        self._drop(worker)
        self._workers.append(self._new_worker())

    def _drop(self, worker: WorkerProcess) -> None:
        worker.end(now=True)
        with suppress(ValueError):
            self._workers.remove(worker)


def _end_all(workers: list[WorkerProcess], planes: Planes) -> None:
    while workers:
        workers.pop().end()
    planes.close()
