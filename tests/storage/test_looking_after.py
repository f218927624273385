"""`verify`, `repair`, `pack`: damage is found, told and, where possible, mended.

Runs of every layout, finished and killed; the damage is done to the files.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaozarrs
import zarr
from typer.testing import CliRunner

from faro.cli import app
from faro.errors import StorageError
from faro.model import FrameRole
from faro.storage import open_run, pack, repair, verify
from faro.storage.held import Hold, is_held
from faro.storage.mending import facts_on_disk
from faro.testing.killing import killed
from faro.testing.storage_trials import LAYOUTS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from faro.model import CellTable, RunNeeds, Stack

N_TIMEPOINTS = 5
WELLS = {0: "A1", 1: "B2"}


@dataclass
class Made:
    """A run, and what is in it."""

    path: Path
    layout: str
    stacks: list[Stack]

    def file(self, fov: int, timestep: int) -> Path:
        """Return the file of an imaging stack."""
        images = self.path / "images.ome.zarr"
        if self.layout == "tiff":
            name = f"p{fov:03d}"
            return self.path / "images" / name / f"{name}_t{timestep:05d}.ome.tif"
        folder = f"p{fov:03d}.ome.zarr"
        if self.layout == "plate":
            folder = f"{WELLS[fov][0]}/{WELLS[fov][1:]}/0"
        return images / folder / "0" / f"c.{timestep}.0.0.0"


def errors(path: Path) -> list[str]:
    return [str(p) for p in verify(path) if p.severity == "error"]


def warnings(path: Path) -> list[str]:
    return [str(p) for p in verify(path) if p.severity == "warning"]


@pytest.fixture
def make(
    tmp_path: Path,
    needs: RunNeeds,
    make_stack: Callable[..., Stack],
    make_cells: Callable[..., CellTable],
) -> Callable[..., Made]:
    def made(layout: str, *, close: bool = True) -> Made:
        path = tmp_path / "run"
        writer = LAYOUTS[layout](path)
        writer.open(replace(needs, fov_names=WELLS), {})
        stacks = [make_stack(p, t) for t in range(N_TIMEPOINTS) for p in (0, 1)]
        stacks[3] = make_stack(1, 1, channels=("GFP",))
        stim = {"role": FrameRole.STIM, "channels": ("Red", "Cyan")}
        stacks.append(make_stack(0, 3, **stim))
        for stack in stacks:
            writer.store_stack(stack, {})
        for timestep in range(N_TIMEPOINTS):
            labels = np.arange(24 * 40).reshape(24, 40) * timestep
            writer.store_labels("nuclei", 1, timestep, labels)
            writer.store_labels("nuclei", 1, timestep, labels + 1)
            writer.store_cells(0, timestep, make_cells(0, timestep))
        if close:
            writer.close({"reason": "completed"})
        elif writer._hold is not None:
            writer._hold.release()
        return Made(path, layout, stacks)

    return made


def assert_stacks(made: Made, lost: tuple[tuple[int, int], ...] = ()) -> None:
    run = open_run(made.path)
    for stack in made.stacks:
        if (stack.fov, stack.timestep) not in lost:
            found = run.stack(stack.fov, stack.timestep, role=stack.role)
            by_name = dict(zip(found.channels, found.pixels, strict=True))
            for name, plane in zip(stack.channels, stack.pixels, strict=True):
                np.testing.assert_array_equal(by_name[name], plane)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_finished_run_has_no_fault_and_is_not_touched(
    make: Callable[..., Made], layout: str
) -> None:
    path = make(layout).path
    assert verify(path) == []
    before = {p: p.read_bytes() for p in path.rglob("*") if p.is_file()}
    assert repair(path) == []
    assert before == {p: p.read_bytes() for p in path.rglob("*") if p.is_file()}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_run_that_was_not_closed_gets_its_tables(
    make: Callable[..., Made], layout: str
) -> None:
    path = make(layout, close=False).path
    assert errors(path) == []
    (warning,) = warnings(path)
    assert "not closed" in warning
    assert repair(path) == ["wrote 15 rows to cells.parquet"]
    assert errors(path) == []
    assert len(open_run(path).cells) == 15


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_killed_run_is_checked_and_mended(tmp_path: Path, layout: str) -> None:
    path = tmp_path / "run"
    outcome = killed(path, layout, 0.4)
    assert errors(path) == []
    with (path / "journal.jsonl").open("ab") as file:
        file.write(b'{"kind":"frame","fo')
    segment = next((path / "tables" / "cells").glob("*.arrows"))
    with segment.open("ab") as file:
        file.write(b"\xff\xff\xff\xff\x88")
    told = " ".join(warnings(path))
    assert "last line is torn (19 bytes)" in told
    assert "end is torn (5 bytes)" in told
    assert "not closed" in told
    done = " ".join(repair(path))
    assert "cut 19 bytes" in done
    assert "cut 5 bytes" in done
    assert errors(path) == []
    assert not [w for w in warnings(path) if "torn" in w or "never acknowledged" in w]
    assert repair(path) == []
    frames = [line for line in open_run(path).journal if line["kind"] == "frame"]
    assert len(frames) >= outcome.acknowledged["frame"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_missing_image_file_is_found_and_its_loss_recorded(
    make: Callable[..., Made], layout: str
) -> None:
    made = make(layout)
    made.file(0, 2).unlink()
    assert errors(made.path)[0].startswith("frame/fov 0, timepoint 2: is missing")
    assert "recorded the loss" in repair(made.path)[0]
    assert errors(made.path) == []
    assert any("timepoint 2" in w and "faro repair" in w for w in warnings(made.path))
    assert_stacks(made, lost=((0, 2),))
    assert repair(made.path) == []


@pytest.mark.parametrize("layout", LAYOUTS)
def test_flipped_bytes_are_found_and_the_file_set_aside(
    make: Callable[..., Made], layout: str
) -> None:
    made = make(layout)
    file = made.file(1, 4)
    data = bytearray(file.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4] = bytes(byte ^ 0xFF for byte in data[middle : middle + 4])
    file.write_bytes(data)
    (error,) = errors(made.path)
    assert error.startswith("frame/fov 1, timepoint 4: ")
    done = repair(made.path)
    assert any(line.startswith("set aside") for line in done)
    kept = made.path / "quarantine" / file.relative_to(made.path)
    assert kept.read_bytes() == data
    assert errors(made.path) == []
    assert_stacks(made, lost=((1, 4),))


def test_an_image_in_the_place_of_another_is_found(make: Callable[..., Made]) -> None:
    made = make("collection")
    shutil.copy(made.file(0, 0), made.file(0, 1))
    (error,) = errors(made.path)
    assert "timepoint 1: differs from what was written" in error


def test_damaged_labels_are_found_and_their_loss_recorded(
    make: Callable[..., Made],
) -> None:
    made = make("collection")
    folder = made.path / "images.ome.zarr/p001.ome.zarr/labels/nuclei/0"
    (folder / "c.2.0.0").unlink()
    shutil.copy(folder / "c.1.0.0", folder / "c.3.0.0")
    missing, differs = errors(made.path)
    assert missing.startswith("labels 'nuclei'/fov 1, timepoint 2: is missing")
    assert differs.startswith("labels 'nuclei'/fov 1, timepoint 3: differs")
    assert len(repair(made.path)) == 3
    assert errors(made.path) == []


def test_a_file_that_nobody_was_told_of_is_set_aside(make: Callable[..., Made]) -> None:
    made = make("collection", close=False)
    stray = made.file(0, 0).with_name("c.3.0.0.0")
    made.file(1, 3).replace(stray)
    labels = made.path / "images.ome.zarr/p001.ome.zarr/labels/nuclei/0"
    shutil.copy(labels / "c.0.0.0", labels / "c.9.0.0")
    told = warnings(made.path)
    assert any("c.9.0.0: no line of the journal" in w for w in told)
    repair(made.path)
    assert not (labels / "c.9.0.0").exists()
    assert len(list((made.path / "quarantine").rglob("c.9.0.0"))) == 1


def test_a_damaged_line_of_the_journal_is_found_and_kept(
    make: Callable[..., Made],
) -> None:
    made = make("collection")
    journal = made.path / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    lines[4] = b"\0" * 20 + lines[4][20:]
    journal.write_bytes(b"".join(lines))
    assert any(
        e.startswith("journal.jsonl:5: line 5 is damaged") for e in errors(made.path)
    )
    assert "set aside 1 damaged lines of journal.jsonl" in repair(made.path)
    kept = made.path / "quarantine" / "journal.jsonl.damaged"
    assert kept.read_bytes() == lines[4]
    # Its stack may have been acknowledged, so that it stays where it is.
    assert made.file(0, 2).exists()
    assert_stacks(made)
    assert errors(made.path) == []


def test_damage_inside_the_cell_table_is_found(make: Callable[..., Made]) -> None:
    made = make("collection", close=False)
    segment = made.path / "tables" / "cells" / "p000.arrows"
    data = bytearray(segment.read_bytes())
    line = [x for x in open_run(made.path).journal if x["kind"] == "cells"][2]
    data[line["offset"] + line["n_bytes"] - 8] ^= 0xFF
    segment.write_bytes(data)
    (error,) = errors(made.path)
    assert error.startswith("cells/fov 0, timepoint 2: differs from what was written")
    segment.write_bytes(data[: line["offset"]])
    found = errors(made.path)
    assert any(
        "timepoint 4: has 0 rows, and the journal tells of 3" in e for e in found
    )


def test_damage_inside_the_parquet_file_is_found(make: Callable[..., Made]) -> None:
    made = make("collection")
    table = made.path / "tables" / "cells.parquet"
    data = bytearray(table.read_bytes())
    data[40] ^= 0xFF
    table.write_bytes(data)
    assert any(e.startswith("tables/cells: cannot be read") for e in errors(made.path))


def test_metadata_that_is_not_valid_is_found(make: Callable[..., Made]) -> None:
    made = make("collection")
    group = made.path / "images.ome.zarr/p001.ome.zarr/zarr.json"
    said = json.loads(group.read_text())
    del said["attributes"]["ome"]["multiscales"][0]["axes"]
    group.write_text(json.dumps(said))
    assert any("is not valid NGFF" in e for e in errors(made.path))


def test_ome_xml_that_a_power_cut_took_is_written_anew(
    make: Callable[..., Made],
) -> None:
    made = make("collection", close=False)
    path = made.path / "images.ome.zarr/p001.ome.zarr/frames.ome.xml"
    whole = path.read_text()
    for text in ("", whole[:-400], whole.replace("<Plane", "<Plain")):
        path.write_text(text)
        assert any("frames.ome.xml" in e for e in errors(made.path))
        assert any("frames.ome.xml" in line for line in repair(made.path))
        assert errors(made.path) == []
        assert path.read_text().count("<Plane") == whole.count("<Plane")


def test_what_the_metadata_say_is_read_back(make: Callable[..., Made]) -> None:
    made = make("collection")
    facts, n_timepoints = facts_on_disk(made.path / "images.ome.zarr/p000.ome.zarr")
    assert facts.format.channels == ("mCherry", "GFP")
    assert (facts.format.shape, facts.format.dtype) == ((24, 40), "uint16")
    assert (facts.place.pixel_size_um, facts.place.interval_s) == (0.325, 30.0)
    assert facts.place.position_um[:2] == (100.0, -20.0)
    assert n_timepoints == N_TIMEPOINTS


def test_a_run_that_is_being_written_is_left_alone(
    make: Callable[..., Made],
) -> None:
    made = make("collection", close=False)
    hold = Hold(made.path)
    assert is_held(made.path)
    assert any("is being written" in w for w in warnings(made.path))
    for touch in (repair, pack):
        with pytest.raises(StorageError, match=r"being written|not closed"):
            touch(made.path)
    hold.release()
    hold.release()
    assert not is_held(made.path)


@pytest.mark.parametrize("layout", ["collection", "plate"])
def test_packing_keeps_every_image_in_fewer_files(
    make: Callable[..., Made], layout: str
) -> None:
    made = make(layout)
    labels = open_run(made.path).labels("nuclei", 1, 3)
    done = pack(made.path, 2)
    assert done.files_after < done.files_before
    assert done.files_before == len(made.stacks) + N_TIMEPOINTS
    assert_stacks(made)
    run = open_run(made.path)
    assert run.has(1, 1, "GFP")
    assert not run.has(1, 1, "mCherry")
    np.testing.assert_array_equal(run.labels("nuclei", 1, 3), labels)
    assert errors(made.path) == []
    yaozarrs.validate_zarr_store(str(made.path / "images.ome.zarr"))
    array: Any = zarr.open_array(made.file(0, 0).parent)
    assert array.shards == (2, 2, 24, 40)
    np.testing.assert_array_equal(array[3], made.stacks[6].pixels)
    assert pack(made.path).arrays == 0
    assert run.journal[-1]["kind"] == "packed"


PACKING = """
import os, sys
from pathlib import Path
from faro.storage import disk, pack
stop_at, calls, real = int(sys.argv[2]), 0, disk.replace

def replace(source, target, **options):
    global calls
    calls += 1
    if calls == stop_at:
        os.kill(os.getpid(), 9)
    real(source, target, **options)

disk.replace = replace
pack(Path(sys.argv[1]), 2)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a rig of POSIX signals")
@pytest.mark.parametrize("stop_at", [2, 4, 5, 6, 7, 9])
def test_a_kill_during_packing_loses_nothing_and_it_goes_on(
    make: Callable[..., Made], stop_at: int
) -> None:
    made = make("collection")
    command = [sys.executable, "-c", PACKING, str(made.path), str(stop_at)]
    assert subprocess.run(command, check=False).returncode == -9
    repair(made.path)
    assert_stacks(made)
    assert errors(made.path) == []
    pack(made.path, 2)
    assert_stacks(made)
    assert errors(made.path) == []
    assert not [p for p in made.path.rglob("*pack*") if p.is_dir()]


def test_packed_files_that_differ_never_replace_the_originals(
    make: Callable[..., Made],
) -> None:
    made = make("collection")
    folder, other = made.file(0, 0).parent, made.path.with_name("other")
    shutil.copytree(made.path, other)
    pack(other, 2)
    packed = folder.with_name("0.packing")
    shutil.copytree(other / folder.relative_to(made.path), packed)
    shutil.copy(packed / "c.1.0.0.0", packed / "c.0.0.0.0")
    with pytest.raises(StorageError, match=r"Timepoint 0 of .* differs"):
        pack(made.path, 2)
    assert_stacks(made)
    assert errors(made.path) == []


def test_what_cannot_be_packed_is_refused(make: Callable[..., Made]) -> None:
    made = make("tiff")
    with pytest.raises(StorageError, match="cannot be packed"):
        pack(made.path)
    shutil.rmtree(made.path)
    made = make("collection", close=False)
    with pytest.raises(StorageError, match=r"was not closed.*faro repair first"):
        pack(made.path)
    repair(made.path)
    assert pack(made.path).arrays == 4


def test_the_commands_tell_and_return_what_is_wrong(make: Callable[..., Made]) -> None:
    made, runner = make("collection"), CliRunner()
    sound = runner.invoke(app, ["verify", str(made.path)])
    assert (sound.exit_code, "0 errors, 0 warnings" in sound.output) == (0, True)
    made.file(0, 2).unlink()
    broken = runner.invoke(app, ["verify", str(made.path)])
    assert broken.exit_code == 1
    assert "fov 0, timepoint 2: is missing" in broken.output
    mended = runner.invoke(app, ["repair", str(made.path)])
    assert mended.exit_code == 0
    assert "recorded the loss" in mended.output
    packed = runner.invoke(app, ["pack", str(made.path), "--timepoints", "3"])
    assert packed.exit_code == 0, packed.output
    assert "4 arrays packed" in packed.output
    assert runner.invoke(app, ["verify", str(made.path.parent)]).exit_code == 2
