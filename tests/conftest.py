"""What every test shares: no leaked thread, the shared data, the settings of a run."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
SHARED_DATA = ROOT.parent / "shared" / "data"
LEAK_GRACE_S = 5.0
# Pools that libraries keep for the life of the process (dask, zarr, asyncio).
LIBRARY_POOLS = ("ThreadPoolExecutor-", "zarr", "asyncio_")

hypothesis.settings.register_profile("faro", deadline=None)
hypothesis.settings.register_profile(
    "faro-ci", deadline=None, derandomize=True, database=None, print_blob=True
)
in_ci = bool(os.environ.get("CI"))  # noqa: TID251  the runner says so, not the user
hypothesis.settings.load_profile("faro-ci" if in_ci else "faro")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rig", help="Run the tests marked 'hardware' on this rig.")


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Leave tests marked ``hardware`` out unless ``--rig`` names a rig."""
    if config.getoption("--rig"):
        return
    at_a_rig = [item for item in items if item.get_closest_marker("hardware")]
    if at_a_rig:
        config.hook.pytest_deselected(items=at_a_rig)
        items[:] = [item for item in items if item not in at_a_rig]


@pytest.fixture(scope="session")
def rig(request: pytest.FixtureRequest) -> str:
    """Return the name given with ``--rig``."""
    return str(request.config.getoption("--rig"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of recordings; skip where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("needs the recordings of ../shared/data")
    return SHARED_DATA


def is_leak(thread: threading.Thread) -> bool:
    """Say whether ``thread`` should have ended with the test that started it."""
    if thread.name.startswith("faro-mda"):
        return True
    return not thread.daemon and not thread.name.startswith(LIBRARY_POOLS)


@pytest.fixture(autouse=True)
def no_leaked_thread() -> Iterator[None]:
    """Fail a test that leaves an acquisition or a non-daemon thread behind."""
    before = set(threading.enumerate())
    yield
    deadline_s = time.monotonic() + LEAK_GRACE_S
    suspects = [t for t in set(threading.enumerate()) - before if is_leak(t)]
    for thread in suspects:
        thread.join(max(0.0, deadline_s - time.monotonic()))
    left = sorted(t.name for t in suspects if t.is_alive())
    if left:
        pytest.fail(f"threads left running: {', '.join(left)}", pytrace=False)
