"""Any ONNX or TorchScript network: what it takes and gives is declared, not guessed."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from faro.analysis.clumps import compacted
from faro.analysis.extras import imported
from faro.analysis.labels import normalise_labels
from faro.analysis.learned.inputs import as_channels, in_tiles, scaled
from faro.analysis.learned.model import LearnedModel, existing
from faro.analysis.learned.outputs import (
    labels_of_distance,
    labels_of_flows,
    labels_of_probability,
    labels_of_stars,
)
from faro.analysis.learned.weights import find_weights
from faro.errors import ContractError, Problem, RefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Any

    from faro.model.frame import PixelArray
    from faro.protocols.analysis import Labels

Output: TypeAlias = Literal["labels", "probabilities", "distances", "flows"]
Planes: TypeAlias = npt.NDArray[np.float32]

OUTPUTS: dict[str, tuple[int, ...] | int] = {
    "labels": (1,),
    "probabilities": (1,),
    "distances": 2,
    "flows": (3,),
}
"""Kinds of output, and how many planes each has: these, or at least so many."""
_FEWEST_RAYS = 3


@dataclass(eq=False)
class NetworkSegmenter(LearnedModel):
    """A network in a file, with our own steps before and after it.

    The network is given one image, (1, C, Y, X) float32, or (1, Y, X, C) with
    ``channels_last``; C is 1, or as many channels as ``use_channel`` names. Its
    outputs, one or several, with or without the leading 1, are put together along the
    channel axis, in their order:

    ``"labels"``
        One plane: 0 is background, whole numbers.
    ``"probabilities"``
        One plane: 0 to 1.
    ``"distances"``
        A plane of probabilities, then one of distances to the background (watershed),
        or three or more of rays in px (star-convex polygons, as StarDist gives; may
        be on a coarser grid than the image).
    ``"flows"``
        dy, dx, then the score of being a cell, as a logit (as Cellpose gives).

    Parameters
    ----------
    path
        The file; a bare name is also looked for in the folder of models.
    output
        What the network gives.
    percentiles
        Of each channel: what becomes 0 and 1, without clipping. None: grey levels.
    channels_last
        Whether the network has its channels at the end.
    tile_px, overlap_px
        Edge and least overlap of the tiles; None: the whole image at once. Not for
        labels, which do not join.
    multiple_of_px
        The edges of what the network is given are a multiple of this.
    threshold
        Pixels with a larger probability (0 to 1), or score (flows), are of a cell.
        Default: 0.5, or 0 for flows.
    diameter_px
        Typical diameter: splits touching cells of probabilities, and says how close
        two peaks of a distance may be. None: do not split.
    overlap_fraction
        Stars of which more is covered by a likelier one are dropped.
    n_steps
        Steps along the flows.
    min_area_px
        Smaller objects are dropped.
    n_threads
        Threads of the library, on a CPU.
    device
        ``"cpu"``, or ``"cuda"`` where the library has it.
    in_worker
        Whether a pipeline runs it in a worker process.

    Raises
    ------
    RefusedError
        If the parameters do not fit together; all at once.
    """

    path: str
    output: Output = "probabilities"
    percentiles: tuple[float, float] | None = (1.0, 99.8)
    channels_last: bool = False
    tile_px: int | None = None
    overlap_px: int = 32
    multiple_of_px: int = 16
    threshold: float | None = None
    diameter_px: float | None = None
    overlap_fraction: float = 0.4
    n_steps: int = 100
    min_area_px: int = 20
    n_threads: int = 1
    device: str = "cpu"
    in_worker: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.percentiles is not None:
            low, high = self.percentiles
            self.percentiles = low, high
        problems = list(_unfit(self))
        if problems:
            raise RefusedError(problems)

    def segment(self, pixels: PixelArray, /) -> Labels:
        """Return labels (Y, X) int32 of ``pixels`` (Y, X) or (C, Y, X).

        Raises
        ------
        MissingExtraError, MissingWeightsError
            When it is loaded: on the first image, or in `warm_up`.
        ContractError
            If the network gives something else than declared.
        """
        name = type(self).__name__
        model = self.load()
        planes = scaled(as_channels(pixels, name), self.percentiles)
        found = in_tiles(
            planes,
            lambda tile: self._planes(self._run(model, self._batch(tile)), tile),
            self.tile_px,
            self.overlap_px,
            self.multiple_of_px,
        )
        shape = (int(pixels.shape[-2]), int(pixels.shape[-1]))
        return compacted(self._labels(found, shape), self.min_area_px)

    def weights_path(self) -> Path | None:
        """Return where the weights lie, None if they are not there."""
        return existing(find_weights, self.path)

    @abstractmethod
    def _run(self, model: Any, batch: Planes) -> Sequence[npt.NDArray[Any]]:
        """Return the outputs of the network for ``batch``."""
        raise NotImplementedError

    def _batch(self, tile: Planes) -> Planes:
        """Return (C, Y, X) as the network wants it."""
        return tile.transpose(1, 2, 0)[None] if self.channels_last else tile[None]

    def _planes(self, outputs: Sequence[npt.NDArray[Any]], tile: Planes) -> Planes:
        """Return the outputs as (K, Y, X) float32, K as declared."""
        planes = np.concatenate([self._as_planes(o) for o in outputs]).astype(
            np.float32
        )
        wanted = OUTPUTS[self.output]
        fits = (
            len(planes) in wanted
            if isinstance(wanted, tuple)
            else len(planes) >= wanted
        )
        height, width = tile.shape[-2:]
        grid = height / planes.shape[-2]
        coarse = self.output == "distances" and len(planes) > _FEWEST_RAYS
        same = grid == 1 or (coarse and grid == int(grid))
        if not (fits and same and width == planes.shape[-1] * grid):
            shapes = ", ".join(str(o.shape) for o in outputs)
            problem = (
                f"{self.path} gave {shapes} for an image of {(height, width)}; that "
                f"is not {self.output!r}."
            )
            remedy = "Say what it gives: output=, channels_last=, multiple_of_px=."
            raise ContractError(problem, remedy=remedy)
        return planes

    def _as_planes(self, output: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return one output, (1, K, Y, X), (K, Y, X) or (Y, X), as (K, Y, X)."""
        if output.ndim == 2:
            return output[None]
        planes = output[0] if output.ndim == 4 else output
        if output.ndim == 3 and len(output) == 1:
            return output
        return np.moveaxis(planes, -1, 0) if self.channels_last else planes

    def _labels(self, planes: Planes, shape: tuple[int, int]) -> Labels:
        """Return labels (Y, X) int32 of what the network gave."""
        first = planes[0]
        if self.output == "labels":
            return normalise_labels(first.astype(np.int64), shape, self.path)
        if self.output == "flows":
            least = 0.0 if self.threshold is None else self.threshold
            return labels_of_flows(planes[:2], planes[2] > least, self.n_steps)
        likely = 0.5 if self.threshold is None else self.threshold
        if self.output == "probabilities":
            return labels_of_probability(first, likely, self.diameter_px)
        if len(planes) == 2:
            return labels_of_distance(first, planes[1], likely, self.diameter_px)
        fraction = self.overlap_fraction
        return labels_of_stars(first, planes[1:], likely, fraction, shape)


def _unfit(network: NetworkSegmenter) -> list[Problem]:
    """Return all parameters that do not fit together."""
    checks = {
        "output": (
            network.output in OUTPUTS,
            f"{network.output!r} is no output.",
            f"Use one of: {', '.join(OUTPUTS)}.",
        ),
        "tile_px": (
            network.tile_px is None or network.output != "labels",
            "labels of tiles do not join.",
            "Leave tile_px out, or export a network that gives something else.",
        ),
        "overlap_px": (
            network.tile_px is None or 0 <= network.overlap_px < network.tile_px,
            f"tiles of {network.tile_px} px cannot overlap by {network.overlap_px}.",
            "Overlap by less than a tile.",
        ),
        "multiple_of_px": (
            network.multiple_of_px >= 1,
            f"no edge is a multiple of {network.multiple_of_px} px.",
            "Use 1 or more.",
        ),
    }
    return [
        Problem(k, what, how) for k, (good, what, how) in checks.items() if not good
    ]


@dataclass(eq=False)
class OnnxSegmenter(NetworkSegmenter):
    """A network in an ONNX file, run by onnxruntime (extra ``onnx``).

    Older Cellpose and StarDist models run this way too, exported to ONNX.
    The parameters are those of `NetworkSegmenter`.
    """

    def _load(self) -> Any:
        file = str(find_weights(self.path))
        runtime = imported("onnxruntime", extra="onnx")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = self.n_threads
        options.inter_op_num_threads = 1
        providers = ["CPUExecutionProvider"]
        if self.device != "cpu":
            providers.insert(0, f"{self.device.upper()}ExecutionProvider")
        return runtime.InferenceSession(file, options, providers=providers)

    def _run(self, model: Any, batch: Planes) -> Sequence[npt.NDArray[Any]]:
        outputs: list[npt.NDArray[Any]] = model.run(
            None, {model.get_inputs()[0].name: batch}
        )
        return outputs


@dataclass(eq=False)
class TorchScriptSegmenter(NetworkSegmenter):
    """A network in a TorchScript file (extra ``torch``).

    The parameters are those of `NetworkSegmenter`. A TorchScript file is a program:
    load only files that you trust.
    """

    def _load(self) -> Any:
        file = str(find_weights(self.path))
        torch = imported("torch", extra="torch")
        torch.set_num_threads(self.n_threads)
        return torch.jit.load(file, map_location=self.device).eval()

    def _run(self, model: Any, batch: Planes) -> Sequence[npt.NDArray[Any]]:
        torch = imported("torch", extra="torch")
        given = torch.from_numpy(np.ascontiguousarray(batch)).to(self.device)
        with self._turn, torch.inference_mode():
            found = model(given)
        outputs = found if isinstance(found, (tuple, list)) else [found]
        return [output.detach().cpu().numpy() for output in outputs]
