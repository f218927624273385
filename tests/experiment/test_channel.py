"""Channels are what people write, refused where they are wrong."""

from __future__ import annotations

from typing import Any

import pytest
import useq

from faro.experiment import Channel, ExperimentError, PowerChannel
from faro.experiment.channel import channel_from


def test_arguments_may_be_positional() -> None:
    channel = PowerChannel("Cyan", 50, "TTL", 10)
    words = (channel.config, channel.exposure, channel.group, channel.power)
    assert words == ("Cyan", 50.0, "TTL", 10.0)
    assert Channel("DAPI", 50, "TTL") == Channel(
        config="DAPI", exposure=50, group="TTL"
    )


def test_a_power_channel_is_a_channel_and_a_channel_has_no_power() -> None:
    assert isinstance(PowerChannel("Cyan"), Channel)
    assert isinstance(Channel("DAPI"), useq.Channel)
    assert Channel("DAPI").power is None


def test_channels_are_equal_when_they_say_the_same() -> None:
    assert PowerChannel("A", 5) == Channel("A", 5)
    assert len({PowerChannel("A", 5), Channel("A", 5), Channel("A", 6)}) == 2
    assert PowerChannel("A", 5, power=1) != PowerChannel("A", 5, power=2)
    assert Channel("A") != "A"


def test_a_channel_cannot_be_changed() -> None:
    channel: Any = Channel("A", 5)
    with pytest.raises(ValueError, match="frozen"):
        channel.exposure = 6


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"exposure": 0}, "exposure: 0 is not allowed. Input should be greater than 0"),
        ({"exposure": -5}, "exposure: -5 is not allowed"),
        ({"exposure": float("nan")}, "exposure: nan"),
        ({"exposure": float("inf")}, "exposure: inf"),
        ({"exposure": "long"}, "exposure: 'long'"),
        ({"exposur": 5}, "there is no 'exposur'. Did you mean 'exposure'?"),
        ({"z_offset": float("nan")}, "z_offset: nan is not allowed"),
        ({"acquire_every": 0}, "acquire_every: 0 is not allowed"),
        ({"camera": "B"}, "camera: 'B' is not supported here"),
        ({"power": 5}, r"power: 5 .* Use PowerChannel\(config, exposure, group"),
    ],
    ids=str,
)
def test_wrong_words_are_refused_by_name(words: dict[str, Any], message: str) -> None:
    with pytest.raises(ExperimentError, match=message):
        Channel("A", **words)


@pytest.mark.parametrize("power", [-1, float("nan")])
def test_a_power_below_zero_is_refused(power: float) -> None:
    with pytest.raises(ExperimentError, match="power: "):
        PowerChannel("A", power=power)
    assert PowerChannel("A", power=0).power == 0


def test_a_channel_needs_a_name() -> None:
    with pytest.raises(ExperimentError, match="config: '' is not allowed"):
        Channel("")


def test_all_mistakes_are_reported_together() -> None:
    with pytest.raises(ExperimentError) as caught:
        Channel("", -1, colour="red", camera="B")
    places = {problem.where for problem in caught.value.problems}
    assert places == {"config", "exposure", "settings", "camera"}
    assert "4 mistakes" in str(caught.value)


def test_planes_and_every_nth_timepoint_are_part_of_what_a_channel_says() -> None:
    said: dict[str, Any] = {"do_stack": False, "z_offset": 2.0, "acquire_every": 3}
    channel = channel_from(useq.Channel(config="A", exposure=5, **said))
    assert channel == Channel("A", 5, **said) != Channel("A", 5)
    assert channel.words() == {"config": "A", "exposure": 5, "group": None, **said}
    assert channel_from(channel.words()) == channel
    assert channel.exposed(9) == Channel("A", 9, **said)
    assert channel.always() == Channel("A", 5, do_stack=False, z_offset=2.0)


def test_another_exposure_keeps_group_and_power() -> None:
    changed = PowerChannel("Cyan", 50, "TTL", 10).exposed(200)
    assert changed == PowerChannel("Cyan", 200, "TTL", 10)
    assert isinstance(changed, PowerChannel)


class TestSpellings:
    def test_a_name_a_mapping_and_a_channel_of_useq_are_channels(self) -> None:
        assert channel_from("A") == Channel("A")
        assert channel_from({"config": "A", "exposure": 5}) == Channel("A", 5)
        assert channel_from(useq.Channel(config="A", exposure=5)) == Channel("A", 5)

    def test_a_mapping_with_a_power_is_a_power_channel(self) -> None:
        channel = channel_from({"config": "A", "power": 5, "group": None})
        assert type(channel) is PowerChannel
        assert type(channel_from({"config": "A", "power": None})) is Channel

    def test_a_group_that_useq_made_up_is_looked_up_instead(self) -> None:
        given = useq.Channel.model_validate({"config": "A", "group": "Channel"})
        assert channel_from(given).group == "Channel"
        assert channel_from(useq.Channel.model_validate("A")).group is None

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            (useq.Channel(config="A", exposure=5, camera="B"), "camera: 'B'"),
            ({"exposure": 5}, "names no preset"),
            ({"config": "A", "powr": 5}, "Did you mean 'power'"),
            (5, "5 is not a channel"),
        ],
    )
    def test_anything_else_is_refused(self, value: object, message: str) -> None:
        with pytest.raises(ExperimentError, match=message):
            channel_from(value)
