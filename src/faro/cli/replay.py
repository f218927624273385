"""``faro replay``: the ordinary loop over the stored frames of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from faro.analysis import ErkKtrFeatures, LocalThresholdSegmenter
from faro.cli.reporting import tell_what_there_is
from faro.microscope import ReplayMicroscope
from faro.run import Controller, ImageProcessingPipeline
from faro.run.comparison import compare_with_recording
from faro.run.stored import replayable_events
from faro.storage import OmeZarrWriter, open_run
from faro.storage.layout import next_free

if TYPE_CHECKING:
    from rich.console import Console


def run_replay(console: Console, directory: Path, output: Path | None) -> int:
    """Replay ``directory``, compare with what was recorded; return the exit code."""
    source = open_run(directory)
    path = output or next_free(Path("faro-replay"))
    console.print(
        f"Replaying {directory}: {len(source.fovs)} fields of view, "
        f"{source.n_timepoints} timepoints, channels {', '.join(source.channels)}."
    )
    events, left_out = replayable_events(source)
    if left_out:
        console.print(f"Not replayed: {', '.join(left_out)} (no new exposures).")
    reporter = source.channels[1] if len(source.channels) > 1 else source.channels[0]
    pipeline = ImageProcessingPipeline(
        segmenters=LocalThresholdSegmenter(), features=ErkKtrFeatures(channel=reporter)
    )
    with ReplayMicroscope(source) as microscope:
        controller = Controller(microscope, pipeline, writer=OmeZarrWriter(path))
        notes = {
            "name": f"replay of {directory.name}",
            "replay_of": str(directory),
            "not_replayed": left_out,
        }
        summary = controller.run_experiment(events, progress=True, notes=notes)
    comparison = compare_with_recording(open_run(path), source)
    tell_what_there_is(console, path, comparison)
    return 0 if summary.completed and not summary.n_errors else 1
