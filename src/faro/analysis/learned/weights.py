"""Weights are files that are there before a run; nothing is fetched inside one."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from faro import settings
from faro.errors import FaroError

_BLOCK = 1 << 20


class MissingWeightsError(FaroError, FileNotFoundError):
    """The weights of a model are not on this machine.

    >>> raise MissingWeightsError("nuclei.onnx", "Copy the file there.")
    Traceback (most recent call last):
    faro.analysis.learned.weights.MissingWeightsError: There are no weights
    'nuclei.onnx' on this machine. Copy the file there.
    """

    __str__ = Exception.__str__

    def __init__(self, path: str, remedy: str) -> None:
        problem = f"There are no weights {path!r} on this machine."
        super().__init__(problem, remedy=remedy)


def find_weights(path: str, remedy: str = "") -> Path:
    """Return where the weights lie.

    Parameters
    ----------
    path
        A file or folder; a bare name is also looked for in the folder of models
        (``FARO_MODELS``).
    remedy
        How to get them; default: where to put them.

    Raises
    ------
    MissingWeightsError
        If they are not there.
    """
    folder = settings.load().models_folder
    places = [Path(path).expanduser(), folder / path]
    for place in places:
        if place.exists():
            return place.resolve()
    looked = " or ".join(f"{str(p)!r}" for p in dict.fromkeys(places))
    raise MissingWeightsError(path, remedy or f"Put them at {looked}.")


def weights_sha256(place: Path | None) -> str | None:
    """Return the SHA-256 of a file of weights, or of all in a folder; None if absent.

    Kept while the files do not change.
    """
    if place is None:
        return None
    files = sorted(p for p in place.rglob("*") if p.is_file()) or [place]
    stamps = [(p.stat().st_size, p.stat().st_mtime_ns) for p in files]
    return _digest(tuple(files), tuple(stamps))


@lru_cache(maxsize=32)
def _digest(files: tuple[Path, ...], _stamps: tuple[tuple[int, int], ...]) -> str:
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as source:
            while block := source.read(_BLOCK):
                digest.update(block)
    return digest.hexdigest()
