"""However the client dies, the sample is dark at once and the devices are free.

Real processes, killed for real, while a mask is shown during a long exposure. What
the devices did, and when, is in their diary. Times are asserted at five times what
is promised.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from faro.errors import HardwareError
from faro.testing.logging_rig import (
    LoggingRig,
    claim_of,
    is_light,
    read_diary,
    when,
)
from faro.testing.posix import ended, kill_group_hard, kill_hard, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")

DARK_S, RELEASE_S = 5 * 0.2, 5 * 2.0
EXPOSURE_MS = 1200.0

CLIENT = """
import os, sys, time
import useq
from faro.microscope.host import host

rig, diary, way = sys.argv[1:]
if rig == "hosted":
    mic = host("faro.testing.logging_rig:LoggingRig", diary)
    print(mic.host_pid, flush=True)
else:
    from faro.testing.logging_rig import LoggingRig
    mic = LoggingRig(diary)
    print(os.getpid(), flush=True)
if way == "sibling" and os.fork() == 0:
    time.sleep(60)
    os._exit(0)
image = useq.SLMImage(data=True, exposure=EXPOSURE)
mic.run_mda(useq.MDAEvent(exposure=EXPOSURE, slm_image=image) for _ in range(1000))
print("running", flush=True)
sys.stdin.readline()
os._exit(9)
"""


class Client:
    """A process that has a microscope, whose SLM is shown right now."""

    def __init__(self, rig: str, diary: Path, way: str) -> None:
        code = CLIENT.replace("EXPOSURE", str(EXPOSURE_MS))
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, rig, str(diary), way],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "TMPDIR": tempfile.gettempdir()},  # noqa: TID251  its own
        )
        assert self.process.stdout is not None
        self.owner_pid = int(self.process.stdout.readline())
        assert self.process.stdout.readline() == "running\n"
        until(lambda: any(is_light(line) for _, line in read_diary(diary)))

    def end(self) -> None:
        """Let go of everything, the forked sibling included."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        with suppress(ProcessLookupError):
            kill_group_hard(self.process.pid)
        self.process.wait()


def kill(client: Client) -> None:
    kill_hard(client.process.pid)


def leave(client: Client) -> None:
    assert client.process.stdin is not None
    client.process.stdin.write("go\n")
    client.process.stdin.flush()


@pytest.mark.parametrize(
    ("way", "die"),
    [("killed", kill), ("exited", leave), ("sibling", kill)],
)
def test_the_light_goes_out_and_the_next_process_has_the_devices(
    tmp_path: Path, way: str, die: Callable[[Client], None]
) -> None:
    diary = tmp_path / "diary.txt"
    client = Client("hosted", diary, way)
    try:
        died_s = time.perf_counter()
        die(client)
        until(lambda: ended(client.owner_pid))
    finally:
        client.end()
    assert when(diary, "slm show 0", died_s) - died_s < DARK_S
    assert when(diary, "release DMD", died_s) - died_s < RELEASE_S
    assert not any(is_light(line) for t, line in read_diary(diary) if t > died_s)
    with LoggingRig(str(diary)) as mine:
        assert mine.facts().slm_shape is not None
    assert not claim_of(diary).exists()


def test_without_a_host_the_light_stays_and_the_device_is_lost(tmp_path: Path) -> None:
    diary = tmp_path / "diary.txt"
    client = Client("here", diary, "killed")
    kill(client)
    client.end()
    lines = [line for _, line in read_diary(diary)]
    assert is_light([line for line in lines if line.startswith("slm show")][-1])
    assert claim_of(diary).exists()
    with pytest.raises(HardwareError, match="did not initialise: 'DMD'"):
        LoggingRig(str(diary))
