"""A segmenter with the name of its labels and the channel it looks at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from faro.analysis.cleaning import cleaned
from faro.analysis.labels import normalise_labels
from faro.errors import ContractError
from faro.model import LabelCleaning

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from faro.model import Stack
    from faro.model.frame import PixelArray
    from faro.protocols.analysis import ChainedSegmenter, Labels, Segmenter

_NAME_REMEDY = "Use letters, digits, '-' and '_', for example 'nuclei'."


@dataclass(frozen=True, slots=True)
class FunctionSegmenter:
    """A function ``segment(pixels) -> labels`` as a segmenter.

    Parameters
    ----------
    name
        Of the function, for the record.
    function
        Takes (Y, X) pixels, and seeds (Y, X) if asked for; returns (Y, X) labels.
    """

    name: str
    function: Callable[..., npt.NDArray[Any]]

    def segment(self, pixels: PixelArray, *seeds: Labels) -> npt.NDArray[Any]:
        """Return what the function gives for ``pixels`` (Y, X): labels (Y, X)."""
        return self.function(pixels, *seeds)


def as_segmenter(component: object) -> Segmenter:
    """Return an object with ``segment(pixels)``, from one or from a function.

    Raises
    ------
    ContractError
        If it is neither; a class is neither, its instance is.

    Examples
    --------
    >>> import numpy as np
    >>> as_segmenter(lambda pixels: pixels > 5).segment(np.array([[3, 9]])).tolist()
    [[False, True]]
    """
    if not isinstance(component, type):
        if callable(getattr(component, "segment", None)):
            return cast("Segmenter", component)
        if callable(component):
            return FunctionSegmenter(_name_of(component), component)
    what = component.__name__ if isinstance(component, type) else repr(component)
    problem = f"{what} is no segmenter."
    if isinstance(component, type):
        problem = f"{what} is a class, not a segmenter."
    remedy = "Give an object with a method segment(pixels), or a function."
    raise ContractError(problem, remedy=remedy)


@dataclass(frozen=True, slots=True)
class SegmentationMethod:
    """A segmenter, what its labels are called, and the channel it looks at.

    Parameters
    ----------
    name
        Name of the label image on disk, for example ``"nuclei"``.
    segmenter
        An object with ``segment(pixels)``, or a function.
    use_channel
        Name or index of the channel; several for a segmenter that takes (C, Y, X).
    seeds
        Name of a segmenter before this one, whose labels (Y, X) int32 this one is
        given as a second argument: ``segment(pixels, seeds)``.
    cleaning
        What is done to the labels afterwards.

    Examples
    --------
    >>> SegmentationMethod("nuclei", lambda pixels: pixels > 5, "miRFP").name
    'nuclei'
    """

    name: str
    segmenter: Segmenter | ChainedSegmenter | Callable[..., npt.NDArray[np.generic]]
    use_channel: int | str | tuple[int | str, ...] = 0
    seeds: str | None = None
    cleaning: LabelCleaning = field(default_factory=LabelCleaning)

    def __post_init__(self) -> None:
        plain = str(self.name).replace("-", "a").replace("_", "a")
        if not (plain.isascii() and plain.isalnum()):
            problem = f"{self.name!r} is no name for a label image."
            raise ContractError(problem, remedy=_NAME_REMEDY)
        object.__setattr__(self, "segmenter", as_segmenter(self.segmenter))

    def labels_of(self, stack: Stack, known: Mapping[str, Labels]) -> Labels:
        """Return the checked labels (Y, X) int32 of a stack, read-only.

        Parameters
        ----------
        stack
            The channels of one moment.
        known
            Labels of the segmenters before this one, by name.

        Raises
        ------
        ContractError
            If the seeds are not known, or what the segmenter returned are no labels.
        """
        chosen = self.use_channel
        if isinstance(chosen, list | tuple):
            pixels = np.stack([stack.plane(channel) for channel in chosen])
        else:
            pixels = stack.plane(chosen)
        segmenter: Any = self.segmenter
        if self.seeds is None:
            result = segmenter.segment(pixels)
        elif self.seeds in known:
            result = segmenter.segment(pixels, known[self.seeds])
        else:
            problem = f"There are no labels {self.seeds!r} to start {self.name!r} from."
            remedy = "Put the segmenter that makes them before this one."
            raise ContractError(problem, remedy=remedy)
        labels = normalise_labels(result, stack.shape, self.name)
        labels = cleaned(labels, self.cleaning)
        labels.setflags(write=False)
        return labels


def _name_of(function: object) -> str:
    """Return the import path of a function, or what it is."""
    module = getattr(function, "__module__", "")
    name = getattr(function, "__qualname__", type(function).__qualname__)
    return f"{module}:{name}"
