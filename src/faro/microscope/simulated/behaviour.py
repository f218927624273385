"""What cells do, chosen by name and numbers."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import TYPE_CHECKING, TypeAlias

from faro.microscope.simulated.damage import Photobleaching, Phototoxicity
from faro.microscope.simulated.erk import ErkKtr
from faro.microscope.simulated.expression import GeneExpression
from faro.microscope.simulated.fate import Death, Division
from faro.microscope.simulated.responses import Migration

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from faro.microscope.simulated.responses import Response

Behaviour: TypeAlias = dict[str, dict[str, float]]
"""Name of a response to its parameters; what is left out is as usual."""

KINDS: dict[str, type[Response]] = {
    "migration": Migration,
    "erk_ktr": ErkKtr,
    "gene_expression": GeneExpression,
    "photobleaching": Photobleaching,
    "phototoxicity": Phototoxicity,
    "division": Division,
    "death": Death,
}
"""In the order in which cells do it."""
USUAL = ("migration", "erk_ktr")


def usual() -> Behaviour:
    """Return what cells do if nothing else is said."""
    return {name: {} for name in USUAL}


def checked(words: Behaviour) -> Behaviour:
    """Return ``words``.

    Raises
    ------
    ValueError
        If a name is unknown or a value makes no sense; all are named.
    """
    problems = [*_problems(words)]
    if problems:
        raise ValueError(" ".join(problems))
    return words


def responses_of(words: Behaviour) -> tuple[Response, ...]:
    """Return the responses that ``words`` say, in their order."""
    return tuple(kind(**words[name]) for name, kind in KINDS.items() if name in words)


def _problems(words: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    for name, values in words.items():
        if name not in KINDS:
            yield f"There is no response {name!r}; use some of {', '.join(KINDS)}."
            continue
        known = [entry.name for entry in fields(KINDS[name])]  # type: ignore[arg-type]
        for word, value in values.items():
            if word not in known:
                yield f"{name} has no {word!r}; it has {', '.join(known)}."
            elif not (math.isfinite(value) and value >= 0):
                yield f"{name}.{word} is {value}; give a number, at least 0."
            elif value == 0 and word.endswith(("_s", "_ms", "_reach")):
                yield f"{name}.{word} is 0; give more."
