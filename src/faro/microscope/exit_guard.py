"""Releases every open session when the process ends, in whatever way it ends."""

from __future__ import annotations

import atexit
import concurrent.futures.process
import concurrent.futures.thread
import contextlib
import logging
import queue
import threading
import time
from typing import TYPE_CHECKING, NoReturn, Protocol

from faro.system import signals
from faro.system.process import after_fork, this_process

if TYPE_CHECKING:
    from collections.abc import Callable

    from faro.system.process import ProcessPlatform

logger = logging.getLogger(__name__)

CLOSE_S = 2.0
"""How long the sessions may take at the end, all of them together."""

WAIT_S = 4.0
"""How long the end of the process waits for them."""

GRACE_S = 1.0
"""From a signal to the release, if the process has not come to its end by then."""

EXECUTORS = (concurrent.futures.thread, concurrent.futures.process)
"""Imported first: they wait for their backlog at exit, and we must come before that."""


class Session(Protocol):
    """What the guard releases."""

    def go_dark(self, reason: str) -> object:
        """Make the sample dark now; never raises."""
        ...

    def close(self, reason: str, within_s: float | None = None) -> object:
        """Release every device."""
        ...

    def abandon(self) -> None:
        """Forget the devices without touching them: they are another process's."""
        ...


class ExitGuard:
    """Keeps open sessions alive, and closes them when the process ends.

    One per process, `EXIT_GUARD`. It does nothing until the first session is added.
    Then it hooks in where the interpreter begins to end, before executors wait for
    their backlog, and again where it ends; takes the signals that ask a process to
    end, unless somebody else did; and makes forked children forget the devices.

    The release runs on a thread that was started before, so that Ctrl-C cannot stop
    it half way.

    Parameters
    ----------
    platform
        The operating system.
    """

    def __init__(self, platform: ProcessPlatform | None = None) -> None:
        self._platform = platform or this_process()
        self._sessions: dict[Session, str] = {}
        self._hooked = False
        self._renew()

    def _renew(self) -> None:
        self._lock = threading.RLock()
        self._jobs: queue.SimpleQueue[_Ending] = queue.SimpleQueue()
        self._ending = threading.Event()
        self._worker: threading.Thread | None = None
        self._signals: dict[int, object] = {}

    # ----------------------------------------------------------------- sessions

    def add(self, session: Session, rig: str = "") -> None:
        """Release ``session`` at the end of the process. Any thread.

        Parameters
        ----------
        session
            Kept alive until `discard`.
        rig
            Which rig it holds; empty for one that may be opened more than once.
        """
        with self._lock:
            self._arm()
            self._sessions[session] = rig

    def discard(self, session: Session) -> None:
        """Forget ``session``; unknown ones are ignored. Any thread."""
        with self._lock:
            self._sessions.pop(session, None)

    def sessions(self) -> tuple[Session, ...]:
        """Return the open sessions, the oldest first."""
        with self._lock:
            return tuple(self._sessions)

    def close_rig(self, rig: str) -> None:
        """Close every session that holds ``rig``, as when a notebook cell runs again.

        Returns when their devices are released. Any thread.
        """
        with self._lock:
            held = [open_ for open_, its in self._sessions.items() if its == rig]
        for session in held if rig else ():
            logger.info("%s is opened again: the one before is released", rig)
            session.close("the rig was opened again")

    # ------------------------------------------------------------------- hooks

    def _arm(self) -> None:
        if self._worker is None:
            self._worker = threading.Thread(
                target=self._work, name="faro-exit", daemon=True
            )
            self._worker.start()
        if not self._hooked:
            self._hooked = True
            _before_executors(self._atexit_teardown)
            atexit.register(self._atexit_teardown)
            after_fork(self._forget_in_child)
            self._platform.watch_console(self._console_ends)
        self._take_signals()

    def _take_signals(self) -> None:
        free = signals.untaken(self._platform.graceful)
        if free and not signals.can_take():
            logger.warning(
                "The microscope was made on a thread: signals that end the process"
                " will not release it."
            )
            return
        for number in free:
            self._signals[number] = signals.take(number, self._on_signal)

    def _on_signal(self, number: int) -> None:
        """Have the sample dark at once, and end the process; takes no lock."""
        if not self._sessions:
            signals.end_by(number)
            return
        self._jobs.put(_Ending(signals.name_of(number), GRACE_S))
        self._leave(number)

    @staticmethod
    def _leave(number: int) -> NoReturn:
        raise SystemExit(128 + number)

    def _console_ends(self, reason: str) -> None:
        self._teardown(reason)

    def _forget_in_child(self) -> None:
        """Leave the parent's devices alone, in a child made by ``fork``."""
        sessions, self._sessions = tuple(self._sessions), {}
        ours = [n for n, kept in self._signals.items() if signals.is_taken_by(n, kept)]
        self._renew()
        for session in sessions:
            session.abandon()
        for number in ours:
            signals.give_back(number)

    # ----------------------------------------------------------------- teardown

    def _atexit_teardown(self) -> None:
        self._teardown("the process ends")

    def _teardown(self, reason: str) -> None:
        """Release all sessions; return when that is done, or after `WAIT_S`."""
        self._ending.set()
        if not self._sessions:
            return
        start = time.perf_counter()
        logger.info("_atexit_teardown: %d open", len(self._sessions))
        job = _Ending(reason)
        self._jobs.put(job)
        if _outlast(job.done, WAIT_S):
            seconds = time.perf_counter() - start
            logger.info("_atexit_teardown: done after %.3f s", seconds)
            return
        logger.error("_atexit_teardown: not done after %.3g s", WAIT_S)
        for session in self.sessions():
            session.abandon()
            self.discard(session)

    def _work(self) -> None:
        jobs, ending = self._jobs, self._ending
        while True:
            job = jobs.get()
            try:
                self._end(job, ending)
            finally:
                job.done.set()

    def _end(self, job: _Ending, ending: threading.Event) -> None:
        sessions = self.sessions()[::-1]
        if job.grace_s:
            logger.info("%s: the process is asked to end", job.reason)
            for session in sessions:
                session.go_dark(job.reason)
            ending.wait(job.grace_s)
        deadline_s = time.perf_counter() + CLOSE_S
        for session in sessions:
            left_s = max(0.0, deadline_s - time.perf_counter())
            try:
                session.close(job.reason, left_s)
            except BaseException:
                logger.exception("A release at the end of the process failed.")


class _Ending:
    """One request to release everything, with a reason."""

    def __init__(self, reason: str, grace_s: float = 0.0) -> None:
        self.reason, self.grace_s = reason, grace_s
        self.done = threading.Event()


def _before_executors(hook: Callable[[], object]) -> None:
    """Call ``hook`` where the interpreter begins to end, if this Python can."""
    register = getattr(threading, "_register_atexit", None)
    if register is None:
        logger.info("No hook before the executors; atexit has to do.")
        return
    with contextlib.suppress(RuntimeError):  # the interpreter is ending already
        register(hook)


def _outlast(done: threading.Event, limit_s: float) -> bool:
    """Wait for ``done`` at most ``limit_s``, whatever the user presses meanwhile."""
    deadline_s = time.monotonic() + limit_s
    while not done.is_set() and (left_s := deadline_s - time.monotonic()) > 0:
        with contextlib.suppress(KeyboardInterrupt, SystemExit):
            done.wait(left_s)
    return done.is_set()


EXIT_GUARD = ExitGuard()
"""The guard of this process."""
