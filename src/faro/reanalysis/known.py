"""What runs hold already, by address: nothing is computed that is there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from faro.model import FrameRole
from faro.reanalysis.addresses import Addresses, Code, addresses
from faro.run.stored import replayable_events
from faro.run.stored_pipeline import recipe_of_run

if TYPE_CHECKING:
    from faro.storage import Run

REANALYSED: Final = "reanalysed"
SPOILT: Final = frozenset({"error", "analysis_skipped", "stim_skipped"})
"""What a journal says of a position whose results are not those of its frames alone."""


def known_addresses(run: Run, fov: int, frames: str) -> Addresses:
    """Return the addresses of what a run holds of a position; empty where unsure.

    Parameters
    ----------
    frames
        The address of its frames.
    """
    for line in run.journal:
        if line["kind"] == REANALYSED and line["fov"] == fov:
            said: dict[str, Any] = line["addresses"]
            return Addresses(**said) if not line["failed"] else _labels_only(said)
    return _live(run, fov, frames)


def _labels_only(said: dict[str, Any]) -> Addresses:
    """Return what a position that failed has: its labels may be there."""
    return Addresses(segment=said["segment"])


def _live(run: Run, fov: int, frames: str) -> Addresses:
    """Return what the loop left of a position, if nothing went wrong on it.

    Masks are left out: light that was late or waited for is no matter of frames alone.
    """
    recipe, code = recipe_of_run(run), Code.then(run)
    file = run.info.get("description", {}).get("experiment_file")
    if recipe is None or code is None or not file or not _complete(run, fov):
        return Addresses()
    events, _ = replayable_events(run, light=True, fovs=(fov,))
    found = addresses(frames, recipe.words, code, events)
    if not (recipe.words.get("stimulator") or recipe.words.get("stimulators")):
        return found
    return replace(found, decide="")


def _complete(run: Run, fov: int) -> bool:
    """Return whether every imaging frame of a position has labels and rows."""
    frames: set[int] = set()
    cells: set[int] = set()
    for line in run.journal:
        kind = line["kind"]
        if kind in SPOILT and line.get("fov") in (fov, -1):
            return False
        if line.get("fov") != fov:
            continue
        if kind == "frame" and line["role"] == FrameRole.IMAGE:
            frames.add(line["timestep"])
        elif kind == "cells":
            cells.add(line["timestep"])
    return bool(frames) and frames <= cells
