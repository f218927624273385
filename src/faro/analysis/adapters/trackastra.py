"""Trackastra (Gallusser and Weigert 2024) links a whole movie again, after the run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from faro.analysis.adapters.relinked import Relinked, relinked
from faro.analysis.extras import imported
from faro.analysis.learned.weights import MissingWeightsError, find_weights
from faro.errors import ContractError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from faro.analysis.adapters.relinked import Place
    from faro.analysis.pixels import Image
    from faro.protocols.analysis import Labels

_PARTS = ("config.yaml", "train_config.yaml", "model.pt")


@dataclass(frozen=True, slots=True)
class TrackastraLinker:
    """Links the labels of a stored movie with Trackastra, a transformer.

    For re-analysis only: it looks at images and labels of the whole movie. Needs the
    extra ``trackastra``. The weights are a folder that lies on this machine; nothing
    is fetched.

    Parameters
    ----------
    model
        Folder of the weights, or its name in the folder of models (``FARO_MODELS``).
    divisions
        Whether cells may divide.
    max_distance_px
        Largest displacement between two frames.
    gpu
        Whether a GPU is used where there is one.
    """

    model: str = "general_2d"
    divisions: bool = True
    max_distance_px: int = 128
    gpu: bool = True

    def link(self, images: Sequence[Image], labels: Sequence[Labels]) -> Relinked:
        """Return the tracks of a movie; cells by ascending label, as `PixelCells` does.

        Parameters
        ----------
        images
            (Y, X) of each frame.
        labels
            (Y, X) of each frame, 0 background.

        Raises
        ------
        ContractError
            If images and labels have other shapes.
        MissingExtraError, MissingWeightsError
            If trackastra, or the weights, are not on this machine.
        """
        shapes = {plane.shape for plane in (*images, *labels)}
        if len(images) != len(labels) or len(shapes) > 1:
            problem = f"There are {len(images)} images and {len(labels)} label images "
            problem += f"of the shapes {sorted(shapes)}."
            raise ContractError(problem, remedy="Give both of each frame, (Y, X).")
        names = [np.unique(plane[plane > 0]) for plane in labels]
        n_cells = [len(found) for found in names]
        if np.count_nonzero(n_cells) < 2:
            return relinked(n_cells, ())
        rows: dict[tuple[int, int], Place] = {
            (t, int(label)): (t, row)
            for t, found in enumerate(names)
            for row, label in enumerate(found)
        }
        return relinked(n_cells, self._links(np.stack(images), np.stack(labels), rows))

    def _links(
        self, images: Any, labels: Any, rows: dict[tuple[int, int], Place]
    ) -> Iterator[tuple[Place, Place]]:
        """Yield the links that the model makes."""
        mode: Literal["greedy", "greedy_nodiv"]
        mode = "greedy" if self.divisions else "greedy_nodiv"
        graph, _ = self._loaded().track(
            images, labels, mode=mode, max_distance=self.max_distance_px
        )
        for earlier, later in graph.edges:
            yield tuple(  # type: ignore[misc]  # two of them
                rows[graph.nodes[node]["time"], graph.nodes[node]["label"]]
                for node in (earlier, later)
            )

    def _loaded(self) -> Any:
        """Return the model."""
        folder = model_folder(self.model)
        library = imported("trackastra.model", extra="trackastra")
        device = "automatic" if self.gpu else "cpu"
        return library.Trackastra.from_folder(folder, device=device)


def model_folder(model: str) -> Path:
    """Return the folder of weights of Trackastra.

    Raises
    ------
    MissingWeightsError
        If it is not on this machine, or not whole.
    """
    folder = find_weights(model)
    for part in _PARTS:
        if not (folder / part).is_file():
            remedy = "Unpack a release of trackastra-models on GitHub there."
            raise MissingWeightsError(str(folder / part), remedy)
    return folder
