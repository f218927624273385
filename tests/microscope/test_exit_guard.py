"""Who is released at the end of the process, in what order, and who is not."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from faro.microscope.exit_guard import EXIT_GUARD, ExitGuard
from faro.testing.devices import DiaryMicroscope

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pytest


class Kept:
    """A session that writes down what it is told."""

    def __init__(self, name: str, told: list[str], close_s: float = 0.0) -> None:
        self.name, self.told, self._close_s = name, told, close_s
        self.within_s: float | None = None

    def go_dark(self, reason: str) -> None:
        self.told.append(f"dark {self.name} {reason}")

    def close(self, reason: str, within_s: float | None = None) -> None:
        self.within_s = within_s
        time.sleep(self._close_s)
        self.told.append(f"close {self.name} {reason}")

    def abandon(self) -> None:
        self.told.append(f"abandon {self.name}")


class Console:
    """A system whose console is closed by hand, and that has no signals."""

    graceful: Sequence[str] = ()

    def __init__(self) -> None:
        self.ends: list[Callable[[str], None]] = []

    def try_lock(self, descriptor: int) -> bool:
        return descriptor >= 0

    def unlock(self, descriptor: int) -> None:
        """Nothing is locked."""

    def watch_console(self, ends: Callable[[str], None]) -> None:
        self.ends.append(ends)


def test_the_newest_session_is_closed_first_and_each_has_what_is_left_of_the_time() -> (
    None
):
    told: list[str] = []
    console = Console()
    guard = ExitGuard(console)
    old, new, gone = Kept("old", told), Kept("new", told, 0.2), Kept("gone", told)
    for session in (old, gone, new):
        guard.add(session)
    guard.discard(gone)
    guard.discard(gone)
    (end,) = console.ends
    end("console closed")
    assert told == ["close new console closed", "close old console closed"]
    assert old.within_s is not None
    assert new.within_s is not None
    assert old.within_s <= new.within_s - 0.2
    for session in (old, new):
        guard.discard(session)
    end("again")
    assert len(told) == 2


def test_a_rig_that_is_opened_again_is_closed_first() -> None:
    told: list[str] = []
    guard = ExitGuard(Console())
    guard.add(Kept("a", told), "rig.cfg")
    guard.add(Kept("b", told), "other.cfg")
    guard.add(Kept("c", told))
    guard.close_rig("rig.cfg")
    guard.close_rig("")
    assert told == ["close a the rig was opened again"]
    assert len(guard.sessions()) == 3
    for session in guard.sessions():
        guard.discard(session)


def test_one_session_that_fails_does_not_keep_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told: list[str] = []

    class Failing(Kept):
        def close(self, reason: str, within_s: float | None = None) -> None:
            super().close(reason, within_s)
            message = "this is broken"
            raise RuntimeError(message)

    console = Console()
    guard = ExitGuard(console)
    sessions = Kept("old", told), Failing("new", told)
    for session in sessions:
        guard.add(session)
    console.ends[0]("log off")
    assert told == ["close new log off", "close old log off"]
    assert "this is broken" in caplog.text
    for session in sessions:
        guard.discard(session)


def test_a_microscope_is_guarded_until_it_is_shut_down() -> None:
    with DiaryMicroscope() as scope:
        assert scope.session in EXIT_GUARD.sessions()
    assert scope.session not in EXIT_GUARD.sessions()


def test_the_same_rig_made_again_releases_the_one_before() -> None:
    class Alone(DiaryMicroscope):
        EXCLUSIVE = True

    first = Alone()
    second = Alone()
    assert "release DMD" in first.diary.lines
    assert not second.diary.of("release")
    assert second.shutdown().ok


def test_a_core_that_is_taken_over_keeps_its_devices() -> None:
    first = DiaryMicroscope()

    class Taking(DiaryMicroscope):
        def init_scope(self) -> None:
            self.mmc = first.mmc

    second = Taking()
    assert not first.diary.of("release")
    assert first.session not in EXIT_GUARD.sessions()
    assert second.shutdown().ok
    assert "release DMD" in first.diary.lines


def test_a_microscope_made_on_a_thread_is_guarded_too() -> None:
    made: list[DiaryMicroscope] = []
    thread = threading.Thread(target=lambda: made.append(DiaryMicroscope()))
    thread.start()
    thread.join(20)
    assert made[0].session in EXIT_GUARD.sessions()
    assert made[0].shutdown().ok


def test_a_session_that_never_closes_does_not_keep_the_process(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("faro.microscope.exit_guard.WAIT_S", 0.2)
    told: list[str] = []
    console = Console()
    guard = ExitGuard(console)
    guard.add(Kept("slow", told, 2.0))
    start = time.monotonic()
    console.ends[0]("console closed")
    console.ends[0]("and again")
    assert time.monotonic() - start < 1.0
    assert told == ["abandon slow"]
    assert not guard.sessions()
    assert "not done after 0.2 s" in caplog.text
