"""A run that waits too long for its next event waits in the dark."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from faro.microscope.policy import EnginePolicy
from faro.testing.devices import DiaryMicroscope
from faro.testing.microscope import event_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import useq

WAIT_S = 20.0


class Impatient(DiaryMicroscope):
    """Waits a tenth of a second with the light on."""

    POLICY = replace(EnginePolicy(), starvation_s=0.1)


class Dark:
    """Waits until the light is off."""

    def __init__(self, scope: DiaryMicroscope) -> None:
        self.scope, self.levels = scope, dict[str, float]()

    def wait(self) -> None:
        """Wait, and keep what the levels were then."""
        slept, pause = 0.0, threading.Event()
        while self.scope.led.levels["Green_Level"] > 0:
            assert slept < WAIT_S
            pause.wait(0.01)
            slept += 0.01
        self.levels = dict(self.scope.led.levels)


def test_light_goes_off_while_no_event_comes_and_on_again_for_the_next() -> None:
    with Impatient() as scope:
        dark, lit = Dark(scope), list[dict[str, float]]()
        scope.connect_frame(lambda *_: lit.append(dict(scope.led.levels)))

        def events() -> Iterator[useq.MDAEvent]:
            yield event_of(channel="CyanStim", exposure=1)
            yield event_of(channel="Green", exposure=1)
            dark.wait()
            yield event_of(channel="Green", exposure=1)

        thread = scope.run_mda(events())
        thread.join(WAIT_S)
        assert thread.error is None
    assert dark.levels == {"Cyan_Level": 0, "Green_Level": 0}
    assert lit[-1] == {"Cyan_Level": 0, "Green_Level": 20}


def test_a_patient_rig_leaves_the_light_alone() -> None:
    with DiaryMicroscope() as scope:
        lit: list[dict[str, float]] = []

        def events() -> Iterator[useq.MDAEvent]:
            yield event_of(channel="Green", exposure=1)
            threading.Event().wait(0.3)
            lit.append(dict(scope.led.levels))

        scope.run_mda(events()).join(WAIT_S)
    assert lit == [{"Cyan_Level": 0, "Green_Level": 20}]


def test_a_run_started_on_the_core_itself_ends_in_the_dark_and_can_be_ended() -> None:
    with DiaryMicroscope() as scope:
        never = threading.Event()

        def events() -> Iterator[useq.MDAEvent]:
            yield event_of(channel="Green", exposure=1)
            never.wait(WAIT_S)

        seen: list[object] = []
        scope.mmc.mda.events.frameReady.connect(lambda *_: seen.append(1))
        thread = scope.mmc.run_mda(events())
        assert thread.daemon
        while not seen:
            threading.Event().wait(0.01)
        scope.cancel_mda()
        thread.join(WAIT_S)
        assert not thread.is_alive()
        assert scope.led.levels == {"Cyan_Level": 0, "Green_Level": 0}
        never.set()


def test_who_goes_dark_while_an_event_is_waited_for_gets_the_light_back() -> None:
    with DiaryMicroscope() as scope:
        lit, dark = list[dict[str, float]](), list[dict[str, float]]()
        scope.connect_frame(lambda *_: lit.append(dict(scope.led.levels)))

        def events() -> Iterator[useq.MDAEvent]:
            yield event_of(channel="CyanStim", exposure=1)
            yield event_of(channel="Green", exposure=1)
            scope.go_dark("a pause")
            dark.append(dict(scope.led.levels))
            yield event_of(channel="Green", exposure=1)

        thread = scope.run_mda(events())
        thread.join(WAIT_S)
        assert thread.error is None
    assert dark == [{"Cyan_Level": 0, "Green_Level": 0}]
    assert lit[-1] == {"Cyan_Level": 0, "Green_Level": 20}
