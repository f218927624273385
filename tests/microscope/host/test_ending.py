"""A host ends dark, releases what it can, and never waits for what hangs."""

from __future__ import annotations

import threading

import pytest

from faro.microscope.host.ending import NOT_RELEASED, Ending
from faro.microscope.steps import CloseReport
from faro.testing.devices import DiaryMicroscope, Faults

WAIT_S = 20.0


class Left:
    """Notes the exit code instead of ending this process."""

    def __init__(self) -> None:
        self.codes: list[int] = []
        self.done = threading.Event()

    def __call__(self, code: int) -> None:
        self.codes.append(code)
        self.done.set()

    def code(self) -> int:
        assert self.done.wait(WAIT_S)
        assert len(self.codes) == 1
        return self.codes[0]


class HangingRig(DiaryMicroscope):
    """Never comes back from its shutdown, until told to."""

    let_go = threading.Event()

    def shutdown(self) -> CloseReport:
        self.let_go.wait(WAIT_S)
        return super().shutdown()


def test_the_microscope_is_dark_and_released_and_the_report_is_told() -> None:
    left, told = Left(), list[CloseReport]()
    microscope = DiaryMicroscope()
    ending = Ending(1.0, left)
    ending.building()
    ending.built(microscope)
    ending.tell(told.append)
    ending.request("first")
    ending.request("second")
    assert left.code() == 0
    assert [(report.reason, report.ok) for report in told] == [("first", True)]
    lines = microscope.diary.lines
    assert lines.index("slm show 0") < lines.index("release DMD")
    ending.tell(told.append)
    assert len(told) == 2


def test_a_device_that_refuses_is_named_and_gives_exit_code_3() -> None:
    left, told = Left(), list[CloseReport]()
    ending = Ending(1.0, left)
    ending.building()
    ending.built(DiaryMicroscope(Faults(shutdown={"DMD"})))
    ending.tell(told.append)
    ending.request("the client is gone")
    assert left.code() == NOT_RELEASED
    assert told[0].left == ("DMD",)


def test_a_shutdown_that_hangs_does_not_keep_the_host() -> None:
    left, told = Left(), list[CloseReport]()
    microscope = HangingRig()
    ending = Ending(1.0, left, release_s=0.2)
    ending.building()
    ending.built(microscope)
    ending.tell(told.append)
    ending.request("the client is gone")
    assert left.code() == NOT_RELEASED
    assert [(step.name, step.outcome) for step in told[0].steps] == [
        ("go dark", "ok"),
        ("shutdown", "hung"),
    ]
    assert "slm show 0" in microscope.diary.lines
    HangingRig.let_go.set()
    microscope.shutdown()


def test_an_end_during_the_load_waits_for_it_and_then_releases() -> None:
    left, microscope = Left(), DiaryMicroscope()
    ending = Ending(WAIT_S, left)
    ending.building()
    ending.request("the client is gone")
    assert not left.done.wait(0.1)
    ending.built(microscope)
    assert left.code() == 0
    assert microscope.diary.of("release") != []


def test_a_load_that_hangs_does_not_keep_the_host() -> None:
    left = Left()
    ending = Ending(0.1, left)
    ending.building()
    ending.request("the client is gone")
    assert left.code() == NOT_RELEASED


@pytest.mark.parametrize("failed", [False, True])
def test_without_a_microscope_there_is_nothing_to_release(failed: bool) -> None:  # noqa: FBT001  a test case
    left = Left()
    ending = Ending(WAIT_S, left)
    if failed:
        ending.building()
        ending.built(None)
    ending.request("nobody connected")
    assert left.code() == 0
