"""Images: any order, growth, other channels and shapes, missing against black."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faro.errors import MissingFrameError, StorageError
from faro.model import FrameRole, RunNeeds, Stack
from faro.storage import OmeZarrWriter, open_run
from faro.storage.jsontext import read_document

if TYPE_CHECKING:
    from collections.abc import Callable

PLACES = st.tuples(st.integers(0, 2), st.integers(0, 6))


@settings(deadline=None, max_examples=25)
@given(order=st.lists(PLACES, unique=True, min_size=1, max_size=12))
def test_any_order_and_beyond_the_plan_every_stack_is_where_it_belongs(
    order: list[tuple[int, int]],
) -> None:
    with TemporaryDirectory() as folder:
        writer = OmeZarrWriter(Path(folder) / "run")
        writer.open(RunNeeds(3, (0, 1), ("a", "b"), (4, 6), "uint8"), {})
        run = open_run(writer.path)
        for fov, timestep in order:
            pixels = np.full((2, 4, 6), 10 * fov + timestep, np.uint8)
            writer.store_stack(Stack(pixels, ("a", "b"), fov, timestep), {})
            assert (run.frame(fov, timestep, "b") == 10 * fov + timestep).all()
        for fov in range(3):
            for timestep in range(7):
                assert run.has(fov, timestep) == ((fov, timestep) in order)
        for fov, timestep in order:
            stack = run.stack(fov, timestep)
            assert (stack.pixels == 10 * fov + timestep).all()
        assert set(run.fovs) == {0, 1} | {fov for fov, _ in order}
        assert run.n_timepoints == max(3, *(t + 1 for _, t in order))


def test_a_stack_is_one_file(
    writer: OmeZarrWriter, make_stack: Callable[..., Stack]
) -> None:
    writer.store_stack(make_stack(0, 0), {})
    folder = writer.path / "images.ome.zarr" / "p000.ome.zarr" / "0"
    assert sorted(p.name for p in folder.iterdir()) == ["c.0.0.0.0", "zarr.json"]


def test_a_black_frame_is_no_missing_frame(
    writer: OmeZarrWriter, make_stack: Callable[..., Stack]
) -> None:
    black = np.zeros((2, 24, 40), np.uint16)
    writer.store_stack(make_stack(0, 1, pixels=black), {})
    run = open_run(writer.path)
    assert run.has(0, 1)
    assert not run.frame(0, 1, "GFP").any()
    assert not run.has(0, 0)
    with pytest.raises(MissingFrameError, match=r"no frame of fov 0, timepoint 0, ch"):
        run.frame(0, 0, "GFP")
    with pytest.raises(MissingFrameError, match=r"fovs 0, 1, 4 timepoints, channels"):
        run.stack(0, 0)


def test_an_empty_label_image_is_no_missing_one(writer: OmeZarrWriter) -> None:
    writer.store_labels("nuclei", 0, 1, np.zeros((24, 40), np.int32))
    run = open_run(writer.path)
    assert not run.labels("nuclei", 0, 1).any()
    with pytest.raises(MissingFrameError, match="Label images of this run: nuclei"):
        run.labels("nuclei", 0, 0)
    with pytest.raises(MissingFrameError, match="no labels 'rings'"):
        run.labels("rings", 0, 1)
    with pytest.raises(MissingFrameError, match="no labels 'nuclei' of fov 1"):
        run.labels("nuclei", 1, 1)


def test_some_of_the_planned_channels_leave_the_others_missing(
    writer: OmeZarrWriter, make_stack: Callable[..., Stack]
) -> None:
    only = make_stack(0, 2, channels=("GFP",))
    writer.store_stack(only, {})
    run = open_run(writer.path)
    assert run.has(0, 2, "GFP")
    assert not run.has(0, 2, "mCherry")
    np.testing.assert_array_equal(run.frame(0, 2, "GFP"), only.plane(0))
    stack = run.stack(0, 2)
    assert stack.channels == ("GFP",)
    np.testing.assert_array_equal(stack.pixels, only.pixels)


def test_stimulation_and_reference_have_series_of_their_own_when_first_needed(
    writer: OmeZarrWriter, make_stack: Callable[..., Stack]
) -> None:
    images = writer.path / "images.ome.zarr"
    assert not (images / "p001_stim.ome.zarr").exists()
    red = make_stack(1, 3, role=FrameRole.STIM, channels=("Red",))
    ref = make_stack(1, 3, role=FrameRole.REF, channels=("BFP",))
    for stack in (make_stack(1, 3), red, ref):
        writer.store_stack(stack, {})
    names = {p.name for p in images.iterdir() if p.name.startswith("p001")}
    assert names == {"p001.ome.zarr", "p001_stim.ome.zarr", "p001_ref.ome.zarr"}
    listed = read_document(images / "OME" / "zarr.json")["attributes"]["ome"]["series"]
    assert set(listed) == names | {"p000.ome.zarr"}
    run = open_run(writer.path)
    found = run.stack(1, 3, role=FrameRole.STIM)
    assert (found.channels, found.role) == (("Red",), FrameRole.STIM)
    np.testing.assert_array_equal(found.pixels, red.pixels)
    np.testing.assert_array_equal(
        run.frame(1, 3, "BFP", role=FrameRole.REF), ref.plane(0)
    )
    assert run.stack(1, 3).channels == ("mCherry", "GFP")


@pytest.mark.parametrize(
    "changes",
    [
        {"pixels": np.ones((2, 10, 12), np.uint16)},
        {"pixels": np.ones((2, 24, 40), np.uint8)},
        {"pixels": np.ones((1, 24, 40), np.uint16), "channels": ("unplanned",)},
    ],
    ids=["other_roi", "other_dtype", "other_channel"],
)
def test_a_stack_that_differs_goes_to_its_own_series_and_shifts_none(
    writer: OmeZarrWriter, make_stack: Callable[..., Stack], changes: dict[str, Any]
) -> None:
    ordinary, odd = make_stack(0, 0), make_stack(0, 1, **changes)
    for stack in (ordinary, odd, make_stack(0, 2)):
        writer.store_stack(stack, {})
    run = open_run(writer.path)
    for stack in (ordinary, odd):
        found = run.stack(0, stack.timestep)
        assert found.channels == stack.channels
        assert found.pixels.dtype == stack.pixels.dtype
        np.testing.assert_array_equal(found.pixels, stack.pixels)
    assert (writer.path / "images.ome.zarr" / "p000_1.ome.zarr").is_dir()


def test_a_second_stack_of_one_moment_never_overwrites_the_first(
    writer: OmeZarrWriter, make_stack: Callable[..., Stack]
) -> None:
    first = make_stack(0, 0)
    second = make_stack(0, 0, pixels=first.pixels + 1)
    writer.store_stack(first, {})
    writer.store_stack(second, {})
    run = open_run(writer.path)
    np.testing.assert_array_equal(run.stack(0, 0).pixels, first.pixels)
    series = [line["series"] for line in run.journal]
    assert series == ["p000.ome.zarr", "p000_1.ome.zarr"]


def test_a_channel_that_is_imaged_twice_keeps_both_planes(
    tmp_path: Path, needs: RunNeeds, make_stack: Callable[..., Stack]
) -> None:
    writer = OmeZarrWriter(tmp_path / "run")
    writer.open(replace(needs, channels=("GFP", "GFP")), {})
    stack = make_stack(0, 0, channels=("GFP", "GFP"))
    writer.store_stack(stack, {})
    found = open_run(writer.path).stack(0, 0)
    assert found.channels == ("GFP", "GFP")
    np.testing.assert_array_equal(found.pixels, stack.pixels)


def test_extending_makes_room_for_time_and_fovs(
    writer: OmeZarrWriter, needs: RunNeeds, make_stack: Callable[..., Stack]
) -> None:
    writer.store_labels("nuclei", 0, 0, np.ones((24, 40), np.int32))
    run = open_run(writer.path)
    assert run.n_timepoints == 4
    writer.extend(replace(needs, n_timepoints=9, fovs=(0, 1, 5)))
    assert (run.n_timepoints, run.fovs) == (9, (0, 1, 5))
    writer.store_stack(make_stack(5, 8), {})
    writer.store_labels("nuclei", 0, 8, np.full((24, 40), 7, np.int32))
    assert run.has(5, 8)
    assert (run.labels("nuclei", 0, 8) == 7).all()
    writer.extend(needs)
    assert run.n_timepoints == 9


def test_two_threads_store_every_stack_and_label(
    writer: OmeZarrWriter, make_stack: Callable[..., Stack]
) -> None:
    def work(worker: int) -> None:
        for timestep in range(worker, 40, 2):
            for fov in (0, 1, 2):
                stack = make_stack(fov, timestep)
                writer.store_stack(stack, {})
                labels = stack.pixels[0].astype(np.int32)
                writer.store_labels("nuclei", fov, timestep, labels)
                writer.store_labels(f"by_{worker}", fov, timestep, labels)

    threads = [threading.Thread(target=work, args=(w,)) for w in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run = open_run(writer.path)
    assert set(run.label_names) == {"nuclei", "by_0", "by_1"}
    for fov in (0, 1, 2):
        for timestep in range(40):
            expected = make_stack(fov, timestep).pixels
            np.testing.assert_array_equal(run.stack(fov, timestep).pixels, expected)
            labels = run.labels("nuclei", fov, timestep)
            np.testing.assert_array_equal(labels, expected[0])
    assert len(run.journal) == 3 * 40 * 3


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("bool", "uint8"),
        ("uint8", "uint8"),
        ("int32", "int32"),
        ("uint16", "int32"),
        ("uint32", "uint32"),
        ("int64", "uint32"),
    ],
)
def test_labels_keep_their_values_in_a_type_that_readers_know(
    writer: OmeZarrWriter, given: str, stored: str
) -> None:
    top = min(np.iinfo(given).max, 2**32 - 1) if given != "bool" else 1
    labels = np.zeros((24, 40), given)
    labels[2:5, 3:9] = top
    writer.store_labels("tracks", 0, 0, labels)
    found = open_run(writer.path).labels("tracks", 0, 0)
    assert found.dtype == stored
    np.testing.assert_array_equal(found, labels)


@pytest.mark.parametrize("value", [2**32, -1])
def test_an_id_that_would_wrap_is_refused(writer: OmeZarrWriter, value: int) -> None:
    labels = np.ones((24, 40), np.int64)
    writer.store_labels("tracks", 0, 0, labels)
    labels[0, 0] = value
    with pytest.raises(StorageError, match="'tracks' do not fit uint32"):
        writer.store_labels("tracks", 0, 1, labels)


def test_labels_of_another_shape_are_refused(writer: OmeZarrWriter) -> None:
    writer.store_labels("nuclei", 0, 0, np.ones((24, 40), np.int32))
    with pytest.raises(StorageError, match=r"'nuclei' has shape \(40, 24\)"):
        writer.store_labels("nuclei", 0, 1, np.ones((40, 24), np.int32))


def test_a_label_name_that_leaves_the_folder_is_refused(writer: OmeZarrWriter) -> None:
    with pytest.raises(StorageError, match=r"cannot be called '\.\./x'"):
        writer.store_labels("../x", 0, 0, np.ones((24, 40), np.int32))


def test_labels_stored_again_replace_the_first(writer: OmeZarrWriter) -> None:
    for value in (200, 100):
        mask = np.full((24, 40), value, np.uint8)
        writer.store_labels("stim_mask", 0, 0, mask)
    assert (open_run(writer.path).labels("stim_mask", 0, 0) == 100).all()


def test_labels_of_a_fov_without_images_are_kept(writer: OmeZarrWriter) -> None:
    writer.store_labels("nuclei", 8, 0, np.ones((10, 12), np.int32))
    run = open_run(writer.path)
    assert run.labels("nuclei", 8, 0).shape == (10, 12)
    assert run.fovs == (0, 1, 8)
