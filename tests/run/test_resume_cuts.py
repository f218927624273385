"""A run that is cut off at any line of its journal goes on from there."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from faro.run import Controller
from faro.run.clock import RunClock
from faro.run.recorder import Recorder
from faro.storage import open_run, verify
from faro.testing.cut_runs import Abandoned, cut_to, pipeline, same, scope
from faro.testing.discs import disc_sequence
from faro.testing.memory import MemorySink

if TYPE_CHECKING:
    from pathlib import Path

    from faro.microscope.dmd import DMD


@pytest.mark.parametrize(
    ("mode", "needs", "cuts"),
    [
        ("current", ("tracks",), 7),
        ("previous", ("image",), 5),
        ("interleaved", ("tracks",), 4),
        pytest.param("previous", ("tracks",), 40, marks=pytest.mark.long),
        pytest.param("current", ("image",), 40, marks=pytest.mark.long),
        pytest.param("interleaved", ("tracks",), 40, marks=pytest.mark.long),
    ],
)
def test_wherever_the_journal_ends_the_run_goes_on_from_there(
    tmp_path: Path, dmd: DMD, mode: str, needs: tuple[str, ...], cuts: int
) -> None:
    whole = tmp_path / "whole"
    writer = Abandoned(whole)
    events = disc_sequence(4, 2)
    Controller(scope(dmd), pipeline(needs), writer=writer).run_experiment(
        events, stim_mode=mode
    )
    n_lines = len(open_run(whole).journal)
    planned = {(t, p) for t in range(1, 4) for p in range(2)}
    for n in range(0, n_lines, max(1, n_lines // cuts)):
        path = tmp_path / f"cut-{n}"
        lines = cut_to(whole, path, n)
        microscope = scope(dmd)
        summary = Controller(microscope, pipeline(needs)).resume(path)
        assert summary.completed
        assert (summary.n_stacks, summary.n_errors) == (8, 0)
        armed = {(x["timestep"], x["fov"]) for x in lines if x["kind"] == "stim_armed"}
        fired = Counter((f.timestep, f.fov) for f in microscope.fired)
        assert set(fired.values()) <= {1}
        assert not armed & set(fired)
        assert armed | set(fired) == planned
        run = open_run(path)
        same(open_run(whole), run)
        assert verify(path) == []
        unsure = [x for x in run.journal if x["kind"] == "stim_unconfirmed"]
        told = {
            (x["timestep"], x["fov"]) for x in lines if x["kind"] == "stim_confirmed"
        }
        assert {(x["timestep"], x["fov"]) for x in unsure} == armed - told


class Delayed(Abandoned):
    """Stores the labels of fov 0, t 1 after all of the last frame."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._last = threading.Event()

    def store_labels(self, name: str, fov: int, timestep: int, labels: Any) -> None:
        if (name, fov, timestep) == ("nuclei", 0, 1):
            assert self._last.wait(10.0)
        super().store_labels(name, fov, timestep, labels)
        if (name, fov, timestep) == ("tracks", 0, 3):
            self._last.set()


def test_a_state_that_is_ahead_of_the_journal_does_not_count(
    tmp_path: Path, dmd: DMD
) -> None:
    whole = tmp_path / "whole"
    Controller(scope(dmd), pipeline(), writer=Delayed(whole)).run_experiment(
        disc_sequence(4, 1)
    )
    lines = open_run(whole).journal
    late = next(
        n
        for n, line in enumerate(lines)
        if (line.get("name"), line.get("timestep")) == ("nuclei", 1)
    )
    for power in (False, True):
        path = tmp_path / f"cut-{power}"
        cut_to(whole, path, late, power=power)
        assert Controller(scope(dmd), pipeline()).resume(path).n_errors == 0
        same(open_run(whole), open_run(path))


def test_a_state_waits_for_what_a_frame_without_one_gave(tmp_path: Path) -> None:
    go_on, labels = threading.Event(), np.zeros((2, 2), np.int32)

    class Slow(MemorySink):
        def store_labels(self, name: str, fov: int, timestep: int, labels: Any) -> None:
            assert go_on.wait(10.0)
            super().store_labels(name, fov, timestep, labels)

        def store_state(self, fov: int, state: Any) -> None:
            super().store_state(fov, {"stored": set(self.labels), **state})

    sink = Slow(tmp_path)
    recorder = Recorder(sink, RunClock(), lambda error: pytest.fail(str(error)))
    recorder.labels("nuclei", 0, 1, labels)
    recorder.state(0, 1, None)
    recorder.state(0, 2, {"n": 2})
    threading.Timer(0.05, go_on.set).start()
    assert recorder.finish({}, 10.0)
    assert sink.states == {0: {"stored": {("nuclei", 0, 1)}, "timestep": 2, "n": 2}}
