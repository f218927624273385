"""What every writer keeps, whatever the layout on disk."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from faro.errors import MissingFrameError, RunStateError, StorageError
from faro.model import FrameRole, Stack, StackNeeds
from faro.storage import OmeZarrWriter, OmeZarrWriterPlate, TiffWriter, open_run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from faro.model import CellTable, RunNeeds
    from faro.storage.writer import RunWriter

WRITERS: dict[str, type[RunWriter]] = {
    "collection": OmeZarrWriter,
    "plate": OmeZarrWriterPlate,
    "tiff": TiffWriter,
}
WELLS = {0: "A1_0000", 1: "A1_0001", 2: "C11", 3: "AB2"}


@pytest.fixture(params=WRITERS)
def kind(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture
def planned(needs: RunNeeds) -> RunNeeds:
    return replace(needs, fov_names=WELLS)


@pytest.fixture
def sink(kind: str, tmp_path: Path, planned: RunNeeds) -> RunWriter:
    made = WRITERS[kind](tmp_path / "run")
    assert not made.problems(planned)
    made.open(planned, {"stim_mode": "current"})
    return made


def stacks_of(make_stack: Callable[..., Stack]) -> list[Stack]:
    """Return stacks that differ in every way that a run allows, out of order."""
    other = np.full((2, 10, 12), 77, np.uint16)
    return [
        make_stack(1, 3),
        make_stack(0, 0),
        make_stack(0, 2, channels=("GFP",)),
        make_stack(0, 1, pixels=other),
        make_stack(1, 2, pixels=other.astype(np.uint8)),
        make_stack(0, 3, channels=("unplanned",)),
        make_stack(0, 2, role=FrameRole.STIM, channels=("Red",)),
        make_stack(1, 2, role=FrameRole.REF, channels=("BFP",)),
        make_stack(1, 1, pixels=np.zeros((2, 24, 40), np.uint16)),
        make_stack(0, 1, role=FrameRole.STIM, channels=("Cyan", "Red")),
        make_stack(2, 7),
        deep_stack(make_stack, 2, 4, 3),
        deep_stack(make_stack, 2, 5, 5),
        deep_stack(make_stack, 2, 6, 1),
    ]


def deep_stack(
    make_stack: Callable[..., Stack], fov: int, timestep: int, n_z: int
) -> Stack:
    """Return a stack with a z axis."""
    rng = np.random.default_rng(n_z)
    pixels = rng.integers(1, 99, (2, n_z, 24, 40), dtype=np.uint16)
    z_um = tuple(3.5 + 0.5 * z for z in range(n_z))
    more = {"z_um": z_um, "z_offsets_um": (0.0, 0.25)}
    return make_stack(fov, timestep, pixels=pixels, **more)


def assert_same(found: Stack, given: Stack) -> None:
    np.testing.assert_array_equal(found.pixels, given.pixels)
    assert found.pixels.dtype == given.pixels.dtype
    for name in ("channels", "fov", "timestep", "role", "acquired_s", "exposures_ms"):
        assert getattr(found, name) == getattr(given, name), name
    assert found.position_um == given.position_um
    assert (found.z_um, found.z_offsets_um) == (given.z_um, given.z_offsets_um)
    assert found.metadata == given.metadata


def test_what_was_stored_comes_back_at_once_and_after_closing(
    sink: RunWriter, make_stack: Callable[..., Stack]
) -> None:
    stacks = stacks_of(make_stack)
    early = open_run(sink.path)
    for stack in stacks:
        sink.store_stack(stack, {"lateness_s": 0.1})
        assert_same(early.stack(stack.fov, stack.timestep, role=stack.role), stack)
    sink.close({"reason": "completed"})
    for run in (early, open_run(sink.path)):
        for stack in stacks:
            found = run.stack(stack.fov, stack.timestep, role=stack.role)
            assert_same(found, stack)
            for channel, plane in zip(stack.channels, stack.pixels, strict=True):
                place = stack.fov, stack.timestep, channel
                planes = plane if stack.n_z else plane[None]
                found_planes = run.volume(*place, role=stack.role)
                np.testing.assert_array_equal(found_planes, planes)
                one = run.frame(*place, role=stack.role)
                np.testing.assert_array_equal(one, planes.max(axis=0))
        assert run.summary == {"reason": "completed"}
        assert run.fovs == (0, 1, 2)


def test_missing_is_not_black(
    sink: RunWriter, make_stack: Callable[..., Stack]
) -> None:
    black = make_stack(0, 1, pixels=np.zeros((2, 24, 40), np.uint16))
    sink.store_stack(black, {})
    sink.store_stack(make_stack(0, 3), {})
    run = open_run(sink.path)
    assert [run.has(0, t) for t in range(5)] == [False, True, False, True, False]
    assert not run.stack(0, 1).pixels.any()
    with pytest.raises(MissingFrameError, match="no frame of fov 0, timepoint 2"):
        run.stack(0, 2)
    assert not run.has(1, 0)
    assert not run.has(0, -1)
    assert not run.has(0, 1, role=FrameRole.STIM)


def test_a_second_stack_of_one_moment_is_kept_beside_the_first(
    sink: RunWriter, make_stack: Callable[..., Stack]
) -> None:
    first = make_stack(0, 0)
    second = make_stack(0, 0, pixels=first.pixels + 1)
    for stack in (first, second, make_stack(0, 1)):
        sink.store_stack(stack, {})
    run = open_run(sink.path)
    assert_same(run.stack(0, 0), first)
    series = [line["series"] for line in run.journal]
    assert series[0] == series[2] != series[1]


@pytest.mark.parametrize(
    "given", ["bool", "uint8", "uint16", "int32", "uint32", "int64"]
)
def test_labels_keep_every_id(
    sink: RunWriter, make_stack: Callable[..., Stack], given: str
) -> None:
    labels = np.zeros((24, 40), given)
    top = 1 if given == "bool" else min(np.iinfo(given).max, 4_000_000_000)
    labels[3:9, 4:20] = top
    sink.store_stack(make_stack(0, 0), {})
    for timestep in (2, 9):
        sink.store_labels("tracks", 0, timestep, labels)
    sink.store_labels("tracks", 0, 3, np.zeros((24, 40), given))
    run = open_run(sink.path)
    assert run.label_names == ("tracks",)
    for timestep in (2, 9):
        found = run.labels("tracks", 0, timestep)
        assert found.dtype in (np.uint8, np.int32, np.uint32)
        np.testing.assert_array_equal(found, labels)
    assert not run.labels("tracks", 0, 3).any()
    with pytest.raises(MissingFrameError):
        run.labels("tracks", 0, 0)


def test_stacks_of_one_moment_that_differ_in_planes_are_both_there(
    kind: str, tmp_path: Path, planned: RunNeeds, make_stack: Callable[..., Stack]
) -> None:
    sink = WRITERS[kind](tmp_path / "deep")
    two = (StackNeeds(("mCherry", "GFP"), 3, 0.5), StackNeeds(("BF",)))
    sink.open(replace(planned, stacks=dict.fromkeys(planned.fovs, two)), {})
    deep = deep_stack(make_stack, 0, 2, 3)
    flat = make_stack(0, 2, channels=("BF",))
    for stack in (deep, flat):
        sink.store_stack(stack, {})
    flat_labels, deep_labels = (
        np.ones((24, 40), np.int32),
        np.ones((3, 24, 40), np.int32),
    )
    sink.store_labels("nuclei", 0, 2, flat_labels)
    sink.store_labels("volumes", 0, 2, deep_labels)
    run = open_run(sink.path)
    for found, stored in zip(run.stacks(0, 2), (deep, flat), strict=True):
        assert_same(found, stored)
    np.testing.assert_array_equal(run.volume(0, 2, "GFP"), deep.pixels[1])
    np.testing.assert_array_equal(run.frame(0, 2, "GFP"), deep.plane("GFP"))
    with pytest.raises(MissingFrameError, match="plane 3"):
        run.frame(0, 2, "GFP", z=3)
    np.testing.assert_array_equal(run.frame(0, 2, "GFP", z=2), deep.pixels[1, 2])
    np.testing.assert_array_equal(run.frame(0, 2, "BF", z=0), flat.pixels[0])
    assert run.labels("nuclei", 0, 2).shape == (24, 40)
    assert run.labels("volumes", 0, 2).shape == (3, 24, 40)
    frames = run.frames
    assert frames["z"].tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert frames["z_um"].tolist() == [3.5, 4.0, 4.5, 3.75, 4.25, 4.75, 3.5]
    with pytest.raises(StorageError, match="has shape"):
        sink.store_labels("volumes", 0, 3, np.ones((2, 24, 40), np.int32))


def test_more_ids_than_16_bits_hold(sink: RunWriter) -> None:
    ids = np.arange(70_000, dtype=np.int32).reshape(200, 350)
    sink.store_labels("tracks", 0, 0, ids)
    np.testing.assert_array_equal(open_run(sink.path).labels("tracks", 0, 0), ids)


def test_what_cannot_be_stored_is_refused_and_what_is_stored_stays(
    sink: RunWriter, make_stack: Callable[..., Stack]
) -> None:
    good = make_stack(0, 0)
    sink.store_stack(good, {})
    sink.store_labels("tracks", 0, 0, np.ones((24, 40), np.int64))
    too_big = np.full((24, 40), 2**32, np.int64)
    with pytest.raises(StorageError, match="do not fit uint32"):
        sink.store_labels("tracks", 0, 1, too_big)
    with pytest.raises(StorageError, match="has shape"):
        sink.store_labels("tracks", 0, 1, np.ones((3, 4), np.int32))
    with pytest.raises(StorageError, match="cannot be called"):
        sink.store_labels("../tracks", 0, 1, np.ones((24, 40), np.int32))
    floats = replace(good, timestep=1, pixels=good.pixels.astype(np.float32))
    with pytest.raises(StorageError, match="has type float32"):
        sink.store_stack(floats, {})
    run = open_run(sink.path)
    assert_same(run.stack(0, 0), good)
    assert run.labels("tracks", 0, 0).all()
    assert [line["kind"] for line in run.journal] == ["frame", "labels"]


def test_extending_makes_room_and_late_positions_are_stored(
    sink: RunWriter, planned: RunNeeds, make_stack: Callable[..., Stack]
) -> None:
    sink.extend(replace(planned, fovs=(0, 1, 3), n_timepoints=6))
    late = make_stack(3, 5)
    sink.store_stack(late, {})
    run = open_run(sink.path)
    assert_same(run.stack(3, 5), late)
    assert run.fovs == (0, 1, 3)
    assert run.n_timepoints >= 6


def test_cells_and_journal_are_there(
    sink: RunWriter, make_cells: Callable[..., CellTable]
) -> None:
    sink.store_cells(0, 0, make_cells(0, 0))
    sink.record("note", what="something")
    sink.close({})
    run = open_run(sink.path)
    assert len(run.cells) == 3
    assert [line["kind"] for line in run.journal] == ["cells", "note"]


def test_a_folder_serves_one_run_and_a_writer_too(
    sink: RunWriter, kind: str, planned: RunNeeds, make_stack: Callable[..., Stack]
) -> None:
    again = WRITERS[kind](sink.path)
    (problem,) = again.problems(planned)
    assert "run_002" in problem.remedy
    with pytest.raises(StorageError, match="already holds a run"):
        again.open(planned, {})
    sink.close({})
    sink.close({})
    with pytest.raises(RunStateError, match="is closed"):
        sink.store_stack(make_stack(0, 0), {})


def test_two_threads_lose_nothing(
    sink: RunWriter, make_stack: Callable[..., Stack]
) -> None:
    def work(worker: int) -> None:
        for timestep in range(worker, 12, 2):
            for fov in (0, 1, 2):
                stack = make_stack(fov, timestep)
                sink.store_stack(stack, {})
                sink.store_labels("nuclei", fov, timestep, stack.pixels[0])

    threads = [threading.Thread(target=work, args=(w,)) for w in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run = open_run(sink.path)
    for fov in (0, 1, 2):
        for timestep in range(12):
            stack = make_stack(fov, timestep)
            assert_same(run.stack(fov, timestep), stack)
            labels = run.labels("nuclei", fov, timestep)
            np.testing.assert_array_equal(labels, stack.pixels[0])


places = st.tuples(st.integers(0, 3), st.integers(0, 9))


@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(order=st.lists(places, unique=True, max_size=12))
def test_any_places_in_any_order_are_there_and_no_others(
    kind: str,
    tmp_path_factory: pytest.TempPathFactory,
    planned: RunNeeds,
    make_stack: Callable[..., Stack],
    order: list[tuple[int, int]],
) -> None:
    sink = WRITERS[kind](tmp_path_factory.mktemp("any") / "run")
    sink.open(planned, {})
    for fov, timestep in order:
        sink.store_stack(make_stack(fov, timestep), {})
    run = open_run(sink.path)
    for fov in range(4):
        for timestep in range(10):
            assert run.has(fov, timestep) == ((fov, timestep) in order)
    for fov, timestep in order:
        assert_same(run.stack(fov, timestep), make_stack(fov, timestep))


WRITING = """
import sys
import numpy as np
import faro.storage
from faro.model import RunNeeds, Stack

writer = getattr(faro.storage, sys.argv[1])(sys.argv[2])
names = {0: "A1", 1: "B2"}
writer.open(RunNeeds(5, (0, 1), ("a", "b"), (96, 96), fov_names=names), {})
for number in range(100_000):
    fov, timestep = number % 2, number // 2
    pixels = np.random.default_rng(number).integers(0, 4096, (2, 96, 96), np.uint16)
    writer.store_stack(Stack(pixels, ("a", "b"), fov, timestep), {})
    sys.stdout.write(f"frame {number}\\n")
    writer.store_labels("nuclei", fov, timestep, pixels[0].astype(np.int32))
    sys.stdout.write(f"labels {number}\\n")
    sys.stdout.flush()
"""


def test_a_killed_run_holds_all_that_was_acknowledged(
    kind: str, tmp_path: Path
) -> None:
    name = WRITERS[kind].__name__
    command = [sys.executable, "-u", "-c", WRITING, name, str(tmp_path / "run")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = process.stdout.readline()
        time.sleep(0.3)
        process.kill()
        told += process.stdout.read()
    acknowledged = told[: told.rfind("\n")].splitlines()
    assert len(acknowledged) > 4
    run = open_run(tmp_path / "run")
    for text in acknowledged:
        word, number = text.split()[0], int(text.split()[1])
        rng = np.random.default_rng(number)
        pixels: Any = rng.integers(0, 4096, (2, 96, 96), np.uint16)
        place = number % 2, number // 2
        if word == "frame":
            np.testing.assert_array_equal(run.stack(*place).pixels, pixels)
        else:
            np.testing.assert_array_equal(run.labels("nuclei", *place), pixels[0])
