"""However a run in the host ends, the client is told, and does not wait for ever."""

from __future__ import annotations

import threading
from multiprocessing import Pipe
from typing import TYPE_CHECKING

import pytest

from faro.errors import HardwareError
from faro.microscope.abstract import RunThread
from faro.microscope.host import messages as say
from faro.microscope.host.ending import Ending
from faro.microscope.host.relay import LogRelay
from faro.microscope.host.service import Service
from faro.microscope.host.wire import Channel
from faro.testing.devices import DiaryMicroscope

if TYPE_CHECKING:
    from collections.abc import Iterator

    from useq import MDAEvent

WAIT_S = 20.0


class UnjoinableThread(RunThread):
    """A thread that cannot be waited for."""

    def join(self, timeout: float | None = None) -> None:
        super().join(timeout)
        problem = "no memory to wait with"
        raise MemoryError(problem)


class SilentError(Exception):
    """An error that cannot even be printed."""

    def __str__(self) -> str:
        raise ValueError


class Rig(DiaryMicroscope):
    """Takes nothing; its acquisition ends as told."""

    thread: RunThread

    def run_mda(self, events: Iterator[MDAEvent], /) -> RunThread:  # noqa: ARG002
        self.thread.start()
        return self.thread


class Pair:
    """A service in this process, and the client's ends of its connections."""

    def __init__(self, microscope: DiaryMicroscope) -> None:
        (here_c, there_c), (here_r, there_r) = Pipe(), Pipe()
        self.calls: Channel[say.Answer] = Channel(here_c, say.ANSWERS)
        self.runs: Channel[say.Told] = Channel(here_r, say.TOLD)
        self.ended = threading.Event()
        calls: Channel[say.Request] = Channel(there_c, say.REQUESTS)
        runs: Channel[say.Fed] = Channel(there_r, say.FED)
        ending = Ending(WAIT_S, lambda _: self.ended.set())
        self.service = Service(calls, runs, ending, LogRelay(calls))
        self.service.take(microscope)
        self._server = threading.Thread(target=self.service.serve, daemon=True)
        self._server.start()

    def ask_for_run(self, number: int) -> say.Reply:
        self.calls.send(say.RunMda(id=number, run=number))
        while True:
            answer, _ = self.calls.receive()
            if isinstance(answer, say.Reply):
                return answer

    def finished(self) -> say.Finished:
        assert self.runs.ready(WAIT_S), "nobody said that the run has ended"
        message, _ = self.runs.receive()
        assert isinstance(message, say.Finished)
        return message

    def close(self) -> None:
        self.calls.close()
        assert self.ended.wait(WAIT_S)
        self._server.join(WAIT_S)


@pytest.fixture
def rig() -> Iterator[Rig]:
    with Rig() as one:
        yield one


@pytest.fixture
def pair(rig: Rig) -> Iterator[Pair]:
    one = Pair(rig)
    yield one
    one.close()


def test_an_error_while_the_run_is_followed_is_told(rig: Rig, pair: Pair) -> None:
    rig.thread = UnjoinableThread(target=lambda: None)
    assert pair.ask_for_run(1).error is None
    last = pair.finished()
    assert last.run == 1
    assert last.error is not None
    assert last.error.problem == "MemoryError: no memory to wait with"


def test_the_next_run_can_be_had_after_that(rig: Rig, pair: Pair) -> None:
    rig.thread = UnjoinableThread(target=lambda: None)
    pair.ask_for_run(1)
    pair.finished()
    rig.thread = RunThread(target=lambda: None)
    assert pair.ask_for_run(2).error is None
    last = pair.finished()
    assert (last.run, last.error) == (2, None)


def test_an_error_that_cannot_be_printed_is_told_by_its_name(
    rig: Rig, pair: Pair
) -> None:
    rig.thread = RunThread(target=lambda: None)
    rig.thread.error = SilentError()
    assert pair.ask_for_run(1).error is None
    note = pair.finished().error
    assert note is not None
    assert note.problem == "SilentError (its text raised ValueError)."
    assert isinstance(note.error("the host"), HardwareError)


def test_a_run_that_nobody_could_follow_is_not_left_running(
    rig: Rig, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        if thread.name == "faro-host-run":
            problem = "can't start new thread"
            raise RuntimeError(problem)
        started(thread)

    cancelled: list[bool] = []
    monkeypatch.setattr(threading.Thread, "start", start)
    monkeypatch.setattr(rig, "cancel_mda", lambda: cancelled.append(True))
    rig.thread = RunThread(target=lambda: None)
    error = pair.ask_for_run(1).error
    assert error is not None
    assert "can't start new thread" in error.problem
    assert cancelled == [True]
    monkeypatch.undo()
    rig.thread = RunThread(target=lambda: None)
    assert pair.ask_for_run(2).error is None
    assert pair.finished().run == 2
