"""An experiment from a table with one row per position and timepoint (df_acquire).

python from_a_table.py RUN_FOLDER
"""

from __future__ import annotations

import sys

import faro
from faro.analysis import ErkKtrFeatures
from faro.stimulation import WholeField

N_FOVS, N_TIMEPOINTS, INTERVAL_S = 2, 8, 1.0
LIT = (3, 5)


def table(interval_s: float = INTERVAL_S) -> dict[str, list[object]]:
    """Return the columns; a CSV file or a data frame of pandas does as well."""
    rows = [(t, fov) for t in range(N_TIMEPOINTS) for fov in range(N_FOVS)]
    channels = [
        {"config": "miRFP", "exposure": 50},
        {"config": "mScarlet3", "exposure": 50},
    ]
    return {
        "fov": [fov for _, fov in rows],
        "timestep": [t for t, _ in rows],
        "time": [t * interval_s for t, _ in rows],
        "fov_x": [1000.0 * fov for _, fov in rows],
        "fov_y": [0.0 for _ in rows],
        "channels": [channels for _ in rows],
        "stim_channel_name": ["CyanStim" for _ in rows],
        "stim_exposure": [100.0 if t in LIT else 0.0 for t, _ in rows],
        "stim_power": [10 for _ in rows],
        "cell_line": ["HEK293 ERK-KTR" for _ in rows],
    }


def main(output: str, interval_s: float = INTERVAL_S) -> None:
    """Run the table on the simulated microscope; ``output`` is the run folder."""
    events = faro.events_from_table(table(interval_s))
    pipeline = faro.ImageProcessingPipeline(
        features=ErkKtrFeatures(channel="mScarlet3"),
        stimulator=WholeField(),
    )
    with faro.SimulatedMicroscope(seed=4) as microscope:
        writer = faro.OmeZarrWriter(output)
        controller = faro.Controller(microscope, pipeline, writer=writer)
        print(controller.run_experiment(events, progress=True))


if __name__ == "__main__":
    if not sys.argv[1:]:
        sys.exit(__doc__)
    main(*sys.argv[1:])
