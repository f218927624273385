"""Refusals name the place, the value and the way out."""

from __future__ import annotations

import pytest

from faro.errors import FaroError, Problem
from faro.experiment import ExperimentError, RTMSequence
from faro.experiment.refusal import nearest, unknown_words


def test_one_mistake_reads_as_one_sentence() -> None:
    error = ExperimentError([Problem("exposure", "-1 is too short.", "Give 1.")])
    assert str(error) == "exposure: -1 is too short. Give 1."
    assert error.remedy == "Give 1."
    assert isinstance(error, FaroError)
    assert isinstance(error, ValueError)


def test_several_mistakes_are_listed() -> None:
    problems = [Problem("a", "is wrong.", "Right it."), Problem("b", "is too.", "Do.")]
    error = ExperimentError(problems)
    assert "has 2 mistakes.\n  - a: is wrong. Right it.\n  - b:" in str(error)
    assert error.problems == tuple(problems)


@pytest.mark.parametrize(
    ("name", "known", "sentence"),
    [
        ("chanels", ["channels", "metadata"], "Did you mean 'channels'?"),
        ("zzz", ["a", "b"], "Use one of: 'a', 'b'."),
        ("zzz", [str(i) for i in range(20)], "'11', ...."),
        ("zzz", [], "There is none to choose from."),
    ],
)
def test_the_nearest_name_is_offered(
    name: str, known: list[str], sentence: str
) -> None:
    assert nearest(name, known).endswith(sentence)


def test_only_unknown_words_are_reported() -> None:
    found = list(unknown_words(["a", "b"], ["a"], "here"))
    assert [problem.what for problem in found] == ["there is no 'b'."]


def test_long_values_are_cut_short() -> None:
    with pytest.raises(ExperimentError) as caught:
        RTMSequence(channels="A" * 500)
    assert len(str(caught.value)) < 200


def test_inside_another_model_the_reasons_are_kept() -> None:
    with pytest.raises(ValueError, match=r"(?s)there is no 'chanels'.*'channels'"):
        RTMSequence.model_validate({"chanels": ["A"]})
