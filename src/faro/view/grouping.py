"""Which FOVs were treated alike, as the experiment said it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from faro.experiment import RTMEvent

KEYS: Final = (
    "arm",
    "treatment",
    "treatment_name",
    "stim_treatment",
    "condition",
    "group",
)
"""Metadata of a FOV that names its treatment, in the order in which they are tried."""

CONTROLS: Final = ("control", "ctrl", "untreated", "vehicle", "dmso", "mock")
"""What a treatment is called that the others are compared with."""

TREATED: Final = "loop"
"""The arm of the demo that is compared first."""

Metadata = dict[str, dict[str, Any]]
"""FOV, as text, to what was said of it."""


@dataclass(frozen=True, slots=True)
class Grouping:
    """How FOVs are put together.

    Attributes
    ----------
    key
        Name in the metadata of a FOV.
    compare
        Names of the treated arm and of the control.
    metadata
        FOV, as text, to what was said of it.
    """

    key: str
    compare: tuple[str, str]
    metadata: Metadata


def grouping_of(
    description: Mapping[str, Any],
    events: Iterable[RTMEvent],
    fovs: Sequence[int],
    *,
    key: str | None = None,
    compare: tuple[str, str] | None = None,
) -> Grouping:
    """Return the grouping of a run; what is None is looked for.

    The first of `KEYS` by which FOVs differ, else the first that is there. A control
    is what is called like one of `CONTROLS`; without one nothing is compared.
    """
    metadata: Metadata = dict(description.get("fov_metadata") or {})
    if not metadata:
        for event in events:
            metadata.setdefault(str(event.fov), dict(event.metadata))
    key = key if key is not None else _usual_key(metadata)
    names = [str(metadata.get(str(fov), {}).get(key, "")) for fov in sorted(fovs)]
    return Grouping(key, compare or _usual_pair(names), metadata)


def _usual_key(metadata: Metadata) -> str:
    values = {
        key: {str(said.get(key, "")) for said in metadata.values()} for key in KEYS
    }
    there = [key for key in KEYS if values[key] - {""}]
    telling = [key for key in there if len(values[key]) > 1]
    return next(iter([*telling, *there, KEYS[0]]))


def _usual_pair(names: Iterable[str]) -> tuple[str, str]:
    known = list(dict.fromkeys(names))
    control = next((n for n in known if n.lower() in CONTROLS), CONTROLS[0])
    others = [name for name in known if name not in {control, ""}]
    treated = TREATED if TREATED in others or not others else others[0]
    return treated, control
