"""What to do: the experiment as data, its plan, its checks. Pure, no hardware."""

from __future__ import annotations

from faro.experiment.batching import apply_fov_batching, check_fov_batching
from faro.experiment.channel import Channel, PowerChannel
from faro.experiment.check import check
from faro.experiment.combine import combine
from faro.experiment.event import RTMEvent
from faro.experiment.event_table import events_from_table
from faro.experiment.files import load_events, save_events
from faro.experiment.needs import needs
from faro.experiment.plan import PlannedEvent, plan
from faro.experiment.positions import load_positions
from faro.experiment.refusal import ExperimentError
from faro.experiment.sequence import RTMSequence
from faro.experiment.treatments import Treatment, arrange, assign
from faro.experiment.waiting import Wait, wait_before, waits
from faro.experiment.wells import places

__all__ = [
    "Channel",
    "ExperimentError",
    "PlannedEvent",
    "PowerChannel",
    "RTMEvent",
    "RTMSequence",
    "Treatment",
    "Wait",
    "apply_fov_batching",
    "arrange",
    "assign",
    "check",
    "check_fov_batching",
    "combine",
    "events_from_table",
    "load_events",
    "load_positions",
    "needs",
    "places",
    "plan",
    "save_events",
    "wait_before",
    "waits",
]
