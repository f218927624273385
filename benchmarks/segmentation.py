"""How well the shipped segmenters find what people, or the experiment, drew.

    python benchmarks/segmentation.py FOLDER

FOLDER holds ``nuclei`` (images and hand-made masks of StarDist's test data) and
``erk_ktr`` (a recording with the labels that were used in it). Printed is Markdown: F1
and average precision, TP / (TP + FP + FN), of objects matched at IoU > 0.5.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import tifffile
import zarr

from faro.analysis import (
    BlobSegmenter,
    LocalThresholdSegmenter,
    OtsuSegmenter,
    match_labels,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faro.protocols import Segmenter

SEGMENTERS: dict[str, Segmenter] = {
    "OtsuSegmenter()": OtsuSegmenter(),
    "LocalThresholdSegmenter()": LocalThresholdSegmenter(),
    "LocalThresholdSegmenter(diameter_px=20)": LocalThresholdSegmenter(
        diameter_px=20.0
    ),
    "BlobSegmenter(diameter_px=20)": BlobSegmenter(diameter_px=20.0),
}


def images(folder: Path) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield name, image (Y, X) and drawn labels (Y, X)."""
    for name in ("", "test_"):
        image = tifffile.imread(folder / "nuclei" / f"{name}img2d.tif")
        drawn = tifffile.imread(folder / "nuclei" / f"{name}mask2d.tif")
        yield f"nuclei, {name}img2d", image, drawn
    store = folder / "erk_ktr" / "acquisition.ome.zarr"
    raw = zarr.open_array(store / "0", mode="r")
    labels = zarr.open_array(store / "labels" / "labels" / "0", mode="r")
    found = np.asarray(labels[0, 0]).astype(np.int32)
    yield "ERK-KTR recording", np.asarray(raw[0, 0, 0]), found


def main() -> None:
    """Print one row per segmenter and image."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    print("| image | segmenter | drawn | found | F1 | AP |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for name, image, drawn in images(folder):
        for title, segmenter in SEGMENTERS.items():
            labels = segmenter.segment(np.ascontiguousarray(image))
            match = match_labels(drawn, labels)
            counts = f"{len(np.unique(drawn)) - 1} | {len(np.unique(labels)) - 1}"
            scores = f"{match.f1:.3f} | {match.average_precision:.3f}"
            print(f"| {name} | `{title}` | {counts} | {scores} |")


if __name__ == "__main__":
    main()
