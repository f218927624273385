"""A real Jupyter kernel that holds the exclusive DMD, and the ways in which it ends.

Needs ``jupyter_client`` and, in the kernel's Python, ``ipykernel``.
"""

from __future__ import annotations

import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from faro.system import signals
from faro.testing.exclusive_dmd import ControllerProcess, write_config
from faro.testing.exit_cases import code_after
from faro.testing.exit_matrix import light_of, next_process_loads

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

START_S = 60.0
GONE_S = 12.5
BUSY_S = 1.0
DARK_S = 0.2
LIMIT_S = 3.0

OPEN = """\
import gc, threading, time
from faro.testing.exit_scene import Scene
scene = Scene({given!r})
mic = scene.open()
"""
LIT = "scene.light(mic)"
BLOCKED = "scene.start(mic, blocked=True)"
BUSY = LIT + "; time.sleep(60)"


class Kernel:
    """One kernel, and the DMD it may hold; for the length of a ``with`` block.

    Parameters
    ----------
    folder
        An empty folder.
    controller
        The controller of the DMD.
    python
        The kernel's interpreter; it must have FARO and ``ipykernel``.
    """

    def __init__(
        self, folder: Path, controller: ControllerProcess, python: str = sys.executable
    ) -> None:
        from jupyter_client.manager import KernelManager  # noqa: PLC0415  only here

        self.controller = controller
        config = write_config(folder / "rig.cfg", controller.port)
        self.given = {
            "core": "uni",
            "config": str(config),
            "marks": str(folder / "marks"),
            "python": python,
        }
        self.manager: Any = KernelManager()
        launch = ["-m", "ipykernel_launcher", "-f", "{connection_file}"]
        spec: Any = self.manager.kernel_spec
        spec.argv = [python, *launch]
        self._files = ExitStack()
        output = self._files.enter_context((folder / "kernel.txt").open("wb"))
        self.manager.start_kernel(cwd=str(folder), stdout=output, stderr=output)
        self.client: Any = self._client()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *reason: object) -> None:
        """End the kernel, whatever it does."""
        self.client.stop_channels()
        if self.manager.is_alive():
            self.manager.shutdown_kernel(now=True)
        self.manager.cleanup_resources()
        self._files.close()

    def _client(self) -> Any:
        client = self.manager.blocking_client()
        client.start_channels()
        client.wait_for_ready(timeout=START_S)
        return client

    def run(self, code: str) -> str:
        """Run a cell; return the name of the error that it raised, or ''."""
        reply = self.client.execute_interactive(
            code, timeout=START_S, output_hook=lambda _: None
        )
        return str(reply["content"].get("ename", ""))

    def begin(self, code: str) -> None:
        """Start a cell and leave it running."""
        self.client.execute(code)
        time.sleep(BUSY_S)

    def open(self) -> str:
        """Make the microscope; return the name of the error, or ''."""
        return self.run(OPEN.format(given=self.given))

    def connect_again(self) -> None:
        """Talk to the kernel that came in the place of the one before."""
        self.client.stop_channels()
        self.client = self._client()

    def said(self) -> list[str]:
        """Return what the controller was told."""
        return [entry.what for entry in self.controller.entries()]

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The kernel's process."""
        process: subprocess.Popen[bytes] = self.manager.provisioner.process
        return process

    @property
    def released(self) -> bool:
        """Whether the DMD is free and dark."""
        free, dark_s = light_of(self.controller.entries(), 0.0)
        return free and dark_s is not None

    def end(self, how: str) -> None:
        """End the kernel: ``restart``, ``shutdown``, ``exit()`` or ``SIGTERM``."""
        if how == "restart":
            self.manager.restart_kernel(now=False)
        elif how == "shutdown":
            self.manager.shutdown_kernel(now=False)
        elif how == "exit()":
            self.client.execute("exit()")
        else:
            self.manager.signal_kernel(signals.TERMINATE)


@dataclass(frozen=True, slots=True)
class KernelCase:
    """One way in which a kernel ends: what it does meanwhile, and how it is ended."""

    doing: str
    how: str
    cell: str

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.how}, {self.doing}"

    @property
    def code(self) -> int:
        """The exit code it has to have."""
        return code_after(signals.TERMINATE) if self.how == "SIGTERM" else 0


CASES = tuple(
    KernelCase(doing, how, cell)
    for how, kinds in {
        "restart": {"lit": LIT, "blocked run": BLOCKED, "busy cell": BUSY},
        "shutdown": {"lit": LIT, "blocked run": BLOCKED},
        "exit()": {"lit": LIT, "blocked run": BLOCKED},
        "SIGTERM": {"lit": LIT, "blocked run": BLOCKED},
    }.items()
    for doing, cell in kinds.items()
)
"""Every way in which a kernel ends and can release what it holds."""


@dataclass(frozen=True, slots=True)
class KernelResult:
    """How one kernel ended; times in seconds from the request on.

    Attributes
    ----------
    case
        What was tried.
    code
        The exit code; None if it did not end.
    released
        Whether the DMD's controller was released.
    dark_s
        Until the last light went off; None if it stayed on.
    exit_s
        Until the process had ended; None if it did not.
    reloads
        Whether the next process loaded the same configuration at the first try.
    """

    case: KernelCase
    code: int | None
    released: bool
    dark_s: float | None
    exit_s: float | None
    reloads: bool

    def problems(self, slack: int = 1) -> list[str]:
        """Return what is not as promised; times may be ``slack`` times as long."""
        found = []
        if not self.released:
            found.append("not released")
        if not self.reloads:
            found.append("the next process does not load")
        if self.code != self.case.code:
            found.append(f"exit code {self.code}, not {self.case.code}")
        if self.dark_s is None or self.dark_s > slack * DARK_S:
            found.append(f"dark after {self.dark_s} s")
        if self.exit_s is None or self.exit_s > slack * LIMIT_S:
            found.append(f"ended after {self.exit_s} s")
        return found


def run_kernel(
    case: KernelCase, folder: Path, python: str = sys.executable
) -> KernelResult:
    """Run ``case`` in ``folder``, which is empty; return how the kernel ended.

    Raises
    ------
    RuntimeError
        If the kernel could not open the microscope.
    """
    with (
        ControllerProcess(folder) as controller,
        Kernel(folder, controller, python) as kernel,
    ):
        if name := kernel.open():
            message = f"the microscope was not made: {name}"
            raise RuntimeError(message)
        kernel.begin(case.cell) if case.cell == BUSY else kernel.run(case.cell)
        process = kernel.process
        ended = _Ended(process)
        began_s = time.monotonic()
        kernel.end(case.how)
        ended_s = ended.wait()
        before = len(controller.entries())
        released, dark_s = light_of(controller.entries(), began_s)
        reloads = next_process_loads(folder, kernel.given)
        busy = any(entry.what == "BUSY" for entry in controller.entries()[before:])
    exit_s = None if ended_s is None else ended_s - began_s
    code = process.returncode
    return KernelResult(case, code, released, dark_s, exit_s, reloads and not busy)


class _Ended:
    """Notes when a process ends, whatever this thread does meanwhile."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._at_s: float | None = None
        self._watch = threading.Thread(target=self._work, args=(process,), daemon=True)
        self._watch.start()

    def _work(self, process: subprocess.Popen[bytes]) -> None:
        deadline_s = time.monotonic() + GONE_S
        while process.poll() is None:
            if time.monotonic() > deadline_s:
                return
            time.sleep(0.005)
        self._at_s = time.monotonic()

    def wait(self) -> float | None:
        """Return when it ended, None if it did not."""
        self._watch.join()
        return self._at_s
