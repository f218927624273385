"""ConvPaint: pixels classified as a user painted them in napari."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import yaml

from faro.analysis.clumps import compacted, connected, split_clumps
from faro.analysis.extras import imported
from faro.analysis.learned.inputs import as_channels
from faro.analysis.learned.model import LearnedModel, existing
from faro.analysis.learned.weights import MissingWeightsError, find_weights

if TYPE_CHECKING:
    from typing import Any

    from faro.model.frame import PixelArray
    from faro.protocols.analysis import Labels

FEATURE_WEIGHTS = {
    "vgg16": "vgg16-397923af.pth",
    "efficient_netb0": "efficientnet_b0_rwightman-7f5810bc.pth",
    "convnext": "convnext_base-6075fbad.pth",
    "dinov2_small-reg": "dinov2_vits14_reg4_pretrain.pth",
}
"""Networks that ConvPaint takes features from, and the files of their weights."""


@dataclass(eq=False)
class ConvPaintSegmenter(LearnedModel):
    """A classifier that was trained with ConvPaint and saved (extra ``convpaint``).

    Takes as many channels as it was trained with, uint8 or uint16; it scales them and
    cuts tiles as was saved with it. A saved model is a pickle: load only files that
    you trust. Importing it needs a Qt library, but no screen.

    Parameters
    ----------
    path
        The ``.pkl`` that ConvPaint saved, with its ``.yml`` beside it.
    cell_class
        Number of the class that is cells; 1 is what was painted first, often the
        background.
    diameter_px
        Typical diameter: touching cells are split by their shape. None: do not split.
    min_area_px
        Smaller objects are dropped.
    n_threads
        Threads of torch, on a CPU.
    in_worker
        Whether a pipeline runs it in a worker process.
    """

    path: str
    cell_class: int = 2
    diameter_px: float | None = None
    min_area_px: int = 20
    n_threads: int = 1
    in_worker: bool = True

    def segment(self, pixels: PixelArray, /) -> Labels:
        """Return labels (Y, X) int32 of ``pixels`` (Y, X) or (C, Y, X).

        Raises
        ------
        MissingExtraError, MissingWeightsError
            When it is loaded: on the first image, or in `warm_up`.
        """
        planes = as_channels(pixels, "ConvPaintSegmenter")
        model = self.load()
        with self._turn:
            classes = model.segment(planes if len(planes) > 1 else planes[0])
        mask = (np.asarray(classes) == self.cell_class).view(np.uint8)
        if self.diameter_px is None:
            return compacted(connected(mask, 8)[1], self.min_area_px)
        smoothing_px = max(self.diameter_px / 13, 0.5)
        reach_px = max(round(self.diameter_px / 6), 1)
        return compacted(split_clumps(mask, smoothing_px, reach_px), self.min_area_px)

    def weights_path(self) -> Path | None:
        """Return where the model lies, None if it is not there."""
        return existing(find_weights, self.path)

    def _load(self) -> Any:
        place = find_weights(self.path)
        _check_features(place)
        torch = imported("torch", extra="convpaint")
        with warnings.catch_warnings():  # it tells of features that are not installed
            warnings.simplefilter("ignore")
            models = imported("napari_convpaint.convpaint_model", extra="convpaint")
            torch.set_num_threads(self.n_threads)
            return models.ConvpaintModel(model_path=str(place))


def _check_features(model: Path) -> None:
    """Raise MissingWeightsError where ConvPaint would fetch those of its features."""
    about = model.with_suffix(".yml")
    if not about.is_file():
        raise MissingWeightsError(about.name, f"Save it beside {str(model)!r} again.")
    said = yaml.safe_load(about.read_text(encoding="utf-8"))
    name = str(said.get("fe_name"))
    file = FEATURE_WEIGHTS.get(name)
    if file is not None and not (feature_folder() / file).is_file():
        remedy = f"Fetch it before the run: faro models fetch convpaint/{name}"
        raise MissingWeightsError(file, remedy)


def feature_folder() -> Path:
    """Return where ConvPaint keeps the weights of its features."""
    return Path("~/.cache/torch/hub/checkpoints").expanduser()
