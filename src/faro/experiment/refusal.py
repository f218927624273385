"""How wrong words are refused: all at once, each with its place and the right one."""

from __future__ import annotations

from collections.abc import Mapping, Sized
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import BaseModel, ValidationError

from faro.errors import FaroError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

LONGEST_QUOTE = 60
NO_ADVICE: Mapping[str, str] = {}


class ExperimentError(FaroError, ValueError):
    """An experiment says something that is wrong, or that is not executed.

    Attributes
    ----------
    problems
        Every mistake that was found, in the order of the words.

    Examples
    --------
    >>> raise ExperimentError([Problem("exposure", "-1 is too short.", "Give 1.")])
    Traceback (most recent call last):
    faro.experiment.refusal.ExperimentError: exposure: -1 is too short. Give 1.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        if len(self.problems) == 1:
            only = self.problems[0]
            super().__init__(f"{only.where}: {only.what}", remedy=only.remedy)
            return
        lines = "\n".join(f"  - {problem}" for problem in self.problems)
        text = f"The experiment has {len(self.problems)} mistakes.\n{lines}"
        super().__init__(text, remedy="")


class Refusing(BaseModel):
    """Model that refuses unknown and unexecuted words with an `ExperimentError`.

    Attributes
    ----------
    refused
        Fields of the base class that are not executed, each with what to do instead.
        Their default values are let through.
    expected
        Fields that may be written in several ways, each with what is expected.
    """

    refused: ClassVar[Mapping[str, str]] = NO_ADVICE
    expected: ClassVar[Mapping[str, str]] = NO_ADVICE

    def __init__(self, **given: Any) -> None:
        fields = type(self).model_fields
        problems = list(unknown_words(given, fields, "settings"))
        unexecuted = list(self._unexecuted(given))
        problems += [*unexecuted, *self.mistakes_in(given)]
        reported = {problem.where.split("/")[0] for problem in problems}
        barred = {problem.where for problem in unexecuted}
        accepted = {k: v for k, v in given.items() if k in fields and k not in barred}
        try:
            super().__init__(**accepted)
        except ValidationError as error:
            known = self.expected.keys() & reported
            found = problems_from(error, accepted, self.expected)
            problems += [problem for problem in found if problem.where not in known]
        if problems:
            raise ExperimentError(problems) from None

    def replace(self, **changes: Any) -> Self:
        """Return a copy with ``changes``, checked again."""
        said = {name: getattr(self, name) for name in type(self).model_fields}
        return type(self)(**{**said, **changes})

    @classmethod
    def mistakes_in(
        cls,
        given: Mapping[str, Any],  # noqa: ARG003  for subclasses
    ) -> Iterator[Problem]:
        """Yield mistakes that are seen only in the words as given."""
        yield from ()

    @classmethod
    def _unexecuted(cls, given: Mapping[str, Any]) -> Iterator[Problem]:
        for name, remedy in cls.refused.items():
            value = given.get(name)
            if not _says_nothing(value, cls.model_fields[name]):
                what = f"{_quoted(value)} is not supported here."
                yield Problem(name, what, remedy)


def nearest(name: str, known: Iterable[str], limit: int = 12) -> str:
    """Return the sentence that leads from a wrong name to a right one.

    >>> nearest("DAP1", ["DAPI", "FITC"]), nearest("x", ["DAPI", "FITC"])
    ("Did you mean 'DAPI'?", "Use one of: 'DAPI', 'FITC'.")
    """
    names = list(known)
    close = get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f"Did you mean {close[0]!r}?"
    if not names:
        return "There is none to choose from."
    more = ", ..." if len(names) > limit else ""
    return f"Use one of: {', '.join(repr(n) for n in names[:limit])}{more}."


def unknown_words(
    given: Iterable[object], known: Iterable[str], where: str
) -> Iterator[Problem]:
    """Yield each word of ``given`` that is not in ``known``, with the nearest one."""
    names = list(known)
    for word in given:
        if word not in names:
            what = f"there is no {word!r}."
            yield Problem(where, what, nearest(str(word), names))


def problems_from(
    error: ValidationError, given: Mapping[str, Any], expected: Mapping[str, str]
) -> list[Problem]:
    """Return what pydantic found as problems; one for a field in ``expected``."""
    found: dict[Problem, None] = {}
    for detail in error.errors(include_url=False):
        place = [str(part) for part in detail["loc"]]
        cause = detail.get("ctx", {}).get("error")
        if isinstance(cause, ExperimentError):
            for inner in cause.problems:
                where = "/".join([*place, inner.where])
                found[Problem(where, inner.what, inner.remedy)] = None
        elif place and place[0] in expected:
            what = f"{_quoted(given.get(place[0]))} is not understood."
            found[Problem(place[0], what, expected[place[0]])] = None
        else:
            found[_plain_problem("/".join(place) or error.title, detail)] = None
    return list(found)


def _plain_problem(where: str, detail: ErrorDetails) -> Problem:
    """Return one error of pydantic as a problem."""
    if detail["type"] == "missing":
        return Problem(where, "is missing.", "Give it.")
    message = detail["msg"].removeprefix("Value error, ").rstrip(".")
    return Problem(where, f"{_quoted(detail['input'])} is not allowed.", f"{message}.")


def _says_nothing(value: object, field: FieldInfo) -> bool:
    """Whether ``value`` is empty or the default of ``field``, also as a dict."""
    if value is None or (isinstance(value, Sized) and len(value) == 0):
        return True
    default = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(default, BaseModel) and isinstance(value, Mapping):
        return bool(value == default.model_dump())
    return bool(value == default)


def _quoted(value: object) -> str:
    text = repr(value)
    short = len(text) <= LONGEST_QUOTE
    return text if short else f"{text[: LONGEST_QUOTE - 3]}..."
