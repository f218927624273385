"""A real kernel: what ends it releases the devices, what does not leaves them alone."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from faro.testing.exclusive_dmd import ControllerProcess, write_config

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

jupyter_client = pytest.importorskip("jupyter_client", exc_type=ImportError)
pytest.importorskip("ipykernel", exc_type=ImportError)

pytestmark = [pytest.mark.long, pytest.mark.timeout(120)]

START_S = 60.0
SLACK = 5
GONE_S = 2.5 * SLACK

OPEN = """\
import gc, threading, time
from faro.testing.exit_scene import Scene
scene = Scene({given!r})
mic = scene.open()
"""
LIT = "scene.light(mic)"
BLOCKED = "scene.start(mic, blocked=True)"


class Kernel:
    """One kernel, and the DMD it may hold."""

    def __init__(self, folder: Path, controller: ControllerProcess) -> None:
        self.controller = controller
        config = write_config(folder / "rig.cfg", controller.port)
        given = {"core": "uni", "config": str(config), "marks": str(folder / "marks")}
        self._open = OPEN.format(given=given)
        self.manager: Any = jupyter_client.KernelManager()
        self.manager.start_kernel(cwd=str(folder))
        self.client: Any = self._client()

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
        time.sleep(1.0)

    def open(self) -> None:
        """Make the microscope."""
        assert self.run(self._open) == ""

    def connect_again(self) -> None:
        """Talk to the kernel that came in the place of the one before."""
        self.client.stop_channels()
        self.client = self._client()

    def gone(self) -> bool:
        """Wait until the process has ended."""
        deadline_s = time.monotonic() + GONE_S
        while self.manager.is_alive() and time.monotonic() < deadline_s:
            time.sleep(0.05)
        return not self.manager.is_alive()

    def close(self) -> None:
        """End the kernel, whatever it does."""
        self.client.stop_channels()
        if self.manager.is_alive():
            self.manager.shutdown_kernel(now=True)
        self.manager.cleanup_resources()

    def said(self) -> list[str]:
        """Return what the controller was told."""
        return [entry.what for entry in self.controller.entries()]

    @property
    def released(self) -> bool:
        """Whether the DMD is free and dark."""
        claims = [what for what in self.said() if what in {"CLAIM", "RELEASE"}]
        shown = [what for what in self.said() if what in {"SHOW", "OFF"}]
        return claims[-1] == "RELEASE" and shown[-1] == "OFF"


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    with ControllerProcess(tmp_path) as controller:
        kernel = Kernel(tmp_path, controller)
        try:
            kernel.open()
            yield kernel
        finally:
            kernel.close()


@pytest.mark.parametrize("doing", [LIT, BLOCKED, LIT + "; time.sleep(60)"])
def test_after_a_restart_the_new_kernel_has_the_microscope(
    doing: str, kernel: Kernel
) -> None:
    if "sleep" in doing:
        kernel.begin(doing)
    else:
        assert kernel.run(doing) == ""
    start = time.monotonic()
    kernel.manager.restart_kernel(now=False)
    assert kernel.released
    assert time.monotonic() - start < GONE_S
    kernel.connect_again()
    kernel.open()
    assert kernel.run("scene.usable(mic)") == ""
    assert "BUSY" not in kernel.said()


@pytest.mark.parametrize("doing", [LIT, BLOCKED])
def test_a_kernel_that_is_shut_down_releases(doing: str, kernel: Kernel) -> None:
    assert kernel.run(doing) == ""
    kernel.manager.shutdown_kernel(now=False)
    assert kernel.released


@pytest.mark.parametrize("doing", [LIT, BLOCKED])
def test_exit_in_a_cell_releases(doing: str, kernel: Kernel) -> None:
    assert kernel.run(doing) == ""
    kernel.client.execute("exit()")
    assert kernel.gone()
    assert kernel.released


def test_a_kernel_that_is_asked_to_end_by_a_signal_releases(kernel: Kernel) -> None:
    assert kernel.run(BLOCKED) == ""
    kernel.manager.signal_kernel(signal.SIGTERM)
    assert kernel.gone()
    assert kernel.released


def test_an_interrupt_leaves_the_microscope_usable(kernel: Kernel) -> None:
    assert kernel.run(BLOCKED) == ""
    kernel.begin("time.sleep(60)")
    kernel.manager.interrupt_kernel()
    reply = kernel.client.get_shell_msg(timeout=START_S)
    assert reply["content"]["ename"] == "KeyboardInterrupt"
    assert "RELEASE" not in kernel.said()
    assert kernel.run("mic.cancel_mda(); time.sleep(1); scene.usable(mic)") == ""


def test_an_error_in_a_cell_and_an_exit_in_a_thread_release_nothing(
    kernel: Kernel,
) -> None:
    assert kernel.run(LIT) == ""
    assert kernel.run("{}['missing']") == "KeyError"
    ends = "t = threading.Thread(target=lambda: exec('raise SystemExit'))"
    assert kernel.run(f"{ends}; t.start(); t.join()") == ""
    assert "RELEASE" not in kernel.said()
    assert kernel.run("scene.usable(mic)") == ""


def test_running_the_cell_again_closes_the_microscope_before(kernel: Kernel) -> None:
    kernel.open()
    assert kernel.said().count("CLAIM") == 2
    assert "BUSY" not in kernel.said()
    assert kernel.run("scene.usable(mic)") == ""


def test_a_kernel_that_is_killed_releases_nothing(kernel: Kernel) -> None:
    """Only a device host can: nothing runs in a process that was killed."""
    assert kernel.run(LIT) == ""
    kernel.manager.shutdown_kernel(now=True)
    assert not kernel.released
