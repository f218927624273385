"""The client's side of the calls: ask, wait a bounded time, and know the host died."""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import TYPE_CHECKING

from faro.errors import FaroError, HardwareError, RunStateError
from faro.microscope.host import messages as say
from faro.microscope.host.launch import exit_code, remove, tail
from faro.microscope.host.wire import WireError

if TYPE_CHECKING:
    from collections.abc import Callable

    from faro.microscope.host.launch import Launched
    from faro.microscope.steps import CloseReport
    from faro.model import Schema

logger = logging.getLogger(__name__)

CALL_S = 60.0
CLOSE_S = 20.0
EXIT_S = 3.0
LOOK_S = 1.0
WAKE_S = 0.25
"""A waiting main thread wakes this often, so that Ctrl-C is seen on Windows too."""


class _Pending:
    """One call that waits for its answer."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.reply: say.Reply | None = None


class HostLink:
    """Everything the client has of one host. Any thread.

    Parameters
    ----------
    launched
        The host, and the connections to it.

    Attributes
    ----------
    runs
        The connection of runs.
    log
        What the host logs.
    """

    def __init__(self, launched: Launched) -> None:
        self._launched = launched
        self.runs = launched.runs
        self.log = launched.log
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._pending: dict[int, _Pending] = {}
        self._last_id = 0
        self._gone = threading.Event()
        self._when_gone: Callable[[], None] | None = None
        self._closing = False
        self._report: CloseReport | None = None
        self._reader = threading.Thread(
            target=self._read, name="faro-host-answers", daemon=True
        )
        self._reader.start()

    @property
    def pid(self) -> int:
        """Process id of the host."""
        return self._launched.process.pid

    @property
    def place(self) -> str:
        """The host, in words."""
        return f"the device host of {self._launched.spec} (process {self.pid})"

    @property
    def log_path(self) -> str:
        """Path of the host's own log."""
        return str(self._launched.log_path)

    @property
    def instrument(self) -> say.Instrument:
        """What the host told of its microscope when it was built."""
        return self._launched.instrument

    @property
    def gone(self) -> bool:
        """Whether the host has ended, or hung up."""
        return self._gone.is_set()

    def when_gone(self, wake: Callable[[], None] | None) -> None:
        """Have ``wake()`` called, on a thread of ours, when the host is gone."""
        self._when_gone = wake
        if wake is not None and self.gone:
            wake()

    # ----------------------------------------------------------------------- calls

    def call(self, make: Callable[[int], Schema], wait_s: float = CALL_S) -> object:
        """Send the request that ``make(id)`` returns; return the value answered.

        Raises
        ------
        HardwareError
            What the host raised; or it is gone; or it did not answer in time.
        RunStateError
            If the host said so, or was shut down.
        """
        self.check()
        pending = _Pending()
        with self._lock:
            self._last_id += 1
            number = self._last_id
            self._pending[number] = pending
        try:
            self._send(make(number))
            self._wait(pending, wait_s)
        finally:
            with self._lock:
                self._pending.pop(number, None)
        reply = pending.reply
        if reply is None:
            raise self.lost() if self.gone else self._silent(wait_s)
        if reply.error is not None:
            raise reply.error.error(self.place)
        return reply.value

    def check(self) -> None:
        """Raise HardwareError if the host is gone, or is not this process's."""
        if self._pid != os.getpid():
            problem = f"This microscope belongs to process {self._pid}, not to a fork."
            raise HardwareError(problem, remedy="Use it in the process that made it.")
        if self.gone:
            raise self.lost()

    @property
    def closed(self) -> bool:
        """Whether the host was shut down from here."""
        return self._closing

    def lost(self) -> FaroError:
        """Return the error that says that, and how, the host ended.

        The host must have hung up; its last log lines are written first.
        """
        self._gone.wait(LOOK_S)
        if self._report is not None:
            problem = "This microscope was shut down."
            return RunStateError(problem, remedy="Make a new one.")
        code = exit_code(self._launched.process, LOOK_S)
        how = "hung up" if code is None else f"ended with exit code {code}"
        problem = f"{self.place[0].upper()}{self.place[1:]} {how}."
        log = f"Its log, {self.log_path}, ends with:\n{tail(self._launched.log_path)}"
        remedy = f"Check that the sample is dark, then make a new microscope. {log}"
        return HardwareError(problem, remedy=remedy)

    def _silent(self, wait_s: float) -> HardwareError:
        problem = f"No answer from {self.place} within {wait_s:g} s."
        remedy = f"Check the devices and the host's log: {self.log_path}."
        return HardwareError(problem, remedy=remedy)

    def _send(self, request: Schema) -> None:
        try:
            self._launched.calls.send(request)
        except OSError as error:
            raise self.lost() from error

    def _wait(self, pending: _Pending, wait_s: float) -> None:
        deadline_s = time.monotonic() + wait_s
        while not pending.done.is_set() and not self.gone:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                return
            pending.done.wait(min(WAKE_S, left_s))

    # --------------------------------------------------------------------- answers

    def _read(self) -> None:
        calls, process = self._launched.calls, self._launched.process
        try:
            while True:
                if calls.ready(LOOK_S):
                    self._take_answer()
                elif process.poll() is not None:
                    return
        except (EOFError, OSError):
            return
        finally:
            self._hung_up()

    def _take_answer(self) -> None:
        try:
            answer, _ = self._launched.calls.receive()
        except WireError:
            logger.exception("An answer of %s was not understood.", self.place)
            return
        if isinstance(answer, say.LogLines):
            self.log.take(answer)
            return
        with self._lock:
            pending = self._pending.get(-1 if answer.id is None else answer.id)
        if pending is None:
            logger.warning("An answer that nobody waits for: %s", answer)
            return
        pending.reply = answer
        pending.done.set()

    def _hung_up(self) -> None:
        try:
            self.log.read_up()
        finally:
            self._gone.set()
        if not self._closing:
            logger.error("%s is gone. The sample may not be dark.", self.place)
        with self._lock:
            waiting = list(self._pending.values())
        for pending in waiting:
            pending.done.set()
        if self._when_gone is not None:
            self._when_gone()

    # ----------------------------------------------------------------------- close

    def close(self, reason: str) -> CloseReport:
        """Have the host release its devices and end; return its report.

        Safe to call twice, from any thread. Does nothing in a forked child.
        """
        if self._pid != os.getpid():
            return say.broken(reason, "not this process's devices")
        with self._lock:
            first, self._closing = not self._closing, True
        if not first:
            self._reader.join(CLOSE_S)
            return self._report or say.broken(reason, "it is still being shut down")
        try:
            plain = self.call(lambda n: say.Plain(id=n, verb="shutdown"), CLOSE_S)
            report = say.report_of(plain)
        except FaroError as error:
            report = say.broken(reason, str(error))
        code = exit_code(self._launched.process, EXIT_S)
        if code is None:
            logger.error("%s did not end.", self.place)
        self._report = report
        self._hang_up(clean=report.ok and code == 0)
        return report

    def _hang_up(self, *, clean: bool) -> None:
        if threading.current_thread() is not self._reader:
            self._reader.join(EXIT_S)
        self._launched.calls.close()
        if clean:
            remove(self._launched.folder)
        else:
            logger.error("The log of %s stays: %s", self.place, self.log_path)
