"""Orders from another process: authenticated, carried out, or refused in words."""

from __future__ import annotations

import json
import socket
import stat
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest
import useq
from hypothesis import given, settings
from hypothesis import strategies as st

from faro.errors import RunStateError
from faro.experiment import RTMSequence, combine
from faro.run import Controller
from faro.run.orders import NAME, Desk, Order, give_order, orders_taken, repeated
from faro.storage import OmeZarrWriter, open_run
from faro.testing.canned import CannedMicroscope

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from faro.run.handle import RunHandle


def sequence(n_timepoints: int, every_s: float = 0.05) -> RTMSequence:
    times = useq.TIntervalLoops(interval=timedelta(seconds=every_s), loops=n_timepoints)
    return RTMSequence(
        time_plan=times, channels=["a"], stage_positions=[(0, 0), (9, 0)]
    )


@contextmanager
def running(folder: Path) -> Iterator[tuple[RunHandle, CannedMicroscope]]:
    """Have a long run go on that takes orders."""
    shape = (8, 8)
    microscope = CannedMicroscope(lambda *_: np.zeros(shape, np.uint16), shape, ("a",))
    controller = Controller(microscope, writer=OmeZarrWriter(folder))
    with orders_taken(Desk(controller, microscope.go_dark, folder)):
        handle = controller.run_experiment(sequence(400), block=False)
        until(lambda: (folder / NAME).exists())
        try:
            yield handle, microscope
        finally:
            if not handle.done:
                handle.stop()
            handle.wait(20)


def until(is_so: object, within_s: float = 20.0) -> None:
    deadline = time.monotonic() + within_s
    while not is_so():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.01)


def test_every_order_is_carried_out(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with running(folder) as (handle, microscope):
        assert give_order(folder, Order(verb="pause")).problem == ""
        until(lambda: str(handle.state) == "paused")
        assert give_order(folder, Order(verb="resume")).problem == ""
        until(lambda: str(handle.state) == "running")
        assert "is not paused" in give_order(folder, Order(verb="resume")).problem
        n_before = len(open_run(folder).events)
        assert give_order(folder, Order(verb="extend", n_timepoints=3)).problem == ""
        assert len(open_run(folder).events) == n_before + 6
        assert give_order(folder, Order(verb="dark")).problem == ""
        assert "the light was switched off by hand" in microscope.dark
        until(lambda: str(handle.state) == "paused")
        assert give_order(folder, Order(verb="stop")).problem == ""
        until(lambda: handle.done)
        reply = give_order(folder, Order(verb="pause"))
        assert "no run to pause" in reply.problem
    assert not (folder / NAME).exists()
    with pytest.raises(RunStateError, match="takes no orders"):
        give_order(folder, Order(verb="stop"))
    assert open_run(folder).summary is not None


def test_who_cannot_prove_who_they_are_is_let_go(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with running(folder) as (handle, _):
        said = json.loads((folder / NAME).read_bytes())
        if sys.platform != "win32":
            assert stat.S_IMODE((folder / NAME).stat().st_mode) == 0o600
            with socket.socket(socket.AF_UNIX) as rude:
                rude.connect(said["address"])
                rude.sendall(b"\x00\x00\x00\x05hello")
        forged = json.dumps({**said, "key": "00" * 32})
        (tmp_path / NAME).write_text(forged, "utf-8")
        with pytest.raises(RunStateError, match="takes no orders"):
            give_order(tmp_path, Order(verb="stop"))
        assert not handle.done
        assert give_order(folder, Order(verb="pause")).problem == ""


@settings(max_examples=25)
@given(
    n=st.integers(1, 5),
    more=st.integers(1, 6),
    every_s=st.floats(0.1, 600.0, allow_nan=False),
)
def test_an_extension_goes_on_as_the_plan_would_have(
    n: int, more: int, every_s: float
) -> None:
    before = tuple(sequence(n + 1, every_s))
    after = combine(sequence(n + 1, every_s), repeated(before, more), axis="t")
    longer = tuple(sequence(n + 1 + more, every_s))
    assert [(e.fov, e.timestep) for e in after] == [(e.fov, e.timestep) for e in longer]
    due = [e.min_start_time for e in longer]
    assert [e.min_start_time for e in after] == pytest.approx(due, abs=1e-3)


def test_nothing_cannot_be_repeated() -> None:
    with pytest.raises(RunStateError, match="0 more"):
        repeated(tuple(sequence(2)), 0)


def test_a_run_that_cannot_take_orders_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    deep = tmp_path / ("x" * 120)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    microscope = CannedMicroscope(
        lambda *_: np.zeros((8, 8), np.uint16), (8, 8), ("a",)
    )
    controller = Controller(microscope, writer=OmeZarrWriter(tmp_path / "run"))
    with orders_taken(Desk(controller, microscope.go_dark, tmp_path / "run")):
        assert controller.run_experiment(sequence(2)).completed
    assert sys.platform == "win32" or "takes no orders" in caplog.text
    assert not list(deep.iterdir())
