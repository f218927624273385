"""The frames of a stored run through the loop again, with the masks it would fire.

python replay_a_run.py STORED_RUN NEW_RUN_FOLDER
"""

from __future__ import annotations

import sys

import numpy as np

import faro
from faro.run.stored import replayable_events, stim_mode_of
from faro.stimulation import PercentageOfCell


def main(stored: str, output: str) -> None:
    """Replay a run of ours or of the public project; no light is given."""
    source = faro.open_run(stored)
    events, left_out = replayable_events(source, light=True)
    pipeline = faro.ImageProcessingPipeline(stimulator=PercentageOfCell(fraction=0.3))
    dmd = faro.DMD(source.image_shape, np.eye(3))  # masks as the camera sees them
    with faro.ReplayMicroscope(source, dmd=dmd) as microscope:
        writer = faro.OmeZarrWriter(output)
        controller = faro.Controller(microscope, pipeline, writer=writer)
        mode = stim_mode_of(source)
        print(controller.run_experiment(events, stim_mode=mode, progress=True))
    print("not replayed:", ", ".join(left_out) or "nothing")


if __name__ == "__main__":
    if not sys.argv[2:]:
        sys.exit(__doc__)
    main(*sys.argv[1:])
