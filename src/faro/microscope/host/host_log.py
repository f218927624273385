"""The log of the host, as its client has it: in the client's own log, without gaps."""

from __future__ import annotations

import json
import logging
import threading
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from faro.microscope.host import messages as say

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WAIT_S = 0.5
REMEMBERED = 4000
MARGIN_S = 1.0
"""Lines of two threads may come in another order than they were made."""
LOOKED_AT_BYTES = 1 << 20


class HostLog:
    """Writes what the host logs into the log of this process.

    To be made before the host is started: what comes later is the host's. `take` is
    called on one thread, `wait_for` on any.

    Parameters
    ----------
    path
        The host's own log, JSON lines between what libraries print.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._count = 0
        self._more = threading.Condition()
        self._since_s = datetime.now(tz=UTC).timestamp()
        self._known: deque[tuple[str, str]] = deque(maxlen=REMEMBERED)

    def take(self, message: say.LogLines) -> None:
        """Write lines that the host sent."""
        for line in message.lines:
            self._known.append(_key(line))
            self._since_s = max(self._since_s, line.created - MARGIN_S)
            log_here(line)
        with self._more:
            self._count += len(message.lines)
            self._more.notify_all()

    def wait_for(self, count: int) -> None:
        """Return when ``count`` lines are written, after `WAIT_S` at most."""
        with self._more:
            self._more.wait_for(lambda: self._count >= count, WAIT_S)

    def read_up(self) -> int:
        """Write the last lines of a host that is gone and sent them not; how many."""
        known = set(self._known)
        missed = [
            line
            for line in _lines_of(self.path)
            if line.created >= self._since_s and _key(line) not in known
        ]
        self.take(say.LogLines(lines=tuple(missed)))
        return len(missed)


def _key(line: say.LogLine) -> tuple[str, str]:
    """Return what tells a line from others, in the file and on the wire."""
    return datetime.fromtimestamp(line.created, tz=UTC).isoformat(), line.message


def _lines_of(path: Path) -> Iterator[say.LogLine]:
    """Yield the log lines of a host's file; a torn one, and what is none, is left."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - LOOKED_AT_BYTES))
            data = file.read()
    except OSError:
        return
    for row in data.decode(errors="replace").splitlines():
        try:
            fields = json.loads(row)
            yield say.LogLine(
                created=datetime.fromisoformat(fields["time"]).timestamp(),
                level=logging.getLevelNamesMapping()[fields["level"]],
                logger=fields["logger"],
                thread=fields["thread"],
                message=_message_of(fields),
            )
        except (ValueError, TypeError, KeyError):
            continue


def _message_of(fields: dict[str, str]) -> str:
    traceback = fields.get("traceback")
    return fields["message"] + (f"\n{traceback}" if traceback else "")


def log_here(line: say.LogLine) -> None:
    """Write a line of the host's log into the log of this process."""
    target = logging.getLogger(line.logger)
    if not target.isEnabledFor(line.level):
        return
    facts = {
        "name": line.logger,
        "levelno": line.level,
        "levelname": logging.getLevelName(line.level),
        "msg": "%s",
        "args": (line.message,),
        "created": line.created,
        "threadName": f"host:{line.thread}",
    }
    target.handle(logging.makeLogRecord(facts))
