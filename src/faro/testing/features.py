"""The contract of a feature extractor, as a function that its author can run."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from faro.analysis import PixelCells, as_feature_extractor, checked_columns
from faro.model import Stack
from faro.testing.movie import synthetic_stack
from faro.testing.promises import Promises

if TYPE_CHECKING:
    from faro.model.cells import Column
    from faro.protocols import FeatureExtractor
    from faro.protocols.analysis import Labels

_SHAPE = (128, 144)
_N_CELLS = 12
_N_TIMES = 4


def check_features(
    extractor: object, *, channels: tuple[str, ...] = ("miRFP", "mScarlet3")
) -> None:
    """Raise ContractError where a feature extractor breaks its promises; all listed.

    Checked on many cells, one cell and none: one value per cell; the same columns,
    of the same dtype, for every frame; values follow the cells, whatever the labels
    are called; equal frames give equal values; labels and image, which are read-only,
    are left alone; ``provides``, if stated, is what is returned. One that keeps a state
    goes on from it, through JSON, as if nothing had happened, and forgets a FOV, and no
    other, when it is given an empty one.

    Parameters
    ----------
    extractor
        Object with ``features(cells, stack)``, or a function.
    channels
        Names of the channels of the stack it is given, two at most.
    """
    component = as_feature_extractor(extractor)
    promises = Promises(extractor, "faro.protocols.FeatureExtractor")
    pixels, labels = synthetic_stack(_SHAPE, _N_CELLS, seed=3)
    pixels = pixels[: len(channels)]
    pixels.setflags(write=False)
    stack = Stack(pixels, channels, fov=0, timestep=0)
    many = _columns(component, labels, stack, promises, "many cells")
    again = _columns(component, labels, stack, promises, "many cells")
    if many is not None and again is not None:
        promises.keep(_equal(many, again), "Equal frames give equal values.")
        _like_the_first(component, labels, stack, many, promises)
        provides = getattr(component, "provides", None)
        promises.keep(
            provides is None or set(provides) == set(many),
            "`provides` names the columns that are returned.",
            sorted(set(provides or ()) ^ set(many)),
        )
        if callable(getattr(component, "state", None)):
            _state_continues(component, labels, stack, promises)
    promises.settle()


def _like_the_first(
    extractor: FeatureExtractor,
    labels: Labels,
    stack: Stack,
    many: dict[str, Column],
    promises: Promises,
) -> None:
    """Compare other frames with the columns of the first, ``many``."""
    top = int(labels.max())
    backwards = np.where(labels > 0, 70_000 + 3 * (top - labels), 0).astype(np.int32)
    turned = _columns(extractor, backwards, stack, promises, "other labels")
    if turned is not None:
        same = _equal(many, {name: values[::-1] for name, values in turned.items()})
        promises.keep(same, "Values follow the cells, whatever their labels.")
    one = np.where(labels == 1, labels, 0).astype(np.int32)
    for name, image in (("one cell", one), ("no cell", np.zeros_like(labels))):
        columns = _columns(extractor, image, stack, promises, name)
        kinds = {key: values.dtype for key, values in (columns or {}).items()}
        first = {key: values.dtype for key, values in many.items()}
        promises.keep(
            columns is None or kinds == first,
            f"{name}: the columns and dtypes are those of any frame",
            kinds,
        )


def _state_continues(
    component: Any, labels: Labels, stack: Stack, promises: Promises
) -> None:
    """Interrupt an extractor that remembers after every frame of a short movie."""

    def measured(one: Any, timestep: int, fov: int) -> dict[str, Column]:
        at = replace(stack, fov=fov, timestep=timestep, acquired_s=60.0 * timestep)
        shifted = np.roll(labels, timestep**2, axis=1)
        return _columns(one, shifted, at, promises, f"timestep {timestep}") or {}

    whole, cut, parted = (copy.deepcopy(component) for _ in range(3))
    for timestep in range(_N_TIMES):
        fresh = copy.deepcopy(component)
        for fov in range(2):
            fresh.restore(fov, json.loads(json.dumps(cut.state(fov))))
        cut = fresh
        one, other = (
            [measured(x, timestep, fov) for fov in (0, 1)] for x in (whole, cut)
        )
        same = all(map(_equal, one, other))
        promises.keep(same, f"It goes on from its state at timestep {timestep}.")
    before = whole.state(1)
    whole.restore(0, {})
    first = measured(parted, _N_TIMES, 0)
    again = measured(whole, _N_TIMES, 0)
    promises.keep(_equal(first, again), "It forgets a FOV given an empty state.")
    promises.keep(whole.state(1) == before, "What it forgets is one FOV.")


def _columns(
    extractor: FeatureExtractor,
    labels: Labels,
    stack: Stack,
    promises: Promises,
    where: str,
) -> dict[str, Column] | None:
    """Return the checked columns of one frame, None where it failed."""
    cells = PixelCells(labels.copy())
    cells.set_tracks(np.arange(1, len(cells) + 1))
    needs = tuple(getattr(extractor, "needs", ()) or ())
    cells.set_features({name: 1.0 + np.asarray(cells.area) % 7 for name in needs})
    try:
        found = extractor.features(cells, stack)
        columns = checked_columns(found, len(cells), type(extractor).__name__)
    except Exception as error:  # noqa: BLE001  a plug-in may raise anything
        promises.broke(error, where)
        return None
    promises.keep(
        all(map(str.isprintable, columns)) and "" not in columns,
        f"{where}: columns have names",
        list(columns),
    )
    return columns


def _equal(one: dict[str, Column], other: dict[str, Column]) -> bool:
    """Say whether two tables hold the same names and values, NaN included."""
    return one.keys() == other.keys() and all(
        _same_values(values, other[name]) for name, values in one.items()
    )


def _same_values(one: Column, other: Column) -> bool:
    if one.dtype.kind == "f" and other.dtype.kind == "f":
        return np.allclose(one, other, rtol=1e-9, equal_nan=True)
    return np.array_equal(one, other)
