"""Start the dashboard as a process of its own."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import Field

from faro.errors import FaroError, MissingExtraError
from faro.model import Schema
from faro.system.hosting import start_process, this_platform

if TYPE_CHECKING:
    from faro.system.hosting import HostProcess

LOOPBACK: Final = "127.0.0.1"
LINGER_S: Final = 60.0
END_S: Final = 5.0
LIBRARIES: Final = ("nicegui",)


class Settings(Schema):
    """What the dashboard is told.

    Attributes
    ----------
    folder
        Of the run; need not be there yet.
    host, port
        Where it listens; port 0 for a free one.
    linger_s
        So long it goes on when its starter has ended and nobody looks.
    """

    folder: Path
    token: str = Field(repr=False)
    host: str = LOOPBACK
    port: int = Field(default=0, ge=0, le=65535)
    linger_s: float = LINGER_S


class DashboardError(FaroError):
    """The dashboard did not start."""


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A dashboard that runs.

    Attributes
    ----------
    url
        With the token; whoever has it can look and control.
    process
        Its process.
    """

    url: str
    process: HostProcess

    def leave(self) -> None:
        """Let it go on alone: it ends when nobody has looked for a while."""
        if self.process.stdin is not None:
            with suppress(OSError):
                self.process.stdin.close()
        if self.process.stdout is not None:
            self.process.stdout.close()

    def close(self) -> None:
        """End it."""
        self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(END_S)
        self.process.kill()
        self.process.wait()
        self.leave()


def start_dashboard(
    folder: Path,
    *,
    host: str = LOOPBACK,
    port: int = 0,
    linger_s: float = LINGER_S,
    log: Path | None = None,
) -> Dashboard:
    """Start the dashboard of a run; return when it listens.

    Parameters
    ----------
    folder
        Of the run; need not be there yet.
    host
        Address to listen at. Any but a loopback address lets other computers in, over
        a connection that is not encrypted.
    log
        Where it writes what goes wrong; None for nowhere.

    Raises
    ------
    MissingExtraError
        If the extra ``dashboard`` is not installed.
    DashboardError
        If it does not start, for example because the port is taken.
    """
    for library in LIBRARIES:
        if find_spec(library) is None:
            raise MissingExtraError(library, extra="dashboard")
    token = secrets.token_urlsafe(32)
    settings = Settings(
        folder=folder.absolute(), token=token, host=host, port=port, linger_s=linger_s
    )
    command = [sys.executable, "-m", "faro.view.dashboard"]
    with (log or Path(os.devnull)).open("ab") as file:
        process = start_process(command, file, this_platform())
    said = b""
    if process.stdin is not None and process.stdout is not None:
        with suppress(OSError):
            process.stdin.write(settings.model_dump_json().encode() + b"\n")
            process.stdin.flush()
        said = process.stdout.readline()
    if not said:
        code = process.wait()
        Dashboard("", process).leave()
        problem = f"The dashboard did not start at {host}:{port} (exit code {code})."
        raise DashboardError(problem, remedy="Choose another --port or --host.")
    found = json.loads(said)["port"]
    return Dashboard(f"http://{_shown(host)}:{found}/?token={token}", process)


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
