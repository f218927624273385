"""Worker processes side by side: none that is killed or hangs costs more than said."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from faro.analysis import OtsuSegmenter, SeededSegmenter, WorkerError, WorkerProcesses
from faro.testing.movie import synthetic_stack
from faro.testing.posix import halt, kill_hard

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faro.model.frame import PixelArray

kills = pytest.mark.skipif(sys.platform == "win32", reason="kills as POSIX does")
REPLACED_S = 5.0
"""How long a replacement may take; asserted at five times that."""


@pytest.fixture(scope="module")
def cells() -> PixelArray:
    return np.ascontiguousarray(synthetic_stack((96, 120), n_cells=8, seed=1)[0][0])


@pytest.fixture(scope="module")
def pool(cells: PixelArray) -> Iterator[WorkerProcesses]:
    made = WorkerProcesses(OtsuSegmenter(), 1, deadline_s=5 * REPLACED_S)
    made.warm_up(cells.shape)
    yield made
    made.close()


def wait_for_all(pool: WorkerProcesses, n: int) -> float:
    """Return after how many seconds so many processes are ready."""
    began_s = time.monotonic()
    while pool.n_ready < n:
        assert time.monotonic() - began_s < 5 * REPLACED_S
        time.sleep(0.02)
    return time.monotonic() - began_s


def test_images_of_several_threads_are_done_side_by_side(
    pool: WorkerProcesses, cells: PixelArray
) -> None:
    expected, found = OtsuSegmenter().segment(cells), []

    def ask() -> None:
        found.append(np.array_equal(pool.segment(cells), expected))

    threads = [threading.Thread(target=ask) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 5
    assert len(set(pool.pids)) == 2


def test_a_segmenter_in_a_process_starts_from_labels(cells: PixelArray) -> None:
    nuclei = OtsuSegmenter().segment(cells)
    made = WorkerProcesses(SeededSegmenter(), 1)
    expected = SeededSegmenter().segment(cells, nuclei)
    np.testing.assert_array_equal(made.segment(cells, nuclei), expected)
    made.close()


@kills
def test_a_killed_process_costs_no_image_and_is_replaced(
    pool: WorkerProcesses, cells: PixelArray
) -> None:
    expected, before = OtsuSegmenter().segment(cells), set(pool.pids)
    for pid in before:
        kill_hard(pid)
    np.testing.assert_array_equal(pool.segment(cells), expected)
    wait_for_all(pool, 2)
    assert not before & set(pool.pids)


@kills
def test_a_hung_process_costs_its_image_and_the_next_waits_for_nothing(
    pool: WorkerProcesses, cells: PixelArray
) -> None:
    wait_for_all(pool, 2)
    expected, hung = OtsuSegmenter().segment(cells), pool._next().pids[0]
    halt(hung)
    pool.deadline_s = 0.5
    with pytest.raises(WorkerError, match=r"took over 0\.5 s to segment an image"):
        pool.segment(cells)
    np.testing.assert_array_equal(pool.segment(cells), expected)
    pool.deadline_s = 5 * REPLACED_S
    assert hung not in pool.pids
    wait_for_all(pool, 2)
