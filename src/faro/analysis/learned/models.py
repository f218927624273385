"""Models with a name: what is known, where it lies, and how it is fetched."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from faro import settings
from faro.analysis.extras import imported
from faro.analysis.learned.cellpose import (
    CELLPOSE_ADDRESS,
    CELLPOSE_MODELS,
    CellposeSegmenter,
    cellpose_file,
)
from faro.analysis.learned.convpaint import FEATURE_WEIGHTS, feature_folder
from faro.analysis.learned.download import Download, DownloadError
from faro.analysis.learned.model import LearnedModel, existing
from faro.analysis.learned.network import OnnxSegmenter, TorchScriptSegmenter
from faro.analysis.learned.stardist import (
    STARDIST_MODELS,
    StarDistSegmenter,
    stardist_folder,
)
from faro.analysis.learned.weights import MissingWeightsError, weights_sha256
from faro.errors import FaroError

if TYPE_CHECKING:
    from pathlib import Path

_BY_SUFFIX: dict[str, type[OnnxSegmenter | TorchScriptSegmenter]] = {
    ".onnx": OnnxSegmenter,
    ".pt": TorchScriptSegmenter,
    ".ts": TorchScriptSegmenter,
}
_HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.pth")
"""PyTorch names a file by the start of its SHA-256."""


class UnknownModelError(FaroError, KeyError):
    """There is no model of that name."""

    __str__ = Exception.__str__


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A model that a library offers by name.

    Attributes
    ----------
    library
        ``"cellpose"``, ``"stardist"`` or ``"convpaint"``.
    key
        What the library calls it.
    component
        The segmenter that uses it.
    """

    library: str
    key: str
    component: str

    @property
    def name(self) -> str:
        """Name of the model for ``faro models``."""
        return f"{self.library}/{self.key}"

    def place(self) -> Path | None:
        """Return where its weights lie, None if they are not here."""
        if self.library == "convpaint":
            file = feature_folder() / FEATURE_WEIGHTS[self.key]
            return file if file.is_file() else None
        find = cellpose_file if self.library == "cellpose" else stardist_folder
        return existing(find, self.key)


def known_models() -> tuple[KnownModel, ...]:
    """Return all models that libraries offer by name."""
    listed = {
        ("cellpose", "CellposeSegmenter"): CELLPOSE_MODELS,
        ("stardist", "StarDistSegmenter"): STARDIST_MODELS,
        ("convpaint", "ConvPaintSegmenter"): tuple(FEATURE_WEIGHTS),
    }
    return tuple(
        KnownModel(library, key, component)
        for (library, component), keys in listed.items()
        for key in keys
    )


def found_files() -> list[tuple[Path, str]]:
    """Return the networks in the folder of models, each with its segmenter."""
    folder = settings.load().models_folder
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    kinds = [(file, _BY_SUFFIX.get(file.suffix.lower())) for file in files]
    return [(file, kind.__name__) for file, kind in kinds if kind is not None]


def fetch(name: str, sha256: str = "", how: Download | None = None) -> Path:
    """Fetch a model to where its segmenter looks for it; return the place.

    The one place that reaches the network for weights. What is there already is not
    fetched again, unless it is not what ``sha256`` says.

    Parameters
    ----------
    name
        Of a known model, or the address of a network: that one goes into the folder of
        models (``FARO_MODELS``).
    sha256
        What it must be, if you know.
    how
        How it is fetched, and how often that is tried.

    Raises
    ------
    UnknownModelError
        If no library offers it.
    MissingExtraError
        If the library that fetches it is not installed.
    MissingWeightsError
        If it cannot be had, or is not what it must be.
    """
    how = how or Download()
    address = urlsplit(name)
    if address.scheme in ("http", "https"):
        file = unquote(PurePosixPath(address.path).name)
        if not file:
            problem = f"{name!r} names no file."
            remedy = "Give the address of a file, such as https://host/nuclei.onnx."
            raise UnknownModelError(problem, remedy=remedy)
        place = settings.load().models_folder / file
        return _fetched(name, name, place, sha256, how)
    model = _known(name)
    if model.library == "cellpose":
        place = settings.load().cellpose_folder / model.key
        return _fetched(name, CELLPOSE_ADDRESS + model.key, place, sha256, how)
    found = model.place() or _by_library(model, how)
    if sha256 and weights_sha256(found) != sha256.lower():
        said = f"What lies at {found} has the SHA-256 {weights_sha256(found)}."
        raise MissingWeightsError(name, f"{said} Remove it and fetch it again.")
    return found


def _fetched(name: str, url: str, place: Path, sha256: str, how: Download) -> Path:
    """Fetch one file, unless it is there and what it must be."""
    there = place.is_file()
    if there and (not sha256 or weights_sha256(place) == sha256.lower()):
        return place
    try:
        how.fetch(url, place, sha256)
    except DownloadError as error:
        raise MissingWeightsError(name, str(error)) from error
    return place


def _by_library(model: KnownModel, how: Download) -> Path:
    """Have a library fetch its weights, several times if need be."""
    said = ""
    for number in range(how.n_tries):
        if number:
            time.sleep(how.wait_s * 2 ** (number - 1))
        try:
            _fetch(model)
        except FaroError:
            raise
        except Exception as error:  # noqa: BLE001  a library may raise anything
            said = f"It could not be fetched: {type(error).__name__}: {error}"
            continue
        place = model.place()
        if place is None:
            said = "Its library fetched it to another place than expected."
            break
        named = _HASH_IN_NAME.search(place.name)
        if named is None or str(weights_sha256(place)).startswith(named[1]):
            return place
        place.unlink()
        said = f"What was fetched is not {place.name}, by its SHA-256."
    raise MissingWeightsError(model.name, said)


def _fetch(model: KnownModel) -> None:
    """Have the library fetch its weights."""
    if model.library == "stardist":
        stardist = imported("stardist.models", extra="stardist")
        stardist.StarDist2D.from_pretrained(model.key)
    else:
        convpaint = imported("napari_convpaint.convpaint_model", extra="convpaint")
        convpaint.ConvpaintModel(fe_name=model.key)


def segmenter_of(name: str) -> LearnedModel:
    """Return a segmenter with the defaults, by name of a model or by file.

    Raises
    ------
    UnknownModelError
        If the name is of no model, or ConvPaint's, which must be trained first.
    """
    for suffix, kind in _BY_SUFFIX.items():
        if name.lower().endswith(suffix):
            return kind(name)
    model = _known(name)
    makers: dict[str, Any] = {
        "cellpose": CellposeSegmenter,
        "stardist": StarDistSegmenter,
    }
    if model.library not in makers:
        problem = f"{name} are features, not a model that segments."
        raise UnknownModelError(problem, remedy="Train one with ConvPaint.")
    found: LearnedModel = makers[model.library](model.key)
    return found


def _known(name: str) -> KnownModel:
    models = {model.name: model for model in known_models()}
    if name not in models:
        problem = f"There is no model {name!r}."
        remedy = f"Use one of: {', '.join(models)}; or the file of a network."
        raise UnknownModelError(problem, remedy=remedy)
    return models[name]
