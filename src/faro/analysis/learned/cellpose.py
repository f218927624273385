"""Cellpose 4: its own networks and those that users trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from faro import settings
from faro.analysis.extras import imported
from faro.analysis.learned.inputs import as_channels
from faro.analysis.learned.model import LearnedModel, existing
from faro.analysis.learned.weights import find_weights

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from faro.model.frame import PixelArray
    from faro.protocols.analysis import Labels

CELLPOSE_MODELS = ("cpsam_v2", "cpdino", "cpdino-vitb", "cpsam")
"""Names that Cellpose 4 knows."""
CELLPOSE_ADDRESS = "https://huggingface.co/mouseland/cellpose-sam/resolve/main/"
"""Where Cellpose 4 offers its weights, each under its name."""
_MOST_CHANNELS = 3


@dataclass(eq=False)
class CellposeSegmenter(LearnedModel):
    """Cellpose 4 (extra ``cellpose``); for older models, export them to ONNX.

    Takes one to three channels, uint8 or uint16; Cellpose scales each itself, from its
    1st to its 99th percentile, and cuts tiles of 256 px. The defaults are for
    real time: without the check of the flows, which costs most of the post-processing.
    On a CPU one tile takes many seconds: use a GPU.

    Parameters
    ----------
    model
        Name of a model of Cellpose, or the file of one that you trained.
    diameter_px
        Typical diameter of a cell, from which the image is scaled; None: as it is.
    flow_threshold
        Largest error of a cell's flows; 0 for no check.
    cellprob_threshold
        Pixels with a larger score, a logit, are of a cell.
    min_area_px
        Smaller objects are dropped.
    n_steps
        Steps along the flows; None: as Cellpose chooses.
    batch_size
        Tiles at once.
    gpu
        Use a GPU, if there is one.
    n_threads
        Threads of torch, on a CPU.
    in_worker
        Whether a pipeline runs it in a worker process.
    """

    model: str = "cpsam_v2"
    diameter_px: float | None = None
    flow_threshold: float = 0.0
    cellprob_threshold: float = 0.0
    min_area_px: int = 20
    n_steps: int | None = None
    batch_size: int = 8
    gpu: bool = True
    n_threads: int = 1
    in_worker: bool = True

    def segment(self, pixels: PixelArray, /) -> Labels:
        """Return labels (Y, X) int32 of ``pixels`` (Y, X) or (C, Y, X), C up to 3.

        Raises
        ------
        MissingExtraError, MissingWeightsError
            When it is loaded: on the first image, or in `warm_up`.
        ContractError
            If the image is no such array.
        """
        planes = as_channels(pixels, "CellposeSegmenter", most=_MOST_CHANNELS)
        model = self.load()
        with self._turn:
            masks = model.eval(
                planes,
                channel_axis=0,
                diameter=self.diameter_px,
                flow_threshold=self.flow_threshold,
                cellprob_threshold=self.cellprob_threshold,
                min_size=self.min_area_px,
                niter=self.n_steps,
                batch_size=self.batch_size,
            )[0]
        labels: Labels = np.asarray(masks, np.int32).reshape(planes.shape[-2:])
        return labels

    def weights_path(self) -> Path | None:
        """Return where the weights lie, None if they are not there."""
        return existing(cellpose_file, self.model)

    def _load(self) -> Any:
        # Cellpose fetches its default for a name that it does not find.
        place = str(cellpose_file(self.model))
        torch = imported("torch", extra="cellpose")
        models = imported("cellpose.models", extra="cellpose")
        torch.set_num_threads(self.n_threads)
        half = self.gpu and torch.cuda.is_available()
        return models.CellposeModel(
            gpu=self.gpu, pretrained_model=place, use_bfloat16=half
        )


def cellpose_file(model: str) -> Path:
    """Return the file of a model of Cellpose, or of the user's.

    Raises
    ------
    MissingWeightsError
        If it is not on this machine.
    """
    own = settings.load().cellpose_folder / model
    if own.is_file():
        return own
    fetch = f"Fetch it before the run: faro models fetch cellpose/{model}"
    return find_weights(model, fetch if model in CELLPOSE_MODELS else "")
