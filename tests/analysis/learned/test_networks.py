"""Any ONNX or TorchScript network gives the labels that its numbers say."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from faro.analysis import InWorkerProcess, ThresholdSegmenter
from faro.analysis.learned import OnnxSegmenter
from faro.errors import ContractError, RefusedError
from faro.run import ImageProcessingPipeline
from faro.testing.movie import synthetic_stack
from faro.testing.segmenter import check_segmenter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from faro.analysis.learned import NetworkSegmenter
    from faro.protocols.analysis import Labels

    MakeNetwork = Callable[..., NetworkSegmenter]

OFFSET, SCALE = 30_000, 500
SHAPE = (90, 130)
CENTRES = ((20, 20), (20, 34), (60, 40), (45, 100), (70, 101))
RADIUS_PX = 9

# What torch says of its own formats is not ours to mend.
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")


def as_pixels(numbers: npt.NDArray[Any]) -> npt.NDArray[np.uint16]:
    """Return numbers (Y, X) or (C, Y, X) as pixels that the networks read."""
    pixels: npt.NDArray[np.uint16] = np.rint(numbers * SCALE + OFFSET).astype(np.uint16)
    return pixels


def discs() -> Labels:
    """Return discs, two of which touch, (Y, X) int32."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    far = np.stack([np.hypot(y - cy, x - cx) for cy, cx in CENTRES])
    nearest = far.argmin(0)
    return np.where(far.min(0) < RADIUS_PX, nearest + 1, 0).astype(np.int32)


def same_cells(found: Labels, expected: Labels, iou: float) -> bool:
    """Say whether each expected cell is found once, with that overlap."""
    if found.max() != expected.max():
        return False
    for label in range(1, expected.max() + 1):
        cell = expected == label
        best = np.bincount(found[cell], minlength=2)[1:].argmax() + 1
        other = found == best
        if (cell & other).sum() / (cell | other).sum() < iou:
            return False
    return True


def test_a_threshold_network_keeps_the_contract(make_network: MakeNetwork) -> None:
    check_segmenter(make_network(output="probabilities", threshold=-50.0))


def test_probabilities_are_the_threshold_that_they_say(
    make_network: MakeNetwork,
) -> None:
    image = np.ascontiguousarray(synthetic_stack((96, 120), n_cells=8, seed=1)[0][0])
    level = int((image.min() + image.max()) // 2)
    network = make_network(threshold=(level + 0.5 - OFFSET) / SCALE, min_area_px=5)
    expected = ThresholdSegmenter(level, min_area_px=5).segment(image)
    assert expected.max() > 3
    np.testing.assert_array_equal(network.segment(image), expected)
    tiled = make_network(
        threshold=(level + 0.5 - OFFSET) / SCALE,
        min_area_px=5,
        tile_px=48,
        overlap_px=16,
    )
    np.testing.assert_array_equal(tiled.segment(image), expected)


@pytest.mark.parametrize("last", [False, True], ids=["first", "last"])
def test_probability_and_distance_split_what_touches(
    make_network: MakeNetwork, *, last: bool
) -> None:
    truth = discs()
    mask = truth > 0
    edges = np.stack([ndimage.distance_transform_edt(truth == n) for n in range(1, 6)])
    numbers = np.stack([mask.astype(float), edges.max(0)])
    network = make_network(2, output="distances", channels_last=last)
    assert same_cells(network.segment(as_pixels(numbers)), truth, 0.9)


def test_probability_and_rays_give_stars(make_network: MakeNetwork) -> None:
    truth = discs()
    network = make_network(33, output="distances", min_area_px=5)
    assert same_cells(network.segment(as_pixels(stars(truth))), truth, 0.8)


def stars(truth: Labels) -> npt.NDArray[np.float64]:
    """Return probability and 32 rays of every pixel, (33, Y, X), step by step."""
    n_rays = 32
    rays = np.zeros((n_rays, *truth.shape))
    for ray in range(n_rays):
        angle = 2 * np.pi * ray / n_rays
        for y, x in np.argwhere(truth):
            reach = 0.0
            while True:
                yy = round(y + reach * np.sin(angle))
                xx = round(x + reach * np.cos(angle))
                inside = 0 <= yy < truth.shape[0] and 0 <= xx < truth.shape[1]
                if not inside or truth[yy, xx] != truth[y, x]:
                    break
                reach += 0.5
            rays[ray, y, x] = reach
    edges = [ndimage.distance_transform_edt(truth == n) for n in range(1, 6)]
    return np.concatenate([[np.max(edges, axis=0) / RADIUS_PX], rays])


def flows(truth: Labels) -> npt.NDArray[np.float64]:
    """Return flows to the centre and a score, (3, Y, X)."""
    y, x = np.mgrid[: truth.shape[0], : truth.shape[1]]
    at = np.array([(0, 0), *CENTRES])[truth]
    away = np.stack([at[..., 0] - y, at[..., 1] - x]).astype(float)
    length = np.maximum(np.hypot(*away), 1)
    return np.stack([*(5 * away / length), np.where(truth > 0, 5.0, -5.0)])


def test_flows_lead_to_cells(make_network: MakeNetwork) -> None:
    truth = discs()
    network = make_network(3, output="flows")
    assert same_cells(network.segment(as_pixels(flows(truth))), truth, 0.95)


@pytest.mark.library("cellpose", "cellpose")
@pytest.mark.filterwarnings("ignore")
def test_flows_give_the_masks_that_cellpose_gives(make_network: MakeNetwork) -> None:
    dynamics: Any = import_module("cellpose.dynamics")
    pixels = as_pixels(flows(discs()))
    numbers = (pixels.astype(np.float32) - OFFSET) / SCALE
    theirs = dynamics.compute_masks(
        numbers[:2], numbers[2], niter=100, flow_threshold=0, min_size=20
    )
    network = make_network(3, output="flows")
    ours = network.segment(pixels)
    assert same_cells(ours, np.asarray(theirs, np.int32), 0.95)


def test_labels_are_taken_as_they_are(make_network: MakeNetwork) -> None:
    truth = discs()
    network = make_network(output="labels")
    np.testing.assert_array_equal(network.segment(as_pixels(truth)), truth)


def test_another_output_than_declared_is_refused(make_network: MakeNetwork) -> None:
    network = make_network(1, output="flows")
    message = r"gave \(1, 1, 32, 48\) for an image of \(32, 48\); that is not 'flows'"
    with pytest.raises(ContractError, match=message):
        network.segment(np.zeros((20, 40), np.uint16))


def test_labels_below_zero_are_refused(make_network: MakeNetwork) -> None:
    network = make_network(output="labels")
    with pytest.raises(ContractError, match="returned labels from -60 to -60"):
        network.segment(np.zeros((20, 40), np.uint16))


def test_a_pipeline_runs_it_in_a_worker_process(make_network: MakeNetwork) -> None:
    network = make_network(output="probabilities")
    network.in_worker = True
    (method,) = ImageProcessingPipeline(network).segmenters
    worker = method.segmenter
    assert isinstance(worker, InWorkerProcess)
    pixels = as_pixels(discs() > 0)
    network.in_worker = False
    np.testing.assert_array_equal(worker.segment(pixels), network.segment(pixels))
    told = worker.describe()["parameters"]["segmenter"]
    assert len(told["weights_sha256"]) == 64
    worker.close()


def test_parameters_that_do_not_fit_are_refused_together(tmp_path: Path) -> None:
    with pytest.raises(RefusedError) as caught:
        OnnxSegmenter(
            str(tmp_path / "x.onnx"),
            output="labels",
            tile_px=64,
            overlap_px=64,
            multiple_of_px=0,
        )
    places = [problem.where for problem in caught.value.problems]
    assert places == ["tile_px", "overlap_px", "multiple_of_px"]
    with pytest.raises(RefusedError, match="'masks' is no output"):
        OnnxSegmenter("x.onnx", output="masks")  # type: ignore[arg-type]  # on purpose
