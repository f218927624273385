"""StarDist: star-convex polygons, from a model that was trained and saved."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from faro import settings
from faro.analysis.clumps import compacted
from faro.analysis.extras import imported
from faro.analysis.learned.inputs import as_channels, scaled
from faro.analysis.learned.model import LearnedModel, existing
from faro.analysis.learned.weights import find_weights

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from faro.model.frame import PixelArray
    from faro.protocols.analysis import Labels

STARDIST_MODELS = ("2D_versatile_fluo", "2D_versatile_he", "2D_paper_dsb2018")
"""Names that StarDist knows."""


@dataclass(eq=False)
class StarDistSegmenter(LearnedModel):
    """StarDist in two dimensions (extra ``stardist``).

    Takes one channel, or as many as the model was trained with, uint8 or uint16.

    Parameters
    ----------
    model
        Name of a model of StarDist (``"2D_versatile_fluo"``), or the folder of one
        that you trained.
    percentiles
        Of each channel: what becomes 0 and 1, without clipping. None: grey levels.
    probability_threshold, overlap_threshold
        None: as the model was optimised.
    n_tiles
        Tiles in y and x; None: the whole image at once.
    min_area_px
        Smaller objects are dropped.
    n_threads
        Threads of TensorFlow, on a CPU.
    in_worker
        Whether a pipeline runs it in a worker process.
    """

    model: str = "2D_versatile_fluo"
    percentiles: tuple[float, float] | None = (1.0, 99.8)
    probability_threshold: float | None = None
    overlap_threshold: float | None = None
    n_tiles: tuple[int, int] | None = None
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
        planes = scaled(as_channels(pixels, "StarDistSegmenter"), self.percentiles)
        many = len(planes) > 1
        image = planes.transpose(1, 2, 0) if many else planes[0]
        tiles = self.n_tiles and ((*self.n_tiles, 1) if many else tuple(self.n_tiles))
        model = self.load()
        with self._turn:
            labels, _ = model.predict_instances(
                image,
                axes="YXC" if many else "YX",
                prob_thresh=self.probability_threshold,
                nms_thresh=self.overlap_threshold,
                n_tiles=tiles,
                show_tile_progress=False,
            )
        return compacted(np.asarray(labels, np.int32), self.min_area_px)

    def weights_path(self) -> Path | None:
        """Return where the weights lie, None if they are not there."""
        return existing(stardist_folder, self.model)

    def _load(self) -> Any:
        place = stardist_folder(self.model)
        tensorflow = imported("tensorflow", extra="stardist")
        threads = tensorflow.config.threading
        with suppress(RuntimeError):  # only before TensorFlow's first use
            threads.set_intra_op_parallelism_threads(self.n_threads)
            threads.set_inter_op_parallelism_threads(1)
        models = imported("stardist.models", extra="stardist")
        return models.StarDist2D(None, name=place.name, basedir=str(place.parent))


def stardist_folder(model: str) -> Path:
    """Return the folder of a model of StarDist, or of the user's.

    Raises
    ------
    MissingWeightsError
        If it is not on this machine.
    """
    cached = settings.load().keras_folder / "models" / "StarDist2D" / model
    places = [cached, *sorted(cached.glob("*"))]
    for folder in places:
        for inside in (folder, folder / model):
            if (inside / "config.json").is_file():
                return inside
    fetch = f"Fetch it before the run: faro models fetch stardist/{model}"
    return find_weights(model, fetch if model in STARDIST_MODELS else "")
