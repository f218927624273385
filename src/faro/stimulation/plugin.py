"""A stimulator from whatever a user gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from faro.errors import ContractError
from faro.protocols import needs_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from faro.protocols import StimulationContext, Stimulator


@dataclass(frozen=True, slots=True)
class FunctionStimulator:
    """A function ``stimulate(context)`` as a stimulator.

    Parameters
    ----------
    name
        Of the function, for the record.
    function
        Returns None, True, a mask or a Stimulus.
    needs, required_metadata
        What must be ready, and the metadata that it builds on.
    """

    name: str
    function: Callable[[StimulationContext], object]
    needs: tuple[str, ...] = ("tracks",)
    required_metadata: tuple[str, ...] = ()

    def stimulate(self, context: StimulationContext) -> object:
        """Return what the function answers."""
        return self.function(context)


def as_stimulator(component: object) -> Stimulator:
    """Return an object with ``stimulate(context)``, from one or from a function.

    Attributes ``needs`` and ``required_metadata`` of a function are kept.

    Raises
    ------
    ContractError
        If it is neither; a class is neither, its instance is.

    Examples
    --------
    >>> as_stimulator(lambda context: True).stimulate(None)
    True
    """
    if not isinstance(component, type):
        if callable(getattr(component, "stimulate", None)):
            return cast("Stimulator", component)
        if callable(component):
            return FunctionStimulator(
                name=getattr(component, "__qualname__", type(component).__qualname__),
                function=component,
                needs=needs_of(component),
                required_metadata=tuple(getattr(component, "required_metadata", ())),
            )
    kind = "a class, " if isinstance(component, type) else ""
    problem = f"{component!r} is {kind}no stimulator."
    remedy = "Give an object with a method stimulate(context), or a function."
    raise ContractError(problem, remedy=remedy)
