"""A real kernel: what ends it releases the devices, what does not leaves them alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from faro.testing.exclusive_dmd import ControllerProcess
from faro.testing.exit_kernel import (
    BLOCKED,
    CASES,
    LIT,
    START_S,
    Kernel,
    KernelCase,
    run_kernel,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytest.importorskip("jupyter_client", exc_type=ImportError)
pytest.importorskip("ipykernel", exc_type=ImportError)

pytestmark = [pytest.mark.long, pytest.mark.timeout(120)]

SLACK = 5


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[Kernel]:
    with (
        ControllerProcess(tmp_path) as controller,
        Kernel(tmp_path, controller) as kernel,
    ):
        assert kernel.open() == ""
        yield kernel


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_kernel_that_ends_releases(case: KernelCase, tmp_path: Path) -> None:
    assert run_kernel(case, tmp_path).problems(SLACK) == []


def test_after_a_restart_the_new_kernel_has_the_microscope(kernel: Kernel) -> None:
    assert kernel.run(LIT) == ""
    kernel.end("restart")
    assert kernel.released
    kernel.connect_again()
    assert kernel.open() == ""
    assert kernel.run("scene.usable(mic)") == ""
    assert "BUSY" not in kernel.said()


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
    assert kernel.open() == ""
    assert kernel.said().count("CLAIM") == 2
    assert "BUSY" not in kernel.said()
    assert kernel.run("scene.usable(mic)") == ""


def test_a_kernel_that_is_killed_releases_nothing(kernel: Kernel) -> None:
    """Only a device host can: nothing runs in a process that was killed."""
    assert kernel.run(LIT) == ""
    kernel.manager.shutdown_kernel(now=True)
    assert not kernel.released
