"""The log of the host, told to its client a few lines at a time."""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import TYPE_CHECKING

from faro.logs import LOGGER_NAME
from faro.microscope.host import messages as say

if TYPE_CHECKING:
    from faro.microscope.host.wire import Channel

MAX_LINES = 2000
COLLECT_S = 0.05
FLUSH_S = 0.5
URGENT = logging.WARNING

_FORMAT = logging.Formatter()


class LogRelay(logging.Handler):
    """Sends the log of the host to its client, a few lines at a time.

    Two lines on the shutter for every frame would otherwise be two changes of thread
    and of process for every frame, on the acquisition thread. So lines are collected
    for `COLLECT_S`; a warning, and `flush`, send them at once. The host's own file has
    had every line before it comes here: a host that crashes leaves them there, and
    the client reads them up.

    Nothing is waited for: where the client does not read, lines are dropped, and a
    line says how many.

    Parameters
    ----------
    calls
        The connection of calls.
    collect_s
        How long lines are collected.
    """

    def __init__(
        self, calls: Channel[say.Request], collect_s: float = COLLECT_S
    ) -> None:
        super().__init__(logging.INFO)
        self._channel, self._collect_s = calls, collect_s
        self._records: deque[logging.LogRecord | threading.Event] = deque()
        self._dropped = 0
        self._told = 0
        self._some, self._now = threading.Event(), threading.Event()
        self._thread = threading.Thread(
            target=self._work, name="faro-host-log", daemon=True
        )
        self._thread.start()

    @property
    def told(self) -> int:
        """How many lines were sent."""
        return self._told

    def emit(self, record: logging.LogRecord) -> None:  # noqa: D102  inherited
        if len(self._records) >= MAX_LINES:
            self._dropped += 1
            return
        record.message = record.getMessage()
        self._records.append(record)
        if not self._some.is_set():
            self._some.set()
        if record.levelno >= URGENT:
            self._now.set()

    def flush(self) -> None:
        """Have what was logged so far sent; waits for it, `FLUSH_S` at most."""
        if not self._thread.is_alive():
            return
        done = threading.Event()
        self._records.append(done)
        self._now.set()
        self._some.set()
        done.wait(FLUSH_S)

    def _work(self) -> None:
        while True:
            self._some.wait()
            self._now.wait(self._collect_s)
            self._now.clear()
            self._some.clear()
            try:
                self._send(len(self._records))
            except OSError:
                return

    def _send(self, count: int) -> None:
        """Send that many of the oldest entries, as few messages as there can be."""
        lines: list[say.LogLine] = []
        for _ in range(count):
            entry = self._records.popleft()
            if isinstance(entry, logging.LogRecord):
                lines.append(line_of(entry))
                continue
            try:
                self._tell(lines)
            finally:
                entry.set()
            lines.clear()
        dropped, self._dropped = self._dropped, 0
        if dropped:
            lines.append(_of_dropped(dropped))
        self._tell(lines)

    def _tell(self, lines: list[say.LogLine]) -> None:
        if lines:
            self._channel.send(say.LogLines(lines=tuple(lines)))
            self._told += len(lines)


def line_of(record: logging.LogRecord) -> say.LogLine:
    """Return a record as another process can have it, its traceback as text."""
    message = record.message
    if record.exc_info:
        message = f"{message}\n{_FORMAT.formatException(record.exc_info)}"
    return say.LogLine.model_construct(
        created=record.created,
        level=record.levelno,
        logger=record.name,
        thread=record.threadName or "",
        message=message.encode("utf-8", "backslashreplace").decode(),
    )


def _of_dropped(count: int) -> say.LogLine:
    text = f"{count} lines of the device host's log were dropped; its file has them"
    record = logging.LogRecord(
        LOGGER_NAME, logging.WARNING, __file__, 0, text, None, None
    )
    record.message = text
    return line_of(record)
