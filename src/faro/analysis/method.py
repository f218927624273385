"""A segmenter with the name of its labels and the channel it looks at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from faro.errors import ContractError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt

    from faro.model.frame import PixelArray
    from faro.protocols.analysis import Segmenter

_NAME_REMEDY = "Use letters, digits, '-' and '_', for example 'nuclei'."


@dataclass(frozen=True, slots=True)
class FunctionSegmenter:
    """A function ``segment(pixels) -> labels`` as a segmenter.

    Parameters
    ----------
    name
        Of the function, for the record.
    function
        Takes (Y, X) pixels, returns (Y, X) labels.
    """

    name: str
    function: Callable[[PixelArray], npt.NDArray[Any]]

    def segment(self, pixels: PixelArray) -> npt.NDArray[Any]:
        """Return what the function gives for ``pixels`` (Y, X): labels (Y, X)."""
        return self.function(pixels)


def as_segmenter(component: object) -> Segmenter:
    """Return an object with ``segment(pixels)``, from one or from a function.

    Raises
    ------
    ContractError
        If it is neither; a class is neither, its instance is.

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

    >>> SegmentationMethod("nuclei", lambda pixels: pixels > 5, "miRFP").name
    'nuclei'
    """

    name: str
    segmenter: Segmenter | Callable[[PixelArray], npt.NDArray[np.generic]]
    use_channel: int | str | tuple[int | str, ...] = 0

    def __post_init__(self) -> None:
        plain = str(self.name).replace("-", "a").replace("_", "a")
        if not (plain.isascii() and plain.isalnum()):
            problem = f"{self.name!r} is no name for a label image."
            raise ContractError(problem, remedy=_NAME_REMEDY)
        object.__setattr__(self, "segmenter", as_segmenter(self.segmenter))


def _name_of(function: object) -> str:
    """Return the import path of a function, or what it is."""
    module = getattr(function, "__module__", "")
    name = getattr(function, "__qualname__", type(function).__qualname__)
    return f"{module}:{name}"
