"""The frames of a run that was stored as TIFF, as OME-Zarr.

python convert_a_run.py STORED_RUN NEW_RUN_FOLDER
"""

from __future__ import annotations

import sys

import faro
from faro.run.stored import replayable_events


def main(stored: str, output: str) -> None:
    """Store the frames of a run of ours, or of the public project, as OME-Zarr."""
    source = faro.open_run(stored)
    events, _ = replayable_events(source)
    with faro.ReplayMicroscope(source) as microscope:
        writer = faro.OmeZarrWriter(output)
        controller = faro.Controller(microscope, writer=writer)
        print(controller.run_experiment(events, progress=True))


if __name__ == "__main__":
    main(*sys.argv[1:])
