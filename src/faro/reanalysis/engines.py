"""Who carries out the tasks: this process, or processes on this machine.

An engine takes tasks and says what became of each, in whatever order. It knows nothing
of stages. `faro.reanalysis.cluster` has one for dask.
"""

from __future__ import annotations

import multiprocessing
from collections import deque
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Final, Protocol

from faro.errors import FaroError
from faro.reanalysis.task import Outcome, Task, attempt

MOST_DEATHS: Final = 2
"""How often a task may kill the process that has nothing else to do."""


class Engine(Protocol):
    """Carries out tasks; used by one thread."""

    @property
    def slots(self) -> int:
        """How many tasks it can be given before the first is done."""
        ...

    def start(self, task: Task, /) -> None:
        """Take a task."""
        ...

    def next_done(self) -> Outcome:
        """Wait for one of the tasks and return what became of it."""
        ...

    def close(self) -> None:
        """Drop what is not begun and end; safe to call twice."""
        ...


class EngineError(FaroError, RuntimeError):
    """An engine cannot be had as asked for."""


class Serial:
    """One task after the other, in this process."""

    slots: Final = 1

    def __init__(self) -> None:
        self._waiting: deque[Task] = deque()

    def start(self, task: Task, /) -> None:
        """Take a task."""
        self._waiting.append(task)

    def next_done(self) -> Outcome:
        """Carry out the next task."""
        return attempt(self._waiting.popleft())

    def close(self) -> None:
        """Drop what waits."""
        self._waiting.clear()


class LocalProcesses:
    """Processes on this machine, with one thread of each library.

    A process that dies takes no other task with it: each of those that were under way
    is then tried alone, so that the guilty one is known. A script that uses it needs
    ``if __name__ == "__main__":``, as always with processes on Windows.

    Parameters
    ----------
    n_workers
        Processes.

    Raises
    ------
    EngineError
        If there are none.
    """

    def __init__(self, n_workers: int) -> None:
        if n_workers < 1:
            problem = f"{n_workers} workers cannot do anything."
            raise EngineError(problem, remedy="Give 1 or more.")
        self._n_workers = n_workers
        self._pool: ProcessPoolExecutor | None = None
        self._running: dict[Future[Outcome], Task] = {}
        self._waiting: deque[Task] = deque()
        self._suspects: deque[Task] = deque()
        self._n_deaths = 0

    @property
    def slots(self) -> int:
        """One more than there are processes, so that none waits for the next task."""
        return self._n_workers + 1

    def start(self, task: Task, /) -> None:
        """Take a task."""
        self._waiting.append(task)
        self._fill()

    def next_done(self) -> Outcome:
        """Wait for one of the tasks."""
        while True:
            self._fill()
            done, _ = wait(self._running, return_when=FIRST_COMPLETED)
            future = next(iter(done))
            if isinstance(future.exception(), BrokenProcessPool):
                if (guilty := self._after_a_death()) is not None:
                    return guilty
                continue
            task = self._running.pop(future)
            if self._suspects and self._suspects[0] is task:
                self._suspects.popleft()
                self._n_deaths = 0
            return future.result()

    def close(self) -> None:
        """End the processes; a task that is under way is left undone."""
        pool, self._pool = self._pool, None
        self._running.clear()
        self._waiting.clear()
        if pool is None:
            return
        alive = list((pool._processes or {}).values())  # noqa: SLF001  no public way
        for process in alive:
            process.terminate()
        pool.shutdown(wait=True, cancel_futures=True)

    def _fill(self) -> None:
        """Give tasks to processes; where one is suspect, it alone."""
        if self._suspects:
            if not self._running:
                self._submit(self._suspects[0])
            return
        while self._waiting and len(self._running) < self.slots:
            self._submit(self._waiting.popleft())

    def _submit(self, task: Task) -> None:
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self._n_workers, mp_context=context)
        self._running[self._pool.submit(attempt, task)] = task

    def _after_a_death(self) -> Outcome | None:
        """Sort who was under way; return the task that kills every process."""
        lost = [f for f in self._running if f.done() and f.exception() is not None]
        tasks = [self._running.pop(future) for future in lost]
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None
        if not self._suspects:
            self._suspects.extend(tasks)
            return None
        self._n_deaths += 1
        if self._n_deaths < MOST_DEATHS:
            return None
        self._n_deaths = 0
        guilty = self._suspects.popleft()
        return Outcome(guilty, error=f"its process died {MOST_DEATHS + 1} times")
