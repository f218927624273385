"""``faro replay``: the ordinary loop over the stored frames of a run."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from faro.analysis import ErkKtrFeatures, LocalThresholdSegmenter
from faro.cli.reporting import tell_what_there_is
from faro.errors import Problem, RefusedError
from faro.microscope import DMD, ReplayMicroscope
from faro.run import Controller, ImageProcessingPipeline
from faro.run.comparison import compare_with_recording
from faro.run.differences import differences
from faro.run.stored import replayable_events, stim_mode_of
from faro.run.stored_pipeline import recipe_of_file, recipe_of_run
from faro.storage import OmeZarrWriter, open_run
from faro.storage.layout import next_free

if TYPE_CHECKING:
    from rich.console import Console

    from faro.storage import Run

MOST_COUNTED = 100_000


def run_replay(
    console: Console,
    directory: Path,
    output: Path | None,
    *,
    pipeline: Path | None = None,
    speed: str = "fast",
    diff: bool = False,
) -> int:
    """Replay ``directory``, compare with what was recorded; return the exit code."""
    source = open_run(directory)
    path = output or next_free(Path("faro-replay"))
    console.print(
        f"Replaying {directory}: {len(source.fovs)} fields of view, "
        f"{source.n_timepoints} timepoints, channels {', '.join(source.channels)}."
    )
    parts, said_by = _pipeline(source, pipeline)
    console.print(f"Pipeline of {said_by}.")
    light = bool(parts.deciders)
    events, left_out = replayable_events(source, light=light)
    if left_out:
        console.print(f"Not replayed: {', '.join(left_out)} (no new exposures).")
    dmd = DMD(source.image_shape, np.eye(3)) if light else None
    with ReplayMicroscope(source, speed=_speed(speed), dmd=dmd) as microscope:
        controller = Controller(microscope, parts, writer=OmeZarrWriter(path))
        notes = {
            "name": f"replay of {directory.name}",
            "replay_of": str(directory),
            "not_replayed": left_out,
        }
        mode = stim_mode_of(source)
        summary = controller.run_experiment(
            events, stim_mode=mode, progress=True, notes=notes
        )
    again = open_run(path)
    tell_what_there_is(console, path, compare_with_recording(again, source))
    failed = not summary.completed or bool(summary.n_errors)
    differs = diff and _tell_difference(console, again, source)
    return 1 if failed or differs else 0


def _pipeline(source: Run, file: Path | None) -> tuple[ImageProcessingPipeline, str]:
    """Return the pipeline of a replay, and whose it is."""
    recipe = recipe_of_run(source) if file is None else recipe_of_file(file)
    if recipe is not None:
        return recipe.make(), recipe.said_by
    reporter = source.channels[1] if len(source.channels) > 1 else source.channels[0]
    usual = ImageProcessingPipeline(
        segmenters=LocalThresholdSegmenter(), features=ErkKtrFeatures(channel=reporter)
    )
    return usual, f"FARO, because {source.path.name} does not say its own"


def _speed(text: str) -> Literal["fast", "recorded"] | float:
    """Return a replay speed from the command line."""
    named: dict[str, Literal["fast", "recorded"]] = {
        "fast": "fast",
        "recorded": "recorded",
    }
    try:
        return named[text] if text in named else float(text)
    except ValueError:
        what = f"{text!r} is no speed."
        remedy = "Use fast, recorded, or a number like 10."
        raise RefusedError([Problem("--speed", what, remedy)]) from None


def _tell_difference(console: Console, again: Run, source: Run) -> bool:
    """Print the first difference and how many there are; return whether there is."""
    found: Any = list(islice(differences(again, source), MOST_COUNTED))
    if not found:
        console.print("No difference: labels, tracks, features and masks are equal.")
        return False
    console.print(f"First difference: {found[0]}.", markup=False)
    counts = Counter(difference.stage for difference in found)
    for stage, n in counts.items():
        console.print(f"  {stage}: {n} frames differ", markup=False)
    return True
