"""Whoever computes, the results are the same; who dies takes nothing along."""

from __future__ import annotations

import random
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from distributed import LocalCluster

import faro
from faro.reanalysis import LocalProcesses, Serial, reanalyze
from faro.reanalysis.cluster import DaskCluster
from faro.reanalysis.engines import EngineError
from faro.run.differences import differences
from faro.storage import verify
from faro.testing.posix import kill_group_hard

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.reanalysis.conftest import Lab

    from faro.reanalysis import Engine

N_FOVS = 3
TRIES = 3


@pytest.fixture(scope="module")
def expected(recording: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return what one process makes of the recording."""
    from tests.reanalysis.conftest import Lab

    folder = tmp_path_factory.mktemp("expected")
    return reanalyze(recording, Lab(folder).said(), folder / "out").path


@contextmanager
def engine_of(name: str) -> Iterator[Engine]:
    if name == "serial":
        yield Serial()
    elif name == "processes":
        yield LocalProcesses(2)
    else:
        with LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None
        ) as cluster:
            yield DaskCluster(cluster)


@pytest.mark.parametrize("name", ["serial", "processes", "dask"])
def test_an_engine_gives_the_same_results(
    name: str, recording: Path, expected: Path, lab: Lab, tmp_path: Path
) -> None:
    with engine_of(name) as engine:
        done = reanalyze(recording, lab.said(), tmp_path / "out", engine=engine)
    assert done.completed
    assert done.computed == {"segment": N_FOVS, "follow": N_FOVS}
    runs = faro.open_run(done.path), faro.open_run(expected)
    assert not list(differences(*runs))


def test_a_process_that_dies_once_costs_nothing(
    recording: Path, lab: Lab, tmp_path: Path
) -> None:
    file = lab.said(features=lab.feature("Deadly", once=True))
    done = reanalyze(recording, file, tmp_path / "out", engine=LocalProcesses(2))
    assert done.completed
    assert (tmp_path / "died").exists()
    cells = faro.open_run(done.path).cells
    assert cells["alive"].tolist() == cells["area"].tolist()


@pytest.mark.long
def test_a_task_that_kills_every_process_is_given_up_alone(
    recording: Path, lab: Lab, tmp_path: Path
) -> None:
    file = lab.said(features=lab.feature("Deadly"))
    done = reanalyze(recording, file, tmp_path / "out", engine=LocalProcesses(2))
    assert list(done.failed) == [1]
    assert "its process died" in done.failed[1]
    run = faro.open_run(done.path)
    assert set(run.cells["fov"].tolist()) == {0, 2}
    assert run.labels("nuclei", 1, 0).max() > 0


def test_no_workers_and_no_scheduler_are_refused() -> None:
    with pytest.raises(EngineError, match="0 workers"):
        LocalProcesses(0)
    with pytest.raises(EngineError, match="does not answer"):
        DaskCluster(f"tcp://127.0.0.1:{_free_port()}", connect_s=0.5)


@pytest.mark.long
def test_a_cluster_may_lose_a_worker(
    recording: Path, expected: Path, lab: Lab, tmp_path: Path
) -> None:
    where = f"tcp://127.0.0.1:{_free_port()}"
    file = lab.said(features=lab.ratio + lab.feature("Deadly", once=True))
    port = where.rpartition(":")[2]
    with (
        _started("scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard"),
        _started("worker", where, "--nthreads", "1", "--no-nanny", "--no-dashboard"),
        _started("worker", where, "--nthreads", "1", "--no-nanny", "--no-dashboard"),
    ):
        engine = DaskCluster(where)
        engine.wait_for_workers(2)
        done = reanalyze(recording, file, tmp_path / "out", engine=engine)
    assert (tmp_path / "died").exists()
    assert done.completed
    run = faro.open_run(done.path)
    there = [d for d in differences(run, faro.open_run(expected)) if d.fov >= 0]
    assert {d.stage for d in there} == {"features/alive"}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _started(*words: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a part of dask in a process of its own."""
    command = [sys.executable, "-m", "distributed.cli." + f"dask_{words[0]}"]
    process = subprocess.Popen(
        [*command, *words[1:]], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


def killed_and_begun_again(
    recording: Path, file: Path, out: Path, *, after_s: list[float], workers: int = 1
) -> int:
    """Kill a re-analysis after some times, then let it end; return the kills."""
    command = [sys.executable, "-m", "faro", "reanalyze", str(recording)]
    command += ["-o", str(out), "--pipeline", str(file), "--workers", str(workers)]
    kills = 0
    for wait_s in [*after_s, None]:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        if wait_s is None:
            output, _ = process.communicate(timeout=120)
            assert process.returncode == 0, output.decode()
            return kills
        time.sleep(wait_s)
        if process.poll() is not None:
            break
        kill_group_hard(process.pid)
        process.communicate()
        kills += 1
        if out.exists():  # it was complete a moment before
            break
    return kills


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.long)])
def test_killed_at_any_moment_it_goes_on(
    workers: int, recording: Path, expected: Path, lab: Lab, tmp_path: Path
) -> None:
    rng = random.Random(workers)
    after_s = [rng.uniform(0.6, 1.4) for _ in range(TRIES)]
    out, file = tmp_path / "out", lab.said()
    killed_and_begun_again(recording, file, out, after_s=after_s, workers=workers)
    assert not list(differences(faro.open_run(out), faro.open_run(expected)))
    assert not verify(out)
