"""Every way in which a process can end, as real processes: released, dark, in time."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from faro.testing.exclusive_dmd import ControllerProcess, ExclusiveDmd
from faro.testing.exit_cases import CASES, GROUPS, Core, ExitCase
from faro.testing.exit_matrix import run_case

if TYPE_CHECKING:
    from pathlib import Path

SLACK = 5
AT_ONCE = 2
FIRST = (
    ("normal exit", Core.UNI),
    ("exception at module level", Core.CPP),
    ("SIGTERM, blocked run", Core.UNI),
    ("os.fork, the child exits", Core.UNI),
    ("the guard is told to forget it", Core.UNI),
)

Job = tuple[ExitCase, Core]


def unmet(jobs: list[Job], folder: Path) -> dict[str, list[str]]:
    """Run the cases, some at a time; return what was not as promised."""

    def one(numbered: tuple[int, Job]) -> tuple[str, list[str]]:
        number, (case, core) = numbered
        place = folder / str(number)
        place.mkdir()
        result = run_case(case, core, place)
        problems = result.problems(SLACK)
        if problems:
            problems.append(result.output[-2000:])
        return f"{case.name}, {core}", problems

    with ThreadPoolExecutor(AT_ONCE) as pool:
        results = list(pool.map(one, enumerate(jobs)))
    return {name: problems for name, problems in results if problems}


def test_the_commonest_ends_release_the_devices(tmp_path: Path) -> None:
    jobs = [(case, core) for case in CASES for core in case.cores]
    first = [job for job in jobs if (job[0].name, job[1]) in FIRST]
    assert first
    assert unmet(first, tmp_path) == {}


def test_the_log_of_an_exit_shows_the_chain_with_times(tmp_path: Path) -> None:
    (case,) = [case for case in CASES if case.name == "finite run"]
    assert not run_case(case, Core.UNI, tmp_path).problems(SLACK)
    lines = (tmp_path / "a" / "marks.jsonl").read_text(encoding="utf-8").splitlines()
    said = "\n".join(json.loads(line)["what"] for line in lines)
    chain = [
        r"_atexit_teardown: 1 open",
        r"SLM 'DMD' blank",
        r"_teardown_hardware: ok, \d+\.\d+ s",
        r"unloadAllDevices: ok, \d+\.\d+ s",
        r"released: \{.*\"seconds\"",
        r"_atexit_teardown: done after \d+\.\d+ s",
    ]
    assert re.search(".*".join(chain), said, re.DOTALL), said


@pytest.mark.long
@pytest.mark.timeout(500)
@pytest.mark.parametrize("group", GROUPS)
def test_every_end_releases_the_devices(group: str, tmp_path: Path) -> None:
    jobs = [
        (case, core) for case in CASES if case.group == group for core in case.cores
    ]
    assert unmet(jobs, tmp_path) == {}


@pytest.mark.parametrize("transport", ["pty", "tcp"])
def test_the_controller_keeps_its_claim_until_it_is_released(
    transport: str, tmp_path: Path
) -> None:
    if transport == "pty":
        pytest.importorskip("pty", exc_type=ImportError)
    with ControllerProcess(tmp_path, transport) as controller:
        first, second = ExclusiveDmd(), ExclusiveDmd()
        first.port = second.port = controller.port
        first.initialize()
        with pytest.raises(RuntimeError, match="device in use"):
            second.initialize()
        first.shutdown()
        second.initialize()
        second.shutdown()
        first.shutdown()
        said = [entry.what for entry in controller.entries()]
    assert [what for what in said if what != "BUSY"] == ["CLAIM", "RELEASE"] * 2
