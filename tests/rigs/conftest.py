"""What the tests of rigs share: a rig made of devices with bad habits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from faro.rigs.declared import DeclaredRig
from faro.testing.quirks import QuirkyBench, quirky_devices, write_configuration

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Rig = TypeVar("Rig", bound=DeclaredRig)


class Workshop:
    """Makes rigs of simulated devices, and releases them after the test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: list[DeclaredRig] = []

    def make(
        self,
        kind: type[Rig],
        *,
        bench: QuirkyBench | None = None,
        labels: dict[str, Any] | None = None,
        **settings: Any,
    ) -> tuple[Rig, QuirkyBench]:
        """Return a rig with a configuration of quirky devices, and their bench."""
        file = write_configuration(self._folder, **(labels or {}))
        with quirky_devices(bench) as shared:
            rig = kind(config=file, **settings)
        self._made.append(rig)
        return rig, shared

    def forget(self) -> None:
        """Let the rigs go, so that nothing but the test holds them."""
        self._made.clear()

    def close(self) -> None:
        """Release them all."""
        for rig in self._made:
            rig.shutdown()


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Workshop]:
    made = Workshop(tmp_path)
    yield made
    made.close()
