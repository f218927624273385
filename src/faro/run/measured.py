"""How long a position took in a run: what batching needs to know."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from faro.errors import StorageError
from faro.model import FrameRole

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from faro.storage import Run

MOST = 0.95
"""The share of the visits that took no longer."""


def time_per_fov_s(run: Run) -> float:
    """Return how long one position took at one timepoint of a stored run, seconds.

    From its images to those of the next position, which was due already and did not
    wait: stage, images, analysis and light are in it. 95 of 100 visits took no
    longer. For `faro.experiment.check_fov_batching` and ``[batching]`` in a file.

    Parameters
    ----------
    run
        A run of ours with several positions, finished or not.

    Raises
    ------
    StorageError
        If no position of a timepoint followed another at once.
    """
    visits_s = list(_visits_s(run.journal))
    if not visits_s:
        problem = f"{run.path} does not tell how long a position takes."
        remedy = "Give a run with several positions at the same timepoint."
        raise StorageError(problem, remedy=remedy)
    return float(np.quantile(visits_s, MOST))


def _visits_s(journal: Iterable[Mapping[str, Any]]) -> Iterator[float]:
    """Yield the seconds between positions of a timepoint that follow at once."""
    rounds: dict[int, dict[int, tuple[float, float]]] = defaultdict(dict)
    for line in journal:
        if line["kind"] == "frame" and line["role"] == FrameRole.IMAGE:
            times_s = line["planned_s"], line["acquired_s"]
            rounds[line["timestep"]].setdefault(line["fov"], times_s)
    for visits in rounds.values():
        in_order = sorted(visits.values(), key=itemgetter(1))
        for (_, before_s), (planned_s, acquired_s) in pairwise(in_order):
            if planned_s <= before_s:
                yield acquired_s - before_s
