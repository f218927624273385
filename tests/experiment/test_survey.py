"""One walk remembers the first place of everything that is used."""

from __future__ import annotations

from faro.experiment import Channel, RTMSequence
from faro.experiment.survey import survey


def test_uses_are_counted_once_with_their_first_place() -> None:
    found = survey(
        RTMSequence(
            channels=["A"],
            stage_positions=[{"x": 0, "name": "q"}],
            time_plan={"interval": 1, "loops": 4},
            stim_channels=["S"],
            stim_frames=[2, 3],
            stim_exposure=[5, 6],
        )
    )
    assert found.n_events == 4
    assert found.uses["channels"] == {Channel("A"): (0, 0)}
    assert found.uses["stim_channels"] == {
        Channel("S", 5): (2, 0),
        Channel("S", 6): (3, 0),
    }
    assert found.uses["ref_channels"] == {}
    assert found.names == {0: {"q": None}}
    assert found.repeated == found.unordered == []
