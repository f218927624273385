"""The contract of a tracker, as a function that its author can run."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING

import numpy as np

from faro.analysis import PixelCells
from faro.analysis.cells import checked_track_ids
from faro.testing.promises import Promises

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from faro.protocols import Tracker
    from faro.protocols.analysis import Labels

_SHAPE = (120, 160)
_PITCH_PX = 20
_N_FRAMES = 30
_N_EMPTY = 50
_MAX_GROWTH = 1.5

Ids = list[list[int]]


def check_tracker(make: Callable[[], Tracker]) -> None:
    """Raise ContractError where a tracker breaks its promises; all are listed.

    Checked: one int64 id >= 1 per cell, each once, also for empty frames and after
    all cells were lost; ids are never used again; cells that hardly move keep theirs;
    timesteps may be left out; FOVs do not disturb each other; a copy is independent;
    the state is JSON, does not grow with time, and a tracker that continues from it
    gives the ids the first would have given.

    Parameters
    ----------
    make
        Returns a new tracker.
    """
    promises = Promises(make(), "faro.protocols.Tracker")
    for check in (
        _still_cells_keep_their_ids,
        _ids_are_never_used_again,
        _fovs_do_not_disturb_each_other,
        _state_continues,
        _state_does_not_grow,
    ):
        try:
            check(make, promises)
        except Exception as error:  # noqa: BLE001  a plug-in may raise anything
            promises.broke(error, check.__name__.strip("_").replace("_", " "))
    promises.settle()


def _frame(seed: int, *, moved: int = 0, keep_every: int = 1) -> PixelCells:
    """Return cells on a grid, each a little off; ``seed`` says how."""
    rng = np.random.default_rng(seed)
    labels: Labels = np.zeros(_SHAPE, np.int32)
    corners = [
        (y, x)
        for y in range(6, _SHAPE[0] - _PITCH_PX, _PITCH_PX)
        for x in range(6, _SHAPE[1] - _PITCH_PX, _PITCH_PX)
    ]
    for number, (y, x) in enumerate(corners[::keep_every], start=1):
        dy, dx = rng.integers(0, 3, 2) + moved
        labels[y + dy : y + dy + 8, x + dx : x + dx + 8] = number
    return PixelCells(labels)


def _empty() -> PixelCells:
    return PixelCells(np.zeros(_SHAPE, np.int32))


def _movie(offset: int = 0) -> list[PixelCells]:
    """Return cells that are still, missing one by one, gone, and back."""
    gone = [_empty()] * 6
    frames = [_frame(offset + t) for t in range(4)]
    some = [_frame(offset + 10, keep_every=2), _frame(offset + 11)]
    return [_empty(), *frames, *some, *gone, _frame(offset + 12), _frame(offset + 13)]


def _followed(tracker: Tracker, frames: Sequence[PixelCells], start: int = 0) -> Ids:
    """Return the checked ids of each frame."""
    return [
        checked_track_ids(tracker.update(start + t, cells), len(cells)).tolist()
        for t, cells in enumerate(frames)
    ]


def _still_cells_keep_their_ids(
    make: Callable[[], Tracker], promises: Promises
) -> None:
    tracker = make()
    first = tracker.update(0, _frame(0))
    promises.keep(
        getattr(first, "dtype", None) == np.int64,
        "Ids are int64 arrays (n,).",
        getattr(first, "dtype", type(first)),
    )
    second = tracker.update(1, _frame(1))
    promises.keep(np.array_equal(first, second), "Cells that rest keep their ids.")
    later = tracker.update(3, _frame(2))
    promises.keep(np.array_equal(first, later), "A timestep may be left out.")


def _ids_are_never_used_again(make: Callable[[], Tracker], promises: Promises) -> None:
    tracker = make()
    before = _followed(tracker, _movie())
    promises.keep(before[0] == [], "An empty frame has no ids.")
    used = {number for numbers in before for number in numbers}
    _followed(tracker, [_empty()] * _N_EMPTY, len(before))
    fresh = _followed(tracker, [_frame(0)], len(before) + _N_EMPTY)[0]
    again = sorted(used & set(fresh))
    promises.keep(not again, f"Ids are new after {_N_EMPTY} empty frames.", again)


def _fovs_do_not_disturb_each_other(
    make: Callable[[], Tracker], promises: Promises
) -> None:
    alone = [_followed(make(), _movie(offset)) for offset in (0, 50)]
    prototype = make()
    copies = [copy.deepcopy(prototype) for _ in alone]
    mixed: list[Ids] = [[], []]
    for t, pair in enumerate(zip(_movie(0), _movie(50), strict=True)):
        for fov, cells in enumerate(pair):
            ids = copies[fov].update(t, cells)
            mixed[fov].append(np.asarray(ids).tolist())
    promises.keep(mixed == alone, "Interleaved FOVs get the ids they get alone.")


def _state_continues(make: Callable[[], Tracker], promises: Promises) -> None:
    frames = _movie()
    for cut in (0, 3, 7):
        tracker, other = make(), make()
        _followed(tracker, frames[:cut])
        other.restore(json.loads(json.dumps(tracker.state())))
        expected = _followed(tracker, frames[cut:], cut)
        found = _followed(other, frames[cut:], cut)
        promises.keep(
            found == expected, f"A tracker continues from its state after {cut} frames."
        )


def _state_does_not_grow(make: Callable[[], Tracker], promises: Promises) -> None:
    tracker, sizes = make(), []
    for t in range(_N_FRAMES):
        tracker.update(t, _frame(t))
        sizes.append(len(json.dumps(tracker.state())))
    grown = sizes[-1] / sizes[_N_FRAMES // 3]
    promises.keep(
        grown < _MAX_GROWTH, "The state does not grow with time.", f"x{grown:.2f}"
    )
