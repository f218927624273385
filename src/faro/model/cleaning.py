"""What is done to the labels of every segmenter alike."""

from __future__ import annotations

from typing import Self

from pydantic import NonNegativeInt, PositiveInt, model_validator

from faro.model.schema import Schema


class LabelCleaning(Schema):
    """What is done to labels after a segmenter, whichever it is.

    Holes are filled first, then what touches the border goes, then what has no fit
    area. Labels keep their numbers.

    Attributes
    ----------
    min_area_px, max_area_px
        Smaller and larger objects are dropped; None for no limit.
    clear_borders
        Drop what touches the border of the image.
    fill_holes
        Give background that one object encloses to it.

    Examples
    --------
    >>> LabelCleaning(min_area_px=20).does_something
    True
    """

    min_area_px: NonNegativeInt = 0
    max_area_px: PositiveInt | None = None
    clear_borders: bool = False
    fill_holes: bool = False

    @model_validator(mode="after")
    def _some_area_fits(self) -> Self:
        if self.max_area_px is not None and self.max_area_px < self.min_area_px:
            problem = (
                f"No area is at least {self.min_area_px} and at most "
                f"{self.max_area_px} px. Swap min_area_px and max_area_px."
            )
            raise ValueError(problem)
        return self

    @property
    def does_something(self) -> bool:
        """Whether any label may change."""
        return self != LabelCleaning()
