"""One process per rig, and the other one is told who holds it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from faro.errors import HardwareError
from faro.microscope.rig_lock import RigLock, lock_folder

if TYPE_CHECKING:
    from pathlib import Path

HOLD = """
import sys
from pathlib import Path
from faro.microscope.rig_lock import RigLock
lock = RigLock("C:/rigs/bench.cfg", Path(sys.argv[1]))
lock.acquire()
sys.stdout.write("held\\n"); sys.stdout.flush()
sys.stdin.read()
"""


def bench(folder: Path, wait_s: float = 0.0) -> RigLock:
    return RigLock("C:/rigs/bench.cfg", folder, wait_s)


def held_elsewhere(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_process_is_told_who_holds_the_rig_and_since_when(
    tmp_path: Path,
) -> None:
    with held_elsewhere(tmp_path) as process:
        said = rf"bench\.cfg is held by process {process.pid} on .* since \d{{4}}-"
        with pytest.raises(HardwareError, match=said):
            bench(tmp_path).acquire()
        process.kill()
    lock = bench(tmp_path)
    lock.acquire()
    assert lock.owner["pid"] == os.getpid()
    lock.release()
    lock.release()


def test_an_owner_that_is_ending_is_waited_for(tmp_path: Path) -> None:
    first, second = bench(tmp_path), bench(tmp_path, wait_s=20)
    first.acquire()
    threading.Timer(0.3, first.release).start()
    start = time.monotonic()
    second.acquire()
    assert time.monotonic() - start < 15
    assert second.owner["config"] == "C:/rigs/bench.cfg"
    second.release()


def test_rigs_do_not_wait_for_each_other(tmp_path: Path) -> None:
    locks = [RigLock(name, tmp_path, 0.0) for name in ("a/rig.cfg", "b/rig.cfg")]
    for lock in locks:
        lock.acquire()
    assert locks[0].path != locks[1].path
    for lock in locks:
        lock.release()


def test_a_child_that_lets_go_leaves_the_rig_to_its_parent(tmp_path: Path) -> None:
    lock = bench(tmp_path)
    lock.acquire()
    lock.abandon()
    again = bench(tmp_path)
    again.acquire()
    again.release()


@pytest.mark.parametrize("text", ["", "no json", json.dumps([1])])
def test_a_lock_file_that_says_nothing_is_no_obstacle(
    text: str, tmp_path: Path
) -> None:
    first, second = bench(tmp_path), bench(tmp_path)
    first.acquire()
    first.path.write_text(text, encoding="utf-8")
    with pytest.raises(HardwareError, match=r"process \? on \? since \?"):
        second.acquire()
    first.release()


def test_the_folder_is_this_users() -> None:
    assert lock_folder().is_dir()


def test_a_lock_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(HardwareError, match=r"lock file of the rig .*bench-"):
        bench(tmp_path / "no such folder").acquire()
