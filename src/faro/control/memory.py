"""What all controllers do with the state of the tracks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from faro.model import TrackValues
    from faro.protocols import ControlInput

Floats = npt.NDArray[np.float64]
DOSE = "dose"
"""The column of the state that holds the last dose."""


def recalled(
    now: ControlInput, state: TrackValues, names: tuple[str, ...]
) -> dict[str, Floats]:
    """Return columns (n,) of the state for the cells of this frame; NaN where new."""
    return state.rows(now.track_id, (*names, DOSE), parent_id=now.parent_id)


def finished(
    now: ControlInput,
    state: TrackValues,
    old: Mapping[str, Floats],
    new: Mapping[str, Floats],
    wanted: Floats,
) -> tuple[Floats, TrackValues]:
    """Return the doses (n,) to give, and the state after this frame.

    A cell that was not measured keeps what it had; one without a reference gets no
    light.

    Parameters
    ----------
    now, state
        As given to the controller.
    old, new
        Columns (n,) before and after.
    wanted
        (n,) doses where the cell was measured.
    """
    aim = now.reference(now.time_s)
    blind = np.isnan(now.measured)
    held = np.where(blind, np.nan_to_num(old[DOSE]), np.nan_to_num(wanted))
    dose: Floats = np.where(np.isnan(aim), 0.0, held)
    columns = {
        name: np.where(blind | np.isnan(aim), old[name], values)
        for name, values in new.items()
    }
    return dose, state.updated(now.track_id, {**columns, DOSE: dose})
