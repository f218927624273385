"""Light by feedback: each cell gets the dose that a controller asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from faro.errors import ContractError
from faro.model import Stimulus, TrackValues
from faro.protocols import ControlInput
from faro.stimulation.selection import FULL, Levels, Selection, ready
from faro.stimulation.settings import cells_of

if TYPE_CHECKING:
    from faro.protocols import (
        Cells,
        FeedbackController,
        Reference,
        StimulationContext,
    )

Floats = npt.NDArray[np.float64]
Delivery: TypeAlias = Literal["level", "duty", "exposure"]
Number: TypeAlias = float
"""A part, 0 to 1."""
STATE, DUTY, OWED = "control", "duty", "owed"


class ControlledLight(Selection):
    """Measures a feature of every cell and gives the light that a controller asks for.

    The controller's state belongs to the track: it survives gaps and is inherited at
    divisions, or not. It lies in the memory of the run, as `TrackValues`.

    Parameters
    ----------
    controller
        A `faro.protocols.FeedbackController`, for example `faro.control.PID`.
    feature
        Name of the column of the cell table that is controlled.
    reference
        A `faro.protocols.Reference`, for example `faro.control.SetPoint`.
    delivery
        ``"level"``: the dose is the grey level of the cell. ``"duty"``: the cell is
        lit fully at so many timepoints that the dose is right on average, for DMDs
        that know only on and off. ``"exposure"``, for these as well: the exposure
        is the largest dose that any cell asks for, and the others are lit at so many
        timepoints that theirs is right on average.
    at_division
        ``"inherit"``: daughters go on with the mother's state; ``"reset"``: they begin
        anew.
    within
        Another stimulator, whose light is dimmed by the dose; None for whole cells.

    Raises
    ------
    ContractError
        If something is no controller or no reference.
    """

    def __init__(
        self,
        controller: FeedbackController,
        feature: str,
        reference: Reference,
        *,
        delivery: Delivery = "level",
        at_division: Literal["inherit", "reset"] = "inherit",
        within: object = None,
    ) -> None:
        for part, method in ((controller, "step"), (reference, "at")):
            if isinstance(part, type) or not callable(getattr(part, method, None)):
                problem = f"ControlledLight was given {part!r}."
                remedy = f"Give an object with a method {method}(), see faro.control."
                raise ContractError(problem, remedy=remedy)
        self.controller, self.feature, self.reference = controller, feature, reference
        self.delivery, self.at_division = delivery, at_division
        self.within = within

    @property
    def needs(self) -> tuple[str, ...]:
        """Tracks, the feature, and what the stimulator inside needs."""
        return self.also_needs("tracks", *ready(self.feature))

    def stimulate(self, context: StimulationContext) -> Levels | Stimulus | None:
        """Return the light of the cells, (Y, X), and the mean dose as a note."""
        cells = cells_of(context, self)
        doses, part = self._doses(context, cells), 1.0
        if self.delivery != "level":
            asked = doses if self.delivery == "exposure" else np.ones(1)
            part = min(float(asked.max(initial=0.0)), 1.0) or 1.0
            doses = self._lit_now(context, cells, doses, part)
        grey = np.rint(np.clip(doses, 0.0, 1.0) * FULL).astype(np.uint8)
        light = self.lit(context, cells, grey)
        mask = light.mask if isinstance(light, Stimulus) else light
        facts: dict[str, Any] = dict(getattr(light, "note", {}))
        facts["mean_dose"] = round(part * float(doses.mean()), 4) if len(doses) else 0.0
        return None if light is None else Stimulus(mask, facts, part)

    def _doses(self, context: StimulationContext, cells: Cells) -> Floats:
        """Return what the controller asks for, (n,), and keep its state."""
        track_id = cells.track_id

        def reference(time_s: float) -> Floats:
            return self.reference.at(time_s, context.fov, track_id)

        now = ControlInput(
            context.time_s,
            track_id,
            np.asarray(cells[self.feature], np.float64),
            reference,
            self._parents(cells),
        )
        before = context.memory.get(STATE) or TrackValues()
        doses, context.memory[STATE] = self.controller.step(now, before)
        return doses

    def _lit_now(
        self,
        context: StimulationContext,
        cells: Cells,
        doses: Floats,
        part: Number,
    ) -> Floats:
        """Return 1 for the cells (n,) to which as much is owed as light now gives."""
        before = context.memory.get(DUTY) or TrackValues()
        parents = self._parents(cells)
        owed = before.of(cells.track_id, OWED, parent_id=parents)
        owed = np.nan_to_num(owed) + doses
        lit = np.where(owed >= part - 1e-9, 1.0, 0.0)
        kept = before.updated(cells.track_id, {OWED: owed - part * lit})
        context.memory[DUTY] = kept
        return lit

    def _parents(self, cells: Cells) -> npt.NDArray[np.int64] | None:
        if self.at_division == "reset" or "parent_id" not in cells:
            return None
        return np.asarray(cells["parent_id"], np.int64)
