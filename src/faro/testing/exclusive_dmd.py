"""A DMD that one process can hold at a time, and devices that end badly.

The devices are written in Python and named in a configuration file, see
`write_config`. The DMD talks to a `faro.testing.dmd_controller`, a process of its
own, over a pseudo-terminal or a loopback port.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from faro.microscope.mmcore import unicore
from faro.system.facts import WINDOWS
from faro.system.process import this_process

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

SLM_SHAPE = (60, 80)
ANSWER_S = 10.0


class _Line:
    """A line to the controller, held by one process at a time."""

    def __init__(self, address: str) -> None:
        kind, _, where = address.partition(":")
        self._socket: socket.socket | None = None
        self._descriptor = -1
        if kind == "tcp":
            self._socket = socket.create_connection(("127.0.0.1", int(where)), 10)
            return
        self._descriptor = os.open(where, os.O_RDWR | getattr(os, "O_NOCTTY", 0))
        if not this_process().try_lock(self._descriptor):
            os.close(self._descriptor)
            message = f"device in use: {where} is open elsewhere"
            raise RuntimeError(message)

    def ask(self, command: str) -> str:
        """Return the answer to ``command``."""
        data = command.encode("ascii") + b"\n"
        answer = b""
        if self._socket is not None:
            self._socket.sendall(data)
            while not answer.endswith(b"\n"):
                answer += self._socket.recv(256)
        else:
            os.write(self._descriptor, data)
            while not answer.endswith(b"\n"):
                answer += os.read(self._descriptor, 256)
        return answer.decode("ascii").strip()

    def close(self) -> None:
        """Hang up; the controller keeps the claim."""
        if self._socket is not None:
            self._socket.close()
        else:
            os.close(self._descriptor)


class ExclusiveDmd(unicore.SLMDevice):
    """A DMD whose controller belongs to whoever claimed it, until it is released.

    The property ``Port``, set before it is initialised, says where the controller is.
    """

    def __init__(self) -> None:
        super().__init__()
        self._line: _Line | None = None
        self._sent = np.zeros(SLM_SHAPE, np.uint8)
        self._exposure_ms = 0.0
        self.port = ""
        self.register_property(
            "Port",
            default_value="",
            getter=lambda device: device.port,
            setter=_set_port,
            is_pre_init=True,
            property_type=str,
        )

    def initialize(self) -> None:
        """Claim the controller."""
        line = _Line(self.port)
        answer = line.ask(f"CLAIM {os.getpid()}")
        if answer != "OK":
            line.close()
            message = f"device in use: {answer}"
            raise RuntimeError(message)
        self._line = line

    def shutdown(self) -> None:
        """Give the claim back."""
        line, self._line = self._line, None
        if line is not None:
            line.ask("RELEASE")
            line.close()

    def shape(self) -> tuple[int, int]:
        """Return (Y, X)."""
        return SLM_SHAPE

    def dtype(self) -> type[np.uint8]:
        """Return uint8."""
        return np.uint8

    def set_image(self, pixels: npt.NDArray[np.uint8]) -> None:
        """Take ``pixels`` (Y, X)."""
        self._sent = np.array(pixels)

    def display_image(self) -> None:
        """Show what was sent."""
        lit = int(np.count_nonzero(self._sent))
        if self._line is not None:
            self._line.ask(f"SHOW {lit}" if lit else "OFF")

    def set_exposure(self, interval_ms: float) -> None:
        """Set how long a pattern is shown, ms."""
        self._exposure_ms = interval_ms

    def get_exposure(self) -> float:
        """Return how long a pattern is shown, ms."""
        return self._exposure_ms


def _set_port(device: ExclusiveDmd, port: str) -> None:
    device.port = port


class Lamp(unicore.GenericDevice):
    """A light source with one level, percent."""

    def __init__(self) -> None:
        super().__init__()
        self.level_percent = 0.0
        self.register_property(
            "Cyan_Level",
            getter=lambda device: device.level_percent,
            setter=_set_level,
            limits=(0.0, 100.0),
            property_type=float,
        )


def _set_level(device: Lamp, level_percent: float) -> None:
    device.level_percent = float(level_percent)


class Refusing(unicore.GenericDevice):
    """A device that does not let go."""

    def shutdown(self) -> None:
        """Refuse."""
        message = "this device does not let go"
        raise RuntimeError(message)


class Hanging(unicore.GenericDevice):
    """A device that takes a minute to let go."""

    def shutdown(self) -> None:
        """Hang."""
        time.sleep(60)


class Absent(unicore.GenericDevice):
    """A device that is not there."""

    def initialize(self) -> None:
        """Fail."""
        message = "this device is not there"
        raise RuntimeError(message)


class Slow(unicore.GenericDevice):
    """A device that takes a while to be initialised."""

    def initialize(self) -> None:
        """Take a second and a half."""
        time.sleep(1.5)


LOG_NAME = "dmd.jsonl"
"""Of the controller of the DMD."""
CONFIG = """\
Property,Core,Initialize,0
Device,Camera,DemoCamera,DCam
Device,Shutter,DemoCamera,DShutter
#py pyDevice,DMD,faro.testing.exclusive_dmd,ExclusiveDmd
#py pyDevice,LED,faro.testing.exclusive_dmd,Lamp
#py Property,DMD,Port,{port}
{more}
Property,Core,Initialize,1
#py Property,Core,Camera,Camera
#py Property,Core,Shutter,Shutter
#py Property,Core,SLM,DMD
#py ConfigGroup,Channel,CyanStim,LED,Cyan_Level,50
#py ConfigGroup,Channel,Dim,LED,Cyan_Level,1
Property,Core,ChannelGroup,Channel
Property,Core,AutoShutter,1
"""


def write_config(path: Path, port: str, *more: type[unicore.Device]) -> Path:
    """Write a configuration with the DMD at ``port`` and one device of each class."""
    module = "faro.testing.exclusive_dmd"
    lines = [f"#py pyDevice,{kind.__name__},{module},{kind.__name__}" for kind in more]
    text = CONFIG.format(port=port, more="\n".join(lines))
    path.write_text(text, encoding="utf-8")
    return path


@dataclass(frozen=True, slots=True)
class DmdEntry:
    """One line of the controller's log.

    Attributes
    ----------
    t
        Seconds of `time.monotonic`.
    what
        ``CLAIM``, ``BUSY``, ``SHOW``, ``OFF`` or ``RELEASE``.
    detail
        Who claimed, or how many pixels are on.
    """

    t: float
    what: str
    detail: str


class ControllerProcess:
    """The controller as a process, for the length of a ``with`` block.

    Parameters
    ----------
    folder
        Where its log is written.
    transport
        ``pty`` or ``tcp``; the default is what this system has.
    """

    def __init__(self, folder: Path, transport: str = "") -> None:
        self._log = folder / LOG_NAME
        self._transport = transport or ("tcp" if WINDOWS else "pty")
        self._process: subprocess.Popen[str] | None = None
        self.port = ""

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "faro.testing.dmd_controller"]
        self._process = subprocess.Popen(
            [*command, str(self._log), self._transport],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self.port = self._process.stdout.readline().strip()
        return self

    def __exit__(self, *reason: object) -> None:
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=ANSWER_S)
            process.kill()
            process.wait()

    def entries(self) -> list[DmdEntry]:
        """Return the log, in order."""
        if not self._log.exists():
            return []
        lines = self._log.read_text(encoding="utf-8").splitlines()
        parsed: list[dict[str, Any]] = [json.loads(line) for line in lines]
        return [DmdEntry(**entry) for entry in parsed]
