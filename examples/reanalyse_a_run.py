"""Another segmenter and other features for the frames of a stored run.

python reanalyse_a_run.py STORED_RUN NEW_RUN_FOLDER
"""

from __future__ import annotations

import sys

import faro
from faro.analysis import IntensityFeatures, OtsuSegmenter, StreamingTracker
from faro.run.stored import replayable_events


def main(stored: str, output: str) -> None:
    """Segment, track and measure again; the new cells are in the new run."""
    source = faro.open_run(stored)
    events, _ = replayable_events(source)
    pipeline = faro.ImageProcessingPipeline(
        segmenters=faro.SegmentationMethod("nuclei", OtsuSegmenter(), 0),
        features=IntensityFeatures(statistics=("mean", "std")),
        tracker=StreamingTracker(),
    )
    with faro.ReplayMicroscope(source) as microscope:
        writer = faro.OmeZarrWriter(output)
        controller = faro.Controller(microscope, pipeline, writer=writer)
        print(controller.run_experiment(events, progress=True))
    before, after = source.cells, faro.open_run(output).cells
    print(f"{len(before)} cells before, {len(after)} now")


if __name__ == "__main__":
    main(*sys.argv[1:])
