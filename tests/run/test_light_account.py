"""Every light on record, at its place, of its frame: late masks, failures and kills."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from faro.testing.light_account import account, mask_of, staged

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    mode=st.sampled_from(["current", "previous", "interleaved"]),
    policy=st.sampled_from(["skip", "previous", "blank"]),
)
def test_whatever_is_late_fails_or_ends_light_is_on_record_and_in_its_place(
    seed: int, mode: str, policy: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("account")
    assert account(staged(seed, mode, policy, folder, (2, 8))) == []


def test_the_scene_has_all_that_can_happen(tmp_path: Path) -> None:
    kinds: Counter[str] = Counter()
    for seed in range(4):
        scene = staged(seed, "current", "previous", tmp_path, (3, 20))
        assert account(scene) == []
        kinds.update(line["kind"] for line in scene.sink.lines)
        kinds.update(line.get("policy", "") for line in scene.sink.lines)
    for kind in (
        "stim_confirmed",
        "stim_unconfirmed",
        "stim_skipped",
        "frame_missing",
        "previous",
    ):
        assert kinds[kind] > 0, kind


def test_the_account_finds_what_is_wrong(tmp_path: Path) -> None:
    scene = staged(1, "current", "skip", tmp_path, (2, 6))
    shot = scene.shots[0]
    shot.pattern = mask_of(7, 7)
    scene.shots[1].x_um += 50.0
    scene.shots.append(scene.shots[2])
    kinds = [line["kind"] for line in scene.sink.lines]
    del scene.sink.lines[kinds.index("stim_skipped")]
    found = "; ".join(account(scene))
    for words in ("another mask", "fired at x", "fired twice", "has no record"):
        assert words in found
