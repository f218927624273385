"""Another segmenter and other features for the frames of a stored run.

python reanalyse_a_run.py STORED_RUN NEW_RUN_FOLDER
"""

from __future__ import annotations

import sys

import faro
from faro.analysis import IntensityFeatures, OtsuSegmenter, StreamingTracker


def main(stored: str, output: str) -> None:
    """Segment, track and measure again; the new cells are in the new run."""
    pipeline = faro.ImageProcessingPipeline(
        segmenters=faro.SegmentationMethod("nuclei", OtsuSegmenter(), 0),
        features=IntensityFeatures(statistics=("mean", "std")),
        tracker=StreamingTracker(),
    )
    done = faro.reanalyze(stored, pipeline, output)
    print(f"{len(faro.open_run(stored).cells)} cells before, {done.n_cells} now")


if __name__ == "__main__":
    if not sys.argv[2:]:
        sys.exit(__doc__)
    main(*sys.argv[1:])
