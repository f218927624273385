"""Runs one case of the exit matrix as real processes, and measures its end.

Phase A is a script that ends in its way. Phase B is a new process that loads the same
configuration, at once, at the first try.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from faro.testing import exclusive_dmd
from faro.testing.exclusive_dmd import ControllerProcess, write_config
from faro.testing.exit_cases import PRELUDE, Core
from faro.testing.exit_scene import HOST
from faro.testing.posix import ended, until

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from faro.testing.exclusive_dmd import DmdEntry
    from faro.testing.exit_cases import ExitCase

ABORTED = -6
"""What pymmcore makes of an exit at which nobody takes its callbacks away."""
READY_S = 60.0
GONE_S = 40.0
PAUSE_S = 0.1
SAID = " released: {"
FAILS_TO_LOAD = "Absent"
PHASE_B = PRELUDE + (
    "mic = scene.open()\nscene.mark('LOADED')\n"
    "mic.go_dark('phase B')\n"
    "sys.stdout.flush()\nos._exit(0)\n"
)


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened, at a time of `time.monotonic`."""

    t: float
    what: str


@dataclass(frozen=True, slots=True)
class ExitResult:
    """How one process ended.

    Attributes
    ----------
    case, core
        What was tried.
    code
        The exit code; None if it had to be killed.
    released
        Whether the DMD's controller was released (``uni``), or the core said that
        every device was unloaded but those of the case that cannot be (``cpp``).
    dark_s
        From the beginning of the end to the last light going off; None if it stayed
        on.
    exit_s
        From the beginning of the end to the end of the process.
    reloads
        Whether the next process loaded the same configuration at the first try.
    left
        Devices that were named as not released.
    output
        What the process printed.
    """

    case: ExitCase
    core: Core
    code: int | None
    released: bool
    dark_s: float | None
    exit_s: float
    reloads: bool
    left: tuple[str, ...]
    output: str

    def problems(self, slack: int = 1) -> list[str]:
        """Return what is not as promised; times may be ``slack`` times as long."""
        case, found = self.case, []
        if self.code not in ({case.code} if case.released else {case.code, ABORTED}):
            found.append(f"exit code {self.code}, not {case.code}")
        if self.released != case.released:
            found.append("not released" if case.released else "released all the same")
        if self.reloads != case.released:
            said = "does not load" if case.released else "loads all the same"
            found.append(f"the next process {said}")
        if case.released and (self.dark_s is None or self.dark_s > slack * case.dark_s):
            found.append(f"dark after {self.dark_s} s")
        if self.exit_s > slack * case.limit_s:
            found.append(f"ended after {self.exit_s:.1f} s")
        if not set(self.left) <= set(case.left):
            found.append(f"left {self.left}")
        if case.left and not self.left:
            found.append(f"{case.left} was not named")
        return found


class _Process:
    """One script of the matrix, running."""

    def __init__(self, folder: Path, script: str, given: dict[str, str]) -> None:
        folder.mkdir(parents=True)
        self._marks, self._output = folder / "marks.jsonl", folder / "output.txt"
        (folder / "script.py").write_text(script, encoding="utf-8")
        given |= {"marks": str(self._marks)}
        python = given["python"]
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                [python, str(folder / "script.py"), json.dumps(given)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=folder,
            )

    def marks(self) -> list[Mark]:
        """Return what it has marked so far."""
        if not self._marks.exists():
            return []
        lines = self._marks.read_text(encoding="utf-8").splitlines()
        return [Mark(**json.loads(line)) for line in lines if line.endswith("}")]

    def time_of(self, what: str) -> float | None:
        """Return when it marked ``what`` first."""
        times = [mark.t for mark in self.marks() if mark.what == what]
        return times[0] if times else None

    def wait_for(self, what: str) -> bool:
        """Wait for a mark; False if the process ended without it."""
        deadline_s = time.monotonic() + READY_S
        while time.monotonic() < deadline_s:
            if self.time_of(what) is not None:
                return True
            if self.process.poll() is not None:
                return False
            time.sleep(0.01)
        return False

    def wait(self) -> tuple[int | None, float]:
        """Return the exit code, None if it had to be killed, and when it ended."""
        try:
            code = self.process.wait(READY_S + GONE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return None, time.monotonic()
        return code, time.monotonic()

    @property
    def output(self) -> str:
        """What it printed."""
        return self._output.read_text(encoding="utf-8", errors="replace")


def run_case(
    case: ExitCase, core: Core, folder: Path, python: str = sys.executable
) -> ExitResult:
    """Run ``case`` in ``folder``, which is empty; return how it ended.

    ``python`` is the interpreter; it must have FARO.
    """
    with ControllerProcess(folder) as controller:
        more = [getattr(exclusive_dmd, name) for name in case.more]
        config = write_config(folder / "rig.cfg", controller.port, *more)
        given = {"core": str(core), "config": str(config), "python": python}
        phase_a = _Process(folder / "a", PRELUDE + case.script, given)
        began_s = _send_signals(phase_a, case)
        code, ended_s = phase_a.wait()
        began_s = began_s or phase_a.time_of("END") or ended_s
        before = len(controller.entries())
        if FAILS_TO_LOAD in case.more:
            write_config(config, controller.port)
        entries = controller.entries()
        with ThreadPoolExecutor(1) as pool:
            loads = pool.submit(next_process_loads, folder, given)
            gone_s = _host_gone_s(phase_a) if case.hosted else ended_s
            loaded = loads.result()
        if case.hosted:  # its host ends while the next process begins
            entries = _of_first(controller.entries())
            ended_s = max(gone_s, *(entry.t for entry in entries))
        released, dark_s = light_of(entries, began_s)
        if core is Core.CPP:
            released, dark_s = _cpp(phase_a, began_s, case.left)
        busy = any(e.what == "BUSY" for e in controller.entries()[before:])
    return ExitResult(
        case=case,
        core=core,
        code=code,
        released=released,
        dark_s=dark_s,
        exit_s=ended_s - began_s,
        reloads=loaded and not busy,
        left=_left(phase_a),
        output=phase_a.output,
    )


def _send_signals(phase_a: _Process, case: ExitCase) -> float | None:
    """Send the signals of the case; return when the first one was sent."""
    if not case.signals or not phase_a.wait_for("READY"):
        return None
    time.sleep(PAUSE_S)
    began_s = time.monotonic()
    for number in case.signals:
        phase_a.process.send_signal(number)
        time.sleep(PAUSE_S)
    return began_s


def next_process_loads(folder: Path, given: dict[str, str]) -> bool:
    """Return whether a new process loads the configuration, at once and at first."""
    phase_b = _Process(folder / "b", PHASE_B, given)
    return phase_b.wait()[0] == 0 and phase_b.time_of("LOADED") is not None


def _host_gone_s(phase_a: _Process) -> float:
    """Return when the device host of a process had ended, or was waited for in vain."""
    said = [mark.what for mark in phase_a.marks() if mark.what.startswith(HOST)]
    with suppress(TimeoutError):
        for line in said:
            until(partial(ended, int(line.split()[1])))
    return time.monotonic()


def _of_first(entries: Sequence[DmdEntry]) -> list[DmdEntry]:
    """Return what the first owner of the DMD did, without the next one."""
    claims = [n for n, entry in enumerate(entries) if entry.what == "CLAIM"]
    return list(entries[: claims[1]] if len(claims) > 1 else entries)


def light_of(entries: Sequence[DmdEntry], began_s: float) -> tuple[bool, float | None]:
    """Return whether the controller is free, and how long the light was on."""
    claims = [e.what for e in entries if e.what in {"CLAIM", "RELEASE"}]
    shown = [e for e in entries if e.what in {"SHOW", "OFF"}]
    released = bool(claims) and claims[-1] == "RELEASE"
    if all(entry.what == "OFF" for entry in shown):
        return released, 0.0
    if shown[-1].what == "SHOW":
        return released, None
    off_s = shown[-1].t
    for entry in reversed(shown):
        if entry.what == "SHOW":
            break
        off_s = entry.t
    return released, max(0.0, off_s - began_s)


def _cpp(
    phase_a: _Process, began_s: float, left: tuple[str, ...]
) -> tuple[bool, float | None]:
    """Return whether all but ``left`` was unloaded, and when it was dark."""
    marks = phase_a.marks()
    reports = [m.what for m in marks if m.what.startswith("LOG") and SAID in m.what]
    unloaded = all('"left": []' in report for report in reports)
    released = bool(reports) and (unloaded or bool(left))
    lit = [mark.t for mark in marks if mark.what == "LIT"]
    dark = [mark.t for mark in marks if mark.what.startswith("LOG INFO dark (")]
    after = [t for t in dark if lit and t > lit[-1]]
    return released, max(0.0, after[0] - began_s) if after else None


def _left(phase_a: _Process) -> tuple[str, ...]:
    said = "These devices could not be released: "
    for mark in phase_a.marks():
        if said in mark.what:
            return tuple(mark.what.split(said)[1].split(", "))
    return ()
