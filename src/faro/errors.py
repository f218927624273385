"""Errors that say what happened, with the values, and what to do next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence


class FaroError(Exception):
    """Base of every error raised on purpose.

    Parameters
    ----------
    problem
        What happened, with the values and the place.
    remedy
        What to do next.
    """

    def __init__(self, problem: str, *, remedy: str) -> None:
        super().__init__(f"{problem} {remedy}".strip())
        self.problem, self.remedy = problem, remedy


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason an experiment cannot run, and the way out.

    Attributes
    ----------
    where, what, remedy
        The place, what is wrong there with its values, what to do.
    severity
        ``"error"`` refuses the run; ``"warning"`` is said and the run starts.

    Examples
    --------
    >>> print(Problem("channels/0", "no preset 'DAP1'.", "Use one of: DAPI."))
    channels/0: no preset 'DAP1'. Use one of: DAPI.
    """

    where: str
    what: str
    remedy: str
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        return f"{self.where}: {self.what} {self.remedy}"


class RefusedError(FaroError, ValueError):
    """The experiment was refused before any light; every problem is listed."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        lines = "\n".join(f"  - {problem}" for problem in self.problems)
        count = len(self.problems)
        noun = "problem" if count == 1 else "problems"
        super().__init__(
            f"The experiment was not started: {count} {noun}.\n{lines}", remedy=""
        )


class ContractError(FaroError, TypeError):
    """A plug-in returned something its contract does not allow."""


class ComponentError(FaroError, RuntimeError):
    """A component of the pipeline raised or returned rubbish during a run."""


class HardwareError(FaroError, RuntimeError):
    """The microscope did not do what it was told."""


class MissingFrameError(FaroError, KeyError):
    """A stored run holds no frame at that place."""

    __str__ = Exception.__str__


class StorageError(FaroError, OSError):
    """A run could not be written or read."""


class RunStateError(FaroError, RuntimeError):
    """A verb was used that the state of the run does not allow."""


class MissingExtraError(FaroError, ImportError):
    """A feature needs a library that is not installed.

    >>> raise MissingExtraError("pandas", extra="pandas")
    Traceback (most recent call last):
    faro.errors.MissingExtraError: This needs the library 'pandas'.
    Install it with: pip install 'faro-microscopy[pandas]'
    """

    def __init__(self, library: str, *, extra: str) -> None:
        super().__init__(
            f"This needs the library {library!r}.",
            remedy=f"Install it with: pip install 'faro-microscopy[{extra}]'",
        )
