"""The tracks that may go on: a few arrays, one row each."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from faro.errors import FaroError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from faro.analysis.linking import Places
    from faro.protocols.analysis import Floats

Ints = npt.NDArray[np.int64]


class ForeignStateError(FaroError, ValueError):
    """A stored state is not one that this component makes."""


def check_words(state: object, words: Iterable[str], whose: str) -> None:
    """Raise where a state has not these words, all of them and no other.

    Raises
    ------
    ForeignStateError
        Names every word that is missing or not known.

    Examples
    --------
    >>> check_words({"ids": []}, ("ids", "seen"), "the tracks")
    Traceback (most recent call last):
    faro.analysis.tracks.ForeignStateError: The stored state of the tracks lacks
    'seen': another version of FARO wrote it. Go on with that version (`faro` under
    `versions` in run.json), or begin a new run.
    """
    given = set(state) if isinstance(state, dict) else set()
    known = set(words)
    lacking, unknown = known - given, given - known
    if lacking or unknown:
        said = [f"lacks {', '.join(map(repr, sorted(lacking)))}"] if lacking else []
        said += [f"has {', '.join(map(repr, sorted(unknown)))}"] if unknown else []
        problem = f"The stored state of {whose} {' and '.join(said)}: "
        problem += "another version of FARO wrote it."
        remedy = "Go on with that version (`faro` under `versions` in run.json), "
        remedy += "or begin a new run."
        raise ForeignStateError(problem, remedy=remedy)


@dataclass(slots=True, eq=False)
class Tracks:
    """The tracks that may go on, one row each; nothing else is remembered.

    Attributes
    ----------
    ids, parents
        (n,) track id, and the id of the mother or 0.
    yx, step
        (n, 2) last place and smoothed displacement per timestep, px.
    looks
        (n, f) logarithms of the features compared.
    lost
        (n,) timesteps since it was last seen.
    seen
        (n,) times that it was seen.
    """

    ids: Ints
    parents: Ints
    yx: Floats
    step: Floats
    looks: Floats
    lost: Ints
    seen: Ints

    @classmethod
    def none(cls, n_looks: int) -> Tracks:
        """Return no tracks."""
        return cls.resting(np.empty((0, 2)), np.empty((0, n_looks)))

    @classmethod
    def resting(cls, yx: Floats, looks: Floats) -> Tracks:
        """Return tracks at (n, 2) y, x with (n, f) looks, without id, at rest."""
        ids, parents, lost, seen = np.zeros((4, len(yx)), np.int64)
        return cls(ids, parents, yx, np.zeros_like(yx), looks, lost, seen + 1)

    def at(self, rows: Places | npt.NDArray[np.bool_]) -> Tracks:
        """Return a copy of some rows, (n,) or (n, 2)."""
        return Tracks(*(getattr(self, f.name)[rows] for f in fields(self)))

    def with_(self, other: Tracks) -> Tracks:
        """Return the rows of both."""
        both = ((getattr(self, f.name), getattr(other, f.name)) for f in fields(self))
        return Tracks(*(np.concatenate(pair) for pair in both))

    def state(self) -> dict[str, Any]:
        """Return all rows as lists, JSON-able."""
        return {f.name: getattr(self, f.name).tolist() for f in fields(self)}

    @classmethod
    def restored(cls, state: Mapping[str, Any], n_looks: int) -> Tracks:
        """Return what `state` was taken from.

        Raises
        ------
        ForeignStateError
            If it was taken from something else.
        """
        check_words(state, (f.name for f in fields(cls)), "the tracks")
        n = len(state["ids"])
        if n and len(state["looks"][0]) != n_looks:
            problem = f"The stored tracks were compared by {len(state['looks'][0])} "
            problem += f"features, this tracker compares {n_looks}."
            remedy = "Give the tracker the features that it had."
            raise ForeignStateError(problem, remedy=remedy)
        return cls(
            ids=np.asarray(state["ids"], np.int64),
            parents=np.asarray(state["parents"], np.int64),
            yx=np.asarray(state["yx"], np.float64).reshape(n, 2),
            step=np.asarray(state["step"], np.float64).reshape(n, 2),
            looks=np.asarray(state["looks"], np.float64).reshape(n, n_looks),
            lost=np.asarray(state["lost"], np.int64),
            seen=np.asarray(state["seen"], np.int64),
        )
