"""Base of validated, frozen settings: unknown keys are errors."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict


class Schema(BaseModel):
    """Base of everything that people write and that crosses a boundary."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    def replace(self, **changes: object) -> Self:
        """Return a copy with ``changes``, validated again."""
        return type(self).model_validate({**dict(self), **changes})
