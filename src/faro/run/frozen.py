"""State as JSON and back, bit for bit: numbers, text, arrays, tracks, light."""

from __future__ import annotations

import base64
import zlib
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from faro.errors import ContractError
from faro.model import Stimulus, TrackValues

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

MARK: Final = "~"
"""Key of a JSON object that stands for something else."""
PLAIN: Final = (bool, int, float, str, type(None))
LEVEL: Final = 1


def frozen(value: object, where: str = "the state") -> Any:
    """Return ``value`` as JSON-able data, from which `thawed` makes it again.

    Plain values, lists, tuples, dicts, numpy arrays and numbers, `TrackValues` and
    `Stimulus`, nested in any way. NaN and infinity stay what they are.

    Parameters
    ----------
    where
        What it is, for the error.

    Raises
    ------
    ContractError
        If it holds something else.

    Examples
    --------
    >>> thawed(frozen({"seen": (1, np.float32(0.1))}))
    {'seen': (1, np.float32(0.1))}
    """
    if type(value) in PLAIN:
        return value
    if isinstance(value, list):
        plain = all(type(item) in PLAIN for item in value)
        return list(value) if plain else [frozen(item, where) for item in value]
    if isinstance(value, dict):
        return _dict(value, where)
    if isinstance(value, tuple):
        return {MARK: "tuple", "items": [frozen(item, where) for item in value]}
    if isinstance(value, np.ndarray | np.generic) and not value.dtype.hasobject:
        kind = "array" if isinstance(value, np.ndarray) else "number"
        return {MARK: kind, **_array(np.asarray(value))}
    if isinstance(value, TrackValues):
        parts = {"track_id": value.track_id, "columns": dict(value.columns)}
        parts["missed"] = value.missed
        return {MARK: "tracks", "parts": frozen(parts, where)}
    if isinstance(value, Stimulus):
        parts = {"mask": value.mask, "note": dict(value.note)}
        parts["exposure_fraction"] = value.exposure_fraction
        return {MARK: "stimulus", "parts": frozen(parts, where)}
    problem = f"{where} holds {type(value).__name__}, which cannot be stored."
    remedy = "Keep numbers, text, lists, dicts, arrays or faro.model.TrackValues."
    raise ContractError(problem, remedy=remedy)


def thawed(words: Any) -> Any:
    """Return what `frozen` was given; arrays can be written to, masks cannot."""
    if isinstance(words, list):
        return [thawed(item) for item in words]
    if not isinstance(words, dict):
        return words
    kind = words.get(MARK)
    if kind is None:
        return {key: thawed(item) for key, item in words.items()}
    return _MADE[kind](words)


def _dict(value: Mapping[Any, object], where: str) -> Any:
    """Return a dict; one whose keys are no text, or clash with ours, as pairs."""
    if all(type(key) is str for key in value) and MARK not in value:
        return {key: frozen(item, f"{where}/{key}") for key, item in value.items()}
    pairs = [[frozen(k, where), frozen(v, f"{where}/{k}")] for k, v in value.items()]
    return {MARK: "pairs", "items": pairs}


def _array(array: npt.NDArray[Any]) -> dict[str, Any]:
    data = zlib.compress(np.ascontiguousarray(array).tobytes(), LEVEL)
    text = base64.b64encode(data).decode("ascii")
    return {"dtype": array.dtype.str, "shape": list(array.shape), "data": text}


def _as_array(words: Mapping[str, Any]) -> npt.NDArray[Any]:
    data = zlib.decompress(base64.b64decode(words["data"]))
    array = np.frombuffer(data, np.dtype(words["dtype"])).reshape(words["shape"])
    return array.copy()


def _as_stimulus(words: Mapping[str, Any]) -> Stimulus:
    parts = thawed(words["parts"])
    if parts["mask"] is not None:
        parts["mask"].setflags(write=False)
    return Stimulus(**parts)


_MADE: Final[dict[str, Callable[[Mapping[str, Any]], Any]]] = {
    "tuple": lambda words: tuple(map(thawed, words["items"])),
    "pairs": lambda words: {thawed(k): thawed(v) for k, v in words["items"]},
    "array": _as_array,
    "number": lambda words: _as_array(words)[()],
    "tracks": lambda words: TrackValues(**thawed(words["parts"])),
    "stimulus": _as_stimulus,
}
"""What a marked object stands for."""
