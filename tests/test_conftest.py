"""The shared fixtures do what they promise, shown on small test files."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

CONFTEST = Path(__file__).parent / "conftest.py"

LEAKY = """
import threading

STOP = threading.Event()

def test_leaks():
    threading.Thread(target=STOP.wait, name={name!r}, daemon={daemon}).start()

def test_next():
    STOP.set()
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """Return an empty project with our conftest, and no grace for leaks."""
    text = CONFTEST.read_text(encoding="utf-8")
    assert "LEAK_GRACE_S = 5.0" in text
    pytester.makeconftest(text.replace("LEAK_GRACE_S = 5.0", "LEAK_GRACE_S = 0.05"))
    pytester.makeini("[pytest]\nmarkers = hardware: at a rig")
    return pytester


@pytest.mark.parametrize(
    ("name", "daemon", "errors"),
    [
        ("anything", False, 1),
        ("faro-mda-3", True, 1),
        ("quiet-daemon", True, 0),
        ("ThreadPoolExecutor-0_1", False, 0),
    ],
)
def test_a_thread_left_behind_fails_the_test_that_left_it(
    project: pytest.Pytester, name: str, *, daemon: bool, errors: int
) -> None:
    project.makepyfile(LEAKY.format(name=name, daemon=daemon))
    result = project.runpytest_inprocess()
    result.assert_outcomes(passed=2, errors=errors)
    if errors:
        result.stdout.fnmatch_lines([f"*threads left running: {name}*"])


def test_hardware_tests_run_only_at_a_named_rig(project: pytest.Pytester) -> None:
    project.makepyfile(
        """
        import pytest

        @pytest.mark.hardware
        def test_rig(rig):
            assert rig == "Moench"

        def test_plain():
            pass
        """
    )
    project.runpytest_inprocess().assert_outcomes(passed=1, deselected=1)
    project.runpytest_inprocess("--rig", "Moench").assert_outcomes(passed=2)


def test_shared_data_skips_with_a_reason_where_it_is_absent(
    project: pytest.Pytester,
) -> None:
    project.makepyfile("def test_reads(shared_data):\n    assert shared_data.is_dir()")
    result = project.runpytest_inprocess("-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*needs the recordings of ../shared/data*"])
