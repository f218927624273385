"""The notebook server is killed, with the kernel or before it; the host cleans up.

The kernel is a real one. Its server is a process that starts it by `jupyter_client`,
which is what Jupyter's server does. The microscope is in a device host.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING

import pytest

from faro.microscope.host import host
from faro.testing.logging_rig import LoggingRig, claim_of, is_light, read_diary, when
from faro.testing.posix import ended, kill_hard, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytest.importorskip("jupyter_client", exc_type=ImportError)
pytest.importorskip("ipykernel", exc_type=ImportError)
pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(120),
    pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals"),
]

DARK_S, RELEASE_S = 5 * 0.2, 5 * 2.0
CELL = """
import useq
from faro import host
mic = host("faro.testing.logging_rig:LoggingRig", {diary!r})
mask = useq.SLMImage(data=True, exposure=1200.0)
run = mic.run_mda(useq.MDAEvent(exposure=1200.0, slm_image=mask) for _ in range(1000))
"""
SERVER = """
import sys
from jupyter_client.manager import KernelManager
manager = KernelManager()
manager.kernel_spec.argv = [
    sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"
]
manager.start_kernel()
client = manager.blocking_client()
client.start_channels()
client.wait_for_ready(timeout=60)
reply = client.execute_interactive(
    sys.argv[1], timeout=60, user_expressions={"pid": "mic.host_pid"}
)
host_pid = reply["content"]["user_expressions"]["pid"]["data"]["text/plain"]
print(manager.provisioner.pid, host_pid, flush=True)
sys.stdin.readline()
"""


class Server:
    """A notebook server, its kernel and the kernel's device host; the SLM is lit."""

    def __init__(self, diary: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER, CELL.format(diary=str(diary))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": tempfile.gettempdir()},  # noqa: TID251  its own
        )
        assert self.process.stdout is not None
        pids = self.process.stdout.readline().split()
        self.kernel_pid, self.host_pid = map(int, pids)
        until(lambda: any(is_light(line) for _, line in read_diary(diary)))

    def end(self) -> None:
        for pid in (self.kernel_pid, self.process.pid):
            if not ended(pid):
                kill_hard(pid)
        self.process.communicate()


@pytest.fixture
def diary(tmp_path: Path) -> Path:
    return tmp_path / "diary.txt"


@pytest.fixture
def server(diary: Path) -> Iterator[Server]:
    one = Server(diary)
    yield one
    one.end()


@pytest.mark.parametrize("kills_kernel", [True, False])
def test_the_host_makes_dark_and_releases(
    server: Server, diary: Path, kills_kernel: object
) -> None:
    kill_hard(server.process.pid)
    if kills_kernel:
        kill_hard(server.kernel_pid)
    until(lambda: ended(server.kernel_pid))
    died_s = time.perf_counter()
    until(lambda: ended(server.host_pid))
    gone_s = time.perf_counter()
    lit_s = max(t for t, line in read_diary(diary) if is_light(line))
    dark_s = when(diary, "slm show 0", lit_s)
    assert dark_s - died_s < DARK_S
    assert gone_s - died_s < RELEASE_S
    assert not claim_of(diary).exists()
    with host(LoggingRig, str(diary)) as mine:
        assert mine.facts().slm_shape is not None
