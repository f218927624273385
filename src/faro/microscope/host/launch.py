"""Start a device host and connect to it, or say why that failed."""

from __future__ import annotations

import json
import os
import queue
import secrets
import shutil
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client
from pathlib import Path
from typing import TYPE_CHECKING

from faro import settings
from faro.errors import HardwareError
from faro.microscope.host import messages as say
from faro.microscope.host.host_log import HostLog
from faro.microscope.host.wire import Channel
from faro.system.hosting import start_process, this_platform

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from faro.system.hosting import HostProcess, Platform

LOG_NAME = "host.log"
SHOWN_LINES = 12
STOP_S = 1.0
POLL_S = 0.1


@dataclass(slots=True)
class Launched:
    """A device host and the two connections to it.

    Attributes
    ----------
    process
        The host.
    calls, runs
        The connections of calls and of runs.
    folder
        Private to this user; holds the host's log.
    log
        What the host logged, and logs.
    spec
        The microscope, ``module:Class``.
    instrument
        What the host told of the microscope.
    """

    process: HostProcess
    calls: Channel[say.Answer]
    runs: Channel[say.Told]
    folder: Path
    log: HostLog
    spec: str
    instrument: say.Instrument

    @property
    def log_path(self) -> Path:
        """The host's own log: JSON lines, and what libraries print."""
        return self.folder / LOG_NAME


def launch(
    spec: str, args: Sequence[object] = (), kwargs: Mapping[str, object] | None = None
) -> Launched:
    """Start a host that builds ``module:Class``; return when it is built.

    Raises
    ------
    HardwareError
        If it could not be built; the error says what the host said.
    """
    platform = this_platform()
    folder = Path(tempfile.mkdtemp(prefix="faro-host-"))
    start = say.Start(
        spec=spec,
        args=tuple(args),
        kwargs=dict(kwargs or {}),
        authkey=secrets.token_hex(32),
        address=platform.address(folder),
        client_pid=os.getpid(),
        sys_path=tuple(sys.path),
        start_s=settings.load().host_start_s,
    )
    log = HostLog(folder / LOG_NAME)
    process = start_host(start, folder, platform)
    channels: list[Channel[say.Answer] | Channel[say.Told]] = []
    try:
        calls, runs = _connect(process, start, folder, platform)
        channels += [calls, runs]
        instrument = _built(process, calls, start, log)
    except BaseException:
        for channel in channels:
            channel.close()
        _abandon(process)
        raise
    return Launched(process, calls, runs, folder, log, spec, instrument)


def start_host(start: say.Start, folder: Path, platform: Platform) -> HostProcess:
    """Start the process and tell it what to do; it listens a moment later."""
    if not sys.executable:
        problem = "This program does not know its Python (sys.executable is empty)."
        raise HardwareError(problem, remedy="Use the microscope without a host.")
    with (folder / LOG_NAME).open("ab") as log:
        command = [sys.executable, "-m", "faro.microscope.host"]
        process = start_process(command, log, platform)
    if process.stdin is not None:
        with suppress(BrokenPipeError), process.stdin as pipe:
            pipe.write(json.dumps(start.model_dump()).encode())
    return process


def wait_until_ready(process: HostProcess, wait_s: float) -> bool:
    """Return whether the host listens, after ``wait_s`` at most; False if it ended."""
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    pipe = process.stdout
    if pipe is None:
        return False

    def read() -> None:
        with pipe:
            lines.put(pipe.readline())

    threading.Thread(target=read, name="faro-host-ready", daemon=True).start()
    try:
        return bool(lines.get(timeout=wait_s))
    except queue.Empty:
        return False


def _connect(
    process: HostProcess, start: say.Start, folder: Path, platform: Platform
) -> tuple[Channel[say.Answer], Channel[say.Told]]:
    if not wait_until_ready(process, start.start_s):
        raise _not_started(process, start, folder)
    key = bytes.fromhex(start.authkey)
    try:
        calls = Client(start.address, platform.family, key)
        runs = Client(start.address, platform.family, key)
    except (OSError, EOFError, AuthenticationError) as error:
        raise _not_started(process, start, folder) from error
    return Channel(calls, say.ANSWERS), Channel(runs, say.TOLD)


def _built(
    process: HostProcess,
    calls: Channel[say.Answer],
    start: say.Start,
    log: HostLog,
) -> say.Instrument:
    """Return what the host tells of its microscope, when it is built."""
    deadline_s = time.monotonic() + start.start_s
    try:
        while time.monotonic() < deadline_s:
            if not calls.ready(POLL_S):
                continue
            answer, _ = calls.receive()
            if isinstance(answer, say.LogLines):
                log.take(answer)
                continue
            if answer.error is not None:
                error = answer.error.error(f"the device host of {start.spec}")
                error.add_note(f"Its log: {log.path}")
                raise error
            return say.Instrument.model_validate(answer.value)
    except (OSError, EOFError) as error:
        raise _not_started(process, start, log.path.parent) from error
    raise _not_started(process, start, log.path.parent)


def _not_started(process: HostProcess, start: say.Start, folder: Path) -> HardwareError:
    """Return why there is no microscope: the host died, or took too long."""
    code = exit_code(process, STOP_S)
    log = folder / LOG_NAME
    problem = f"The device host of {start.spec} (process {process.pid}) did not start: "
    if code is None:
        problem += f"not done after {start.start_s:g} s; it is left to end by itself."
        remedy = "Check the devices, or allow more time with FARO_HOST_START_S."
    else:
        problem += f"it ended with exit code {code}."
        remedy = f"Its log ends with:\n{tail(log)}"
    return HardwareError(problem, remedy=remedy)


def exit_code(process: HostProcess, wait_s: float) -> int | None:
    """Return the exit code, None if the process did not end within ``wait_s``."""
    deadline_s = time.monotonic() + wait_s
    while process.poll() is None and time.monotonic() < deadline_s:
        time.sleep(0.01)
    return process.returncode


def _abandon(process: HostProcess) -> None:
    """Leave a host that is of no use; it ends by itself when its devices let it."""
    if exit_code(process, STOP_S) is None:
        reap = threading.Thread(target=process.wait, name="faro-host-reap", daemon=True)
        reap.start()


def tail(log: Path) -> str:
    """Return the last lines of a log, for a message."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        return f"(it cannot be read: {error})"
    return "\n".join(text.splitlines()[-SHOWN_LINES:]) or "(it is empty)"


def remove(folder: Path) -> None:
    """Remove the folder of a host that ended well."""
    shutil.rmtree(folder, ignore_errors=True)
