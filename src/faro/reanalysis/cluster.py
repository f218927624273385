"""Tasks on a cluster, through dask.distributed; the extra ``dask``.

Workers need the same FARO and see the same disk under the same paths. A task that lost
its worker is given to another one, three times.
"""

from __future__ import annotations

from typing import Any, Final

from faro.errors import MissingExtraError
from faro.reanalysis.engines import EngineError
from faro.reanalysis.task import Outcome, Task, attempt

CONNECT_S: Final = 30.0
SPARE: Final = 2
"""Tasks for each worker, so that none waits for the next one."""


class DaskCluster:
    """A dask scheduler and its workers, started by whatever the lab uses.

    Parameters
    ----------
    scheduler
        Its address, like ``"tcp://host:8786"``, the path of a scheduler file, or a
        cluster object, such as a ``LocalCluster`` or a ``SLURMCluster``.
    connect_s
        How long it may take to answer.

    Raises
    ------
    EngineError
        If it does not answer.
    MissingExtraError
        If dask.distributed is not installed.
    """

    def __init__(self, scheduler: Any, *, connect_s: float = CONNECT_S) -> None:
        try:
            from distributed import Client, as_completed  # noqa: PLC0415  optional
        except ImportError as error:
            library = "distributed"
            raise MissingExtraError(library, extra="dask") from error
        said = isinstance(scheduler, str) and scheduler.endswith(".json")
        where = {"scheduler_file": scheduler} if said else {"address": scheduler}
        try:
            self._client = Client(**where, timeout=connect_s)
        except (OSError, TimeoutError, ValueError) as error:
            problem = f"The dask scheduler {scheduler} does not answer: {error}."
            raise EngineError(
                problem, remedy="Start it, or check the address."
            ) from error
        self._done = as_completed(with_results=False)
        self._tasks: dict[str, Task] = {}

    @property
    def slots(self) -> int:
        """Twice as many as there are threads on all workers now."""
        threads: dict[str, int] = self._client.nthreads()
        return SPARE * max(1, sum(threads.values()))

    def wait_for_workers(self, n_workers: int) -> None:
        """Return when so many workers are there; those that come later are used too."""
        self._client.wait_for_workers(n_workers)

    def start(self, task: Task, /) -> None:
        """Take a task."""
        key = f"faro {task.name} {task.address[:12]} {len(self._tasks)}"
        self._tasks[key] = task
        self._done.add(self._client.submit(attempt, task, key=key, pure=False))

    def next_done(self) -> Outcome:
        """Wait for one of the tasks."""
        future = next(self._done)
        task = self._tasks.pop(future.key)
        try:
            outcome: Outcome = future.result()
        except Exception as error:  # noqa: BLE001  a worker was lost, again and again
            return Outcome(task, error=f"{type(error).__name__}: {error}")
        return outcome

    def close(self) -> None:
        """Leave the cluster; what was not begun is dropped."""
        if self._client.status != "closed":
            self._done.clear()
            self._client.close()
