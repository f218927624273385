"""A host that does not start says why; one that is left alone ends by itself."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from faro.errors import HardwareError
from faro.microscope.host import host
from faro.testing.logging_rig import LoggingRig, claim_of

if TYPE_CHECKING:
    from pathlib import Path

WAIT_S = 30.0


def test_what_the_devices_said_reaches_the_client(tmp_path: Path) -> None:
    diary = tmp_path / "diary.txt"
    claim_of(diary).write_text("4711", encoding="utf-8")
    with pytest.raises(HardwareError, match=r"did not initialise: 'DMD'") as caught:
        host(LoggingRig, str(diary))
    assert "the device host of faro.testing.logging_rig" in caught.value.__notes__[0]
    assert claim_of(diary).read_text(encoding="utf-8") == "4711"


def test_a_class_that_is_not_there_is_said() -> None:
    with pytest.raises(HardwareError, match=r"'no.such:Rig' cannot be imported"):
        host("no.such:Rig")


def test_wrong_arguments_are_said() -> None:
    with pytest.raises(HardwareError, match=r"TypeError: .*nonsense"):
        host(LoggingRig, nonsense=3)


def test_a_host_that_dies_at_the_start_shows_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = tmp_path / "suicidal.py"
    lines = (
        "import os, sys",
        "sys.stderr.write('adapter exploded')",
        "sys.stderr.flush()",
        "os._exit(7)",
    )
    rig.write_text("\n".join(lines), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(HardwareError, match=r"exit code 7.[^$]*adapter exploded"):
        host("suicidal:Rig")


def test_a_load_that_takes_too_long_is_given_up_and_released(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    diary = tmp_path / "diary.txt"
    monkeypatch.setenv("FARO_HOST_START_S", "2")
    with pytest.raises(HardwareError, match=r"not done after 2 s") as caught:
        host(LoggingRig, str(diary), load_s=3.0)
    pid = int(str(caught.value).partition("(process ")[2].partition(")")[0])
    deadline_s = time.monotonic() + WAIT_S
    while alive(pid) and time.monotonic() < deadline_s:
        time.sleep(0.05)
    assert not alive(pid)
    assert diary.exists()
    assert not claim_of(diary).exists()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
