"""``faro calibrate``: where each camera pixel lies on the DMD; a file and a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from faro.experiment import PowerChannel
from faro.microscope.calibration import load_calibration
from faro.microscope.calibration_run import (
    SpotPlan,
    calibrate,
    check_spot,
    conditions_of,
)
from faro.rigs import open_rig
from faro.view.calibration import draw_calibration

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rich.console import Console

    from faro.microscope.calibration_fit import Kind


def run_calibrate(  # noqa: PLR0913  the options of the command
    console: Console,
    rig: str | None,
    config: Path | None,
    file: Path,
    *,
    light: Mapping[str, Any],
    hosted: bool,
    only_check: bool = False,
    projective: bool = False,
    **spots: int,
) -> int:
    """Calibrate and write file and picture, or check a file; return the exit code."""
    channel = PowerChannel(**light)
    with open_rig(rig, config, hosted=hosted) as microscope:
        if only_check:
            found = load_calibration(file, conditions_of(microscope))
            off_px = check_spot(microscope, channel, found)
            console.print(f"{file} holds: a spot is {off_px:.2f} px off.")
            return 0
        kind: Kind = "projective" if projective else "affine"
        found = calibrate(microscope, channel, SpotPlan(**spots), kind=kind)
    found.save(file)
    picture = draw_calibration(found, file.with_suffix(".png"))
    console.print(
        f"{int(found.used.sum())} of {len(found.used)} spots agree: median "
        f"{found.median_px:.2f} px, largest {found.largest_px:.2f} px off."
    )
    console.print(f"Written: {file} and {picture}", markup=False)
    return 0
