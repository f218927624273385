"""A response model from a stored run, in one call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from faro.control import ResponseModel, fit_response
from faro.errors import ContractError
from faro.model import FrameRole
from faro.run.dosing import dose_column

if TYPE_CHECKING:
    from faro.storage import Run

TIME = "time_s"


def fit_run(
    run: Run, feature: str, channel: str = "", *, order: int = 1
) -> ResponseModel:
    """Return the response of a feature to the light of a channel, as a run shows it.

    Times are those that were planned, doses those that each cell received. Dose 1 is
    the most that the channel gave at once.

    Parameters
    ----------
    run
        From `faro.open_run`, with a cell table.
    feature
        Name of the column that answers.
    channel
        Preset of the stimulation; empty where there is only one.
    order
        1 or 2 lags; see `faro.control.fit_response`.

    Raises
    ------
    ContractError
        If the run has no such column, or gave no light with this channel.
    """
    fired = [
        (line["channel"], line["full_ms"])
        for line in run.journal
        if line["kind"] == "light" and line["role"] == FrameRole.STIM
    ]
    names = {name for name, _ in fired}
    channel = channel or (names.pop() if len(names) == 1 else "")
    given = [full_ms for name, full_ms in fired if name == channel]
    cells = run.cells
    lacking = {feature, dose_column(channel)} - set(cells.columns)
    if lacking or not given:
        problem = f"{run.path.name} has no light of {channel!r}, or no {feature!r}."
        lit = ", ".join(sorted({name for name, _ in fired})) or "nothing"
        remedy = f"It was lit by {lit}; its cells have {', '.join(cells.columns)}."
        raise ContractError(problem, remedy=remedy)
    columns = ("fov", "timestep", "track_id", feature, dose_column(channel))
    table: dict[str, Any] = {name: np.asarray(cells[name]) for name in columns}
    planned = _planned(run)
    places = zip(table["fov"].tolist(), table["timestep"].tolist(), strict=True)
    table[TIME] = np.array([planned[place] for place in places])
    return fit_response(
        table, feature, dose_column(channel), order=order, full_ms=max(given)
    )


def _planned(run: Run) -> dict[tuple[int, int], float]:
    """Return when each (fov, timestep) was planned, seconds."""
    return {
        (line["fov"], line["timestep"]): line.get("planned_s") or 0.0
        for line in run.journal
        if line["kind"] == "frame" and line["role"] == FrameRole.IMAGE
    }
