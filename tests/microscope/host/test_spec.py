"""A microscope is named so that another process can import it, or refused."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest

from faro.microscope.demo import MMDemo
from faro.microscope.host.spec import (
    NotHostableError,
    checked_arguments,
    microscope_class,
    spec_of,
)


def test_a_class_and_its_name_are_the_same_to_a_host() -> None:
    assert spec_of(MMDemo) == "faro.microscope.demo:MMDemo"
    assert spec_of("faro.microscope.demo:MMDemo") == spec_of(MMDemo)
    assert microscope_class(spec_of(MMDemo)) is MMDemo


def test_what_another_process_cannot_import_is_refused() -> None:
    class InFunction(MMDemo):
        pass

    with pytest.raises(NotHostableError, match=r"Put the class into a module"):
        spec_of(InFunction)


def test_a_class_of_main_is_refused_with_the_remedy() -> None:
    for spec in ("Rig", "'__main__:Rig'"):
        code = (
            "from faro.microscope.abstract import AbstractMicroscope\n"
            "from faro.microscope.host import host\n"
            "class Rig(AbstractMicroscope): ...\n"
            f"host({spec})\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        assert "NotHostableError: Rig is defined in __main__" in done.stderr
        assert "Put the class into a module of its own" in done.stderr


@pytest.mark.parametrize("text", ["MMDemo", "faro.microscope.MMDemo", "a:b:c", ""])
def test_a_name_that_is_no_module_and_class_is_refused(text: str) -> None:
    with pytest.raises(NotHostableError, match="does not name a class"):
        spec_of(text)


def test_an_object_is_refused_with_the_remedy() -> None:
    with pytest.raises(NotHostableError, match=r"Give the class and its arguments"):
        spec_of(3)


def test_every_argument_that_json_cannot_carry_is_named() -> None:
    checked_arguments([1, "a", None, math.inf], {"affine": [[1.0, 0.0]]})
    with pytest.raises(NotHostableError, match=r"argument 2 .*affine= .*tolist"):
        checked_arguments([1, object()], {"affine": np.eye(3), "good": 1})


def test_what_the_host_cannot_find_or_use_is_refused() -> None:
    with pytest.raises(NotHostableError, match="cannot be imported"):
        microscope_class("no.such:Rig")
    with pytest.raises(NotHostableError, match="cannot be imported"):
        microscope_class("faro.microscope.demo:NoRig")
    with pytest.raises(NotHostableError, match="is no AbstractMicroscope"):
        microscope_class("faro.errors:FaroError")
