"""The controller of a pretended DMD: a small process that keeps its claim.

    python -m faro.testing.dmd_controller LOG [pty|tcp]

It prints its address, then serves until its standard input is closed. Whoever claims
it holds it until RELEASE: dying, or closing the connection, is not enough. Every
CLAIM, BUSY, SHOW, OFF and RELEASE is a line of LOG, with the time of
`time.monotonic`, which all processes of the machine share.
"""

from __future__ import annotations

import json
import os
import socketserver
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LOOPBACK = "127.0.0.1"


class DmdController:
    """What the controller remembers, and the commands that it knows.

    ``CLAIM who``, ``SHOW n`` (how many pixels are on), ``OFF``, ``RELEASE``, and
    ``POWER`` (off and on again). It answers ``OK``, ``BUSY who`` or ``ERROR``.

    Parameters
    ----------
    log
        Where its lines are written.
    """

    def __init__(self, log: Path) -> None:
        self._log = log
        self._owner = ""
        self._turn = threading.Lock()

    def answer(self, line: str) -> str:
        """Carry out one command; any thread."""
        verb, _, rest = line.strip().partition(" ")
        commands: dict[str, Callable[[str], str]] = {
            "CLAIM": self._claim,
            "SHOW": self._show,
            "OFF": self._off,
            "RELEASE": self._release,
            "POWER": self._release,
        }
        with self._turn:
            return commands.get(verb, self._unknown)(rest)

    def _note(self, what: str, detail: str = "") -> None:
        entry = {"t": time.monotonic(), "what": what, "detail": detail}
        with self._log.open("a", encoding="utf-8") as log:
            log.write(json.dumps(entry) + "\n")

    def _claim(self, who: str) -> str:
        if self._owner:
            self._note("BUSY", who)
            return f"BUSY {self._owner}"
        self._owner = who
        self._note("CLAIM", who)
        return "OK"

    def _show(self, pixels: str) -> str:
        self._note("SHOW", pixels)
        return "OK"

    def _off(self, rest: str) -> str:  # noqa: ARG002  every command has a rest
        self._note("OFF")
        return "OK"

    def _release(self, rest: str) -> str:  # noqa: ARG002  every command has a rest
        self._owner = ""
        self._note("RELEASE")
        return "OK"

    @staticmethod
    def _unknown(rest: str) -> str:
        return f"ERROR {rest}"


def serve_tcp(controller: DmdController, ready: Callable[[str], None]) -> None:
    """Serve on a loopback port, a thread per connection."""

    class Line(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            for line in self.rfile:
                answer = controller.answer(line.decode("ascii"))
                self.wfile.write(answer.encode("ascii") + b"\n")

    with socketserver.ThreadingTCPServer((LOOPBACK, 0), Line) as server:
        server.daemon_threads = True
        ready(f"tcp:{server.server_address[1]}")
        server.serve_forever()


def serve_pty(controller: DmdController, ready: Callable[[str], None]) -> None:
    """Serve on a pseudo-terminal, as a device on a serial port would."""
    if sys.platform == "win32":
        message = "Windows has no pseudo-terminals of this kind; use tcp."
        raise NotImplementedError(message)
    else:  # noqa: RET506  a type checker for Windows does not look in here
        import pty  # noqa: PLC0415  not on Windows
        import tty  # noqa: PLC0415  not on Windows

        ours, theirs = pty.openpty()  # theirs stays open: no error when a client goes
        tty.setraw(theirs)
        ready(f"pty:{os.ttyname(theirs)}")
        rest = b""
        while True:
            rest += os.read(ours, 4096)
            *lines, rest = rest.split(b"\n")
            for line in lines:
                answer = controller.answer(line.decode("ascii"))
                os.write(ours, answer.encode("ascii") + b"\n")


def main() -> None:
    """Serve until standard input is closed."""
    controller = DmdController(Path(sys.argv[1]))
    kind = sys.argv[2] if len(sys.argv) > 2 else "pty"
    serve = serve_tcp if kind == "tcp" else serve_pty

    def ready(address: str) -> None:
        sys.stdout.write(address + "\n")
        sys.stdout.flush()

    threading.Thread(target=serve, args=(controller, ready), daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
