"""Light everywhere, or nowhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from faro.protocols import StimulationContext


@dataclass(frozen=True, slots=True)
class WholeField:
    """Lights the whole field of every stimulation event; looks at nothing."""

    needs: ClassVar[tuple[str, ...]] = ()
    required_metadata: ClassVar[tuple[str, ...]] = ()
    masked: ClassVar[bool] = False

    def stimulate(self, context: StimulationContext) -> bool:  # noqa: ARG002  looks at nothing
        """Return True: the whole field."""
        return True


@dataclass(frozen=True, slots=True)
class NoStimulus:
    """Lights nothing: the control that runs the same loop."""

    needs: ClassVar[tuple[str, ...]] = ()
    required_metadata: ClassVar[tuple[str, ...]] = ()
    masked: ClassVar[bool] = False

    def stimulate(self, context: StimulationContext) -> None:
        """Return None: no light."""
