"""The device-host process: builds one microscope, serves one client, outlives it."""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
import threading
import time
from multiprocessing import AuthenticationError
from multiprocessing.connection import Listener
from typing import TYPE_CHECKING

from faro.logs import LOGGER_NAME, JsonLines
from faro.microscope.host import messages as say
from faro.microscope.host.ending import Ending
from faro.microscope.host.relay import LogRelay
from faro.microscope.host.service import Service, instrument_of
from faro.microscope.host.spec import microscope_class
from faro.microscope.host.wire import Channel
from faro.system.hosting import take_signals, this_platform

if TYPE_CHECKING:
    from faro.microscope.abstract import AbstractMicroscope
    from faro.system.hosting import Platform
    from faro.system.waiting import LocalConnection

logger = logging.getLogger(LOGGER_NAME)

READY = b"ready\n"


def _log_to_stderr() -> None:
    """Write our log, and a crash of an adapter, to stderr, which is a file."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    faulthandler.enable(sys.stderr)


def _say_ready() -> None:
    """Tell the client that we listen; whatever is printed later goes to the log."""
    os.write(1, READY)
    os.dup2(2, 1)


def _watch(platform: Platform, pid: int, ending: Ending) -> None:
    def watch() -> None:
        if platform.wait_for_end(pid):
            ending.request("the client is gone (its process ended)")

    threading.Thread(target=watch, name="faro-host-watch", daemon=True).start()


def _accept(listener: Listener) -> LocalConnection:
    """Return the next connection that knows the key; others are turned away."""
    while True:
        try:
            return listener.accept()
        except (AuthenticationError, EOFError, OSError) as error:
            logger.warning("A connection was turned away: %r", error)


def _connect(
    start: say.Start, platform: Platform, ending: Ending
) -> tuple[Channel[say.Request], Channel[say.Fed]]:
    """Wait for the client's two connections; nobody can connect afterwards."""
    late = threading.Timer(start.start_s, ending.request, ("nobody connected",))
    late.daemon = True
    late.start()
    with Listener(
        start.address, platform.family, 4, authkey=bytes.fromhex(start.authkey)
    ) as listener:
        _say_ready()
        calls = Channel(_accept(listener), say.REQUESTS)
        runs = Channel(_accept(listener), say.FED)
    late.cancel()
    return calls, runs


def _build(start: say.Start, ending: Ending) -> AbstractMicroscope:
    """Return the microscope, built here, and see to its end."""
    microscope: AbstractMicroscope | None = None
    ending.building()
    try:
        sys.path += [path for path in start.sys_path if path not in sys.path]
        microscope = microscope_class(start.spec)(*start.args, **start.kwargs)
    finally:
        ending.built(microscope)
    return microscope


def main() -> None:
    """Run until the client is gone; then make dark, release, and end."""
    start = say.Start.model_validate_json(sys.stdin.buffer.read())
    _log_to_stderr()
    platform = this_platform()
    relays: list[LogRelay] = []

    def leave(code: int) -> None:
        for relay in relays:
            relay.flush()
        os._exit(code)

    ending = Ending(start.start_s, leave)
    take_signals(platform, ending.request)
    _watch(platform, start.client_pid, ending)
    calls, runs = _connect(start, platform, ending)
    relay = LogRelay(calls)
    relays.append(relay)
    logger.addHandler(relay)
    service = Service(calls, runs, ending, relay)
    threading.Thread(target=service.serve, name="faro-host", daemon=True).start()
    try:
        microscope = _build(start, ending)
        service.take(microscope)
        instrument = instrument_of(microscope)
    except BaseException as error:
        logger.exception("%s could not be built", start.spec)
        relay.flush()
        calls.send(say.Reply(id=0, error=say.ErrorNote.of(error)))
        ending.request("the microscope could not be built")
    else:
        relay.flush()
        calls.send(say.Reply(id=0, value=instrument.model_dump()))
    while True:
        time.sleep(1.0)


if __name__ == "__main__":
    main()
