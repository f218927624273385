"""A segmenter in a worker process: right labels, also when it misbehaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from faro.analysis import LocalThresholdSegmenter, OtsuSegmenter, ThresholdSegmenter
from faro.analysis.worker import (
    InWorkerProcess,
    NotMovableError,
    WorkerError,
    spec_of,
)
from faro.errors import ComponentError, ContractError
from faro.testing.movie import synthetic_stack
from faro.testing.posix import kill_hard
from faro.testing.segmenter import check_segmenter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faro.model.frame import PixelArray
    from faro.protocols.analysis import Labels

kills = pytest.mark.skipif(sys.platform == "win32", reason="kills as POSIX does")
REPLACED_S = 5.0
"""How long a replacement may take; asserted at five times that."""
ODD = '''
"""Segmenters that do what no segmenter should."""

import os, socket, sys, threading, time
from pathlib import Path

import numpy as np


class Odd:
    def __init__(self, folder, what):
        self.folder, self.what = Path(folder), what

    def segment(self, pixels):
        if self.what == "as told":
            self.what = (self.folder / "what").read_text()
            try:
                return self.segment(pixels)
            finally:
                self.what = "as told"
        (self.folder / "pid").write_text(str(os.getpid()))
        if self.what == "print":
            print("hello", flush=True)
            os.write(1, b"and more\\n")
        if self.what == "raise":
            raise ValueError("no cells today")
        if self.what == "shape":
            return np.zeros((2, 2), np.int32)
        if self.what == "fetch":
            socket.create_connection(("192.0.2.1", 80), timeout=1)
        first = self.folder / "first"
        if not first.exists() and self.what in ("die once", "hang once"):
            first.touch()
            if self.what == "die once":
                os._exit(7)
            time.sleep(600)
        if self.what == "die":
            os.write(2, b"last words\\n")
            os._exit(9)
        if self.what == "hang":
            time.sleep(600)
        return pixels > 5


class Slow:
    def __init__(self):
        raise RuntimeError("the weights are gone")
'''


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "odd_segmenters.py").write_text(ODD, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.fixture
def cells() -> PixelArray:
    pixels = synthetic_stack((96, 120), n_cells=8, seed=1)[0][0]
    return np.ascontiguousarray(pixels)


def odd(folder: Path, what: str, deadline_s: float = 20.0) -> InWorkerProcess:
    parameters = {"folder": str(folder), "what": what}
    name = "odd_segmenters:Odd"
    return InWorkerProcess(name, parameters, deadline_s=deadline_s)


@pytest.fixture(scope="module")
def otsu() -> Iterator[InWorkerProcess]:
    worker = InWorkerProcess(OtsuSegmenter(min_area_px=1))
    yield worker
    worker.close()


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    folder = tmp_path_factory.mktemp("told")
    (folder / "odd_segmenters.py").write_text(ODD, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        worker = odd(folder, "as told")
    yield Told(worker, folder / "what")
    worker.close()


@dataclass(frozen=True)
class Told:
    """A worker whose segmenter misbehaves as it is told."""

    worker: InWorkerProcess
    file: Path

    def segment(self, pixels: PixelArray, what: str) -> Labels:
        """Return labels (Y, X)."""
        self.file.write_text(what, encoding="utf-8")
        return self.worker.segment(pixels)


def gone(pid: int, within_s: float) -> bool:
    ends_s = time.monotonic() + within_s
    while time.monotonic() < ends_s:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        about = Path(f"/proc/{pid}/status")
        if about.exists() and "\nState:\tZ" in about.read_text(encoding="utf-8"):
            return True
        time.sleep(0.02)
    return False


def test_it_keeps_the_contract_of_a_segmenter(otsu: InWorkerProcess) -> None:
    check_segmenter(otsu)


def test_labels_are_those_of_the_segmenter_whatever_the_size(
    otsu: InWorkerProcess,
) -> None:
    for shape in ((64, 64), (200, 300), (17, 31)):
        pixels = np.ascontiguousarray(synthetic_stack(shape, n_cells=2, seed=3)[0][0])
        labels = otsu.segment(pixels)
        assert labels.dtype == np.int32
        expected = OtsuSegmenter(min_area_px=1).segment(pixels)
        np.testing.assert_array_equal(labels, expected)


def test_earlier_labels_do_not_change_with_the_next_image(
    otsu: InWorkerProcess, cells: PixelArray
) -> None:
    first = otsu.segment(cells)
    before = first.copy()
    otsu.segment(np.ascontiguousarray(cells[::-1]))
    np.testing.assert_array_equal(first, before)


def test_what_a_library_prints_is_no_answer(told: Told, cells: PixelArray) -> None:
    assert told.segment(cells, "print").max() > 0


def test_a_segmenter_that_raises_is_told_and_goes_on(
    told: Told, cells: PixelArray
) -> None:
    with pytest.raises(ComponentError, match="Odd raised ValueError: no cells today"):
        told.segment(cells, "raise")
    before = told.worker.pids
    assert told.segment(cells, "print").max() > 0
    assert told.worker.pids == before


def test_rubbish_is_refused_by_name(told: Told, cells: PixelArray) -> None:
    with pytest.raises(ContractError, match=r"Odd returned an array of shape \(2, 2\)"):
        told.segment(cells, "shape")


def test_nothing_is_fetched_in_a_worker(told: Told, cells: PixelArray) -> None:
    with pytest.raises(ComponentError, match="wanted to reach the network"):
        told.segment(cells, "fetch")


def test_an_image_whose_worker_dies_is_done_by_the_next(
    folder: Path, cells: PixelArray
) -> None:
    worker = odd(folder, "die once", deadline_s=5 * REPLACED_S)
    labels = worker.segment(cells)
    np.testing.assert_array_equal(labels > 0, cells > 5)
    worker.close()


@kills
def test_a_worker_killed_between_two_images_costs_no_image(
    otsu: InWorkerProcess, cells: PixelArray
) -> None:
    expected = otsu.segment(cells)
    kill_hard(otsu.pids[0])
    began_s = time.monotonic()
    np.testing.assert_array_equal(otsu.segment(cells), expected)
    assert time.monotonic() - began_s < 5 * REPLACED_S


@kills
def test_a_hung_worker_costs_one_image_its_deadline_and_is_replaced(
    folder: Path, cells: PixelArray
) -> None:
    worker = odd(folder, "hang once", deadline_s=1.0)
    worker.warm_up(cells.shape)
    hung = worker.pids[0]
    began_s = time.monotonic()
    with pytest.raises(WorkerError, match=r"took over 1\.0 s to segment an image"):
        worker.segment(cells)
    assert time.monotonic() - began_s < 5 * 1.0
    assert gone(hung, 1.0)
    worker.deadline_s = 5 * REPLACED_S
    np.testing.assert_array_equal(worker.segment(cells) > 0, cells > 5)
    worker.close()


def test_an_image_that_kills_every_worker_is_given_up_with_their_last_words(
    folder: Path, cells: PixelArray
) -> None:
    worker = odd(folder, "die")
    with pytest.raises(WorkerError, match=r"exit code 9.*last words"):
        worker.segment(cells)
    worker.close()


@kills
def test_a_spare_worker_takes_over_at_once(cells: PixelArray) -> None:
    worker = InWorkerProcess(ThresholdSegmenter(500), spare=True)
    worker.warm_up(cells.shape)
    first, second = worker.pids
    worker.segment(cells)
    kill_hard(first)
    worker.segment(cells)
    assert second in worker.pids
    assert len(worker.pids) == 2
    worker.close()
    assert gone(second, 1.0)


def test_what_cannot_be_made_is_said_when_it_warms_up(folder: Path) -> None:
    worker = InWorkerProcess("odd_segmenters:Slow")
    with pytest.raises(WorkerError, match="Slow raised RuntimeError: the weights are"):
        worker.warm_up((8, 8))
    missing = InWorkerProcess("odd_segmenters:Nothing")
    with pytest.raises(WorkerError, match="'odd_segmenters:Nothing' does not load"):
        missing.warm_up((8, 8))
    assert folder.is_dir()


def test_several_threads_share_one_worker(cells: PixelArray) -> None:
    worker = InWorkerProcess(LocalThresholdSegmenter())
    expected = LocalThresholdSegmenter().segment(cells)
    found: list[bool] = []

    def ask() -> None:
        found.append(np.array_equal(worker.segment(cells), expected))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 4
    assert len(worker.pids) == 1
    worker.close()


@kills
def test_a_segmenter_that_nobody_has_any_more_takes_its_worker_along(
    cells: PixelArray,
) -> None:
    worker = InWorkerProcess(ThresholdSegmenter(500))
    worker.segment(cells)
    pid = worker.pids[0]
    del worker
    assert gone(pid, 5.0)


PARENT = """
import sys, time
import numpy as np
sys.path.insert(0, sys.argv[1])
from faro.analysis.worker import InWorkerProcess
worker = InWorkerProcess("odd_segmenters:Odd", dict(folder=sys.argv[1], what="hang"))
worker.warm_up((8, 8))
print("ready", flush=True)
worker.segment(np.zeros((8, 8), np.uint16))
"""


@kills
def test_the_worker_dies_with_its_killed_parent_in_the_middle_of_an_image(
    folder: Path,
) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"ready\n"
        while not (folder / "pid").exists() or not (folder / "pid").read_text():
            time.sleep(0.02)
        parent.kill()
    assert gone(int((folder / "pid").read_text(encoding="utf-8")), 5.0)


@dataclass
class Pathed:
    """A segmenter with a parameter that is no JSON."""

    where: Path

    def segment(self, pixels: PixelArray) -> PixelArray:
        """Return (Y, X) labels."""
        return pixels


def test_what_another_process_cannot_make_is_refused_at_once() -> None:
    with pytest.raises(NotMovableError, match=r"where \((Posix|Windows)Path\)"):
        spec_of("a:B", {"where": Path("x")})
    with pytest.raises(NotMovableError, match="cannot import"):
        spec_of(lambda pixels: pixels)
    with pytest.raises(NotMovableError, match="does not name a segmenter"):
        spec_of("no path")
    with pytest.raises(NotMovableError, match="it is an object"):
        spec_of(object())


def test_it_says_what_runs_where_for_the_record(otsu: InWorkerProcess) -> None:
    told = otsu.describe()
    json.dumps(told)
    assert told["component"] == "faro.analysis:InWorkerProcess"
    inner = told["parameters"]["segmenter"]
    assert inner["component"] == "faro.analysis.segmentation:OtsuSegmenter"
    assert inner["parameters"] == {"sigma_px": 1.0, "min_area_px": 1}
