"""Models with a name: what is known, where it lies, and how it is fetched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from faro import settings
from faro.analysis.extras import imported
from faro.analysis.learned.cellpose import (
    CELLPOSE_MODELS,
    CellposeSegmenter,
    cellpose_file,
)
from faro.analysis.learned.convpaint import FEATURE_WEIGHTS, feature_folder
from faro.analysis.learned.model import LearnedModel, existing
from faro.analysis.learned.network import OnnxSegmenter, TorchScriptSegmenter
from faro.analysis.learned.stardist import (
    STARDIST_MODELS,
    StarDistSegmenter,
    stardist_folder,
)
from faro.analysis.learned.weights import MissingWeightsError
from faro.errors import FaroError

if TYPE_CHECKING:
    from pathlib import Path

_BY_SUFFIX: dict[str, type[OnnxSegmenter | TorchScriptSegmenter]] = {
    ".onnx": OnnxSegmenter,
    ".pt": TorchScriptSegmenter,
    ".ts": TorchScriptSegmenter,
}


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


def fetch(name: str) -> Path:
    """Fetch a known model with its library, where that keeps it; return the place.

    The one place that reaches the network for weights. Nothing is fetched twice.

    Raises
    ------
    UnknownModelError
        If no library offers it.
    MissingExtraError
        If the library is not installed.
    MissingWeightsError
        If it cannot be reached.
    """
    model = _known(name)
    place = model.place()
    if place is not None:
        return place
    try:
        _fetch(model)
    except FaroError:
        raise
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
        raise MissingWeightsError(name, f"It could not be fetched: {said}") from error
    place = model.place()
    if place is None:
        remedy = "Its library fetched it to another place than expected."
        raise MissingWeightsError(name, remedy)
    return place


def _fetch(model: KnownModel) -> None:
    """Have the library fetch its weights."""
    if model.library == "cellpose":
        imported("cellpose.models", extra="cellpose").cache_model_path(model.key)
    elif model.library == "stardist":
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
