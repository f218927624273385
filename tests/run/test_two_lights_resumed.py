"""A run with two stimulation channels goes on, wherever its record ends."""

from __future__ import annotations

import shutil
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from faro.experiment import PowerChannel
from faro.run import Controller, ImageProcessingPipeline
from faro.storage import OmeZarrWriter, open_run, verify
from faro.storage.kept import write_mask
from faro.testing.canned import CannedMicroscope
from faro.testing.discs import SHAPE, disc_frame, disc_sequence, segment_discs

if TYPE_CHECKING:
    from pathlib import Path

    from faro.microscope.dmd import DMD
    from faro.storage import Run

CYAN, RED = "CyanStim", "RedStim"
LIGHTS = [PowerChannel(CYAN, 100, power=10), PowerChannel(RED, 50, power=20)]
N_TIMES, CUTS = 4, 12


def counted(context: Any) -> Any:
    """Return another mask for each channel and call; red is left out once."""
    n = context.memory["n"] = context.memory.get("n", 0) + 1
    cyan, red = np.zeros((2, *SHAPE), np.uint8)
    cyan[: 3 * n], red[:, : 5 * n] = 255, 100 + n
    return {CYAN: cyan} if context.timestep == 2 else {CYAN: cyan, RED: red}


class Abandoned(OmeZarrWriter):
    """Leaves the run as it is, as the end of the process would."""

    def close(self, summary: Any) -> None:
        del summary
        self.let_go()


def controller(dmd: DMD, writer: Any = None) -> tuple[Controller, CannedMicroscope]:
    presets = ("miRFP", "mScarlet3", CYAN, RED)
    microscope = CannedMicroscope(disc_frame, SHAPE, presets, dmd=dmd)
    pipeline = ImageProcessingPipeline(segment_discs, stimulator=counted)
    return Controller(microscope, pipeline, writer=writer), microscope


def cut_to(source: Path, target: Path, n_lines: int) -> list[dict[str, Any]]:
    """Copy a run as it was after some lines of its journal; return these."""
    shutil.copytree(source, target)
    journal = target / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:n_lines]))
    run = open_run(target)
    for line in run.journal:
        if line["kind"] == "stim_armed":
            label, fov, timestep = line["mask_label"], line["fov"], line["timestep"]
            mask = run.labels(label, fov, timestep).astype(np.uint8)
            name = f"p{fov:03d}_t{timestep:05d}_{label}.npy"
            write_mask(target / "state" / name, mask)
    return run.journal


def masks_of(run: Run) -> dict[tuple[str, int, int], bytes]:
    """Return all masks that are stored."""
    found = {}
    for name in (n for n in run.label_names if n.startswith("stim_mask")):
        for fov in run.fovs:
            for timestep in range(run.n_timepoints):
                mask = run.images.labels(name, fov, timestep)
                if mask is not None:
                    found[name, fov, timestep] = np.asarray(mask, np.uint8).tobytes()
    return found


@pytest.mark.parametrize("mode", ["current", "previous", "interleaved"])
def test_each_channel_fires_once_and_keeps_its_masks(
    tmp_path: Path, dmd: DMD, mode: str
) -> None:
    whole = tmp_path / "whole"
    events = disc_sequence(N_TIMES, 2, stim_channels=LIGHTS)
    first, fired_then = controller(dmd, Abandoned(whole))
    first.run_experiment(events, stim_mode=mode)
    planned = {(f.timestep, f.fov, f.channel) for f in fired_then.fired}
    expected, n_lines = masks_of(open_run(whole)), len(open_run(whole).journal)
    assert len(planned) == len(expected) == 2 * (2 * (N_TIMES - 1) - 1)
    for n in range(3, n_lines, n_lines // CUTS):
        path = tmp_path / f"cut-{n}"
        lines = cut_to(whole, path, n)
        again, microscope = controller(dmd)
        summary = again.resume(path)
        assert (summary.completed, summary.n_errors) == (True, 0)
        armed = {
            (x["timestep"], x["fov"], x["channel"])
            for x in lines
            if x["kind"] == "stim_armed"
        }
        fired = Counter((f.timestep, f.fov, f.channel) for f in microscope.fired)
        assert set(fired.values()) <= {1}
        assert not armed & set(fired)
        assert armed | set(fired) == planned
        assert masks_of(open_run(path)) == expected
        assert verify(path) == []
