"""Every reason why an experiment cannot run on an instrument, before any light."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faro.errors import Problem
from faro.experiment.plan import plan, stim_mode_problem
from faro.experiment.refusal import nearest
from faro.experiment.survey import survey
from faro.experiment.visits import STIM_MODES, interleaving_problems
from faro.experiment.waiting import wait_problems

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from faro.experiment.channel import Channel
    from faro.experiment.event import RTMEvent
    from faro.experiment.survey import Survey
    from faro.model import HardwareFacts

MOST_NAMED = 5
RECALIBRATE = "Set binning, ROI and objective as they were, or calibrate again."


def check(
    events: Iterable[RTMEvent],
    *,
    stim_mode: str = "current",
    facts: HardwareFacts,
    masked: bool = True,
) -> list[Problem]:
    """Return everything that keeps ``events`` from running. Pure, any thread.

    What the instrument does not say (no presets, no limits) is not checked.

    Parameters
    ----------
    events
        The experiment.
    stim_mode
        As for `faro.experiment.plan`.
    facts
        What the instrument can do.
    masked
        Whether light is given in masks; False if only to the whole field, which needs
        no SLM.

    Examples
    --------
    >>> from faro.experiment import RTMEvent
    >>> from faro.model import HardwareFacts
    >>> facts = HardwareFacts(presets={"Channel": ("DAPI",)}, image_shape=(64, 64))
    >>> event = RTMEvent(index={"t": 0, "p": 0}, channels=["DAP1"])
    >>> print(*check([event], facts=facts))
    channels/DAP1: there is no preset 'DAP1'. Did you mean 'DAPI'?
    """
    problems = [] if stim_mode in STIM_MODES else [stim_mode_problem(stim_mode)]
    listed = tuple(events)
    found = survey(listed)
    if not found.n_events:
        what = "there is nothing to acquire."
        remedy = "Give channels and stage_positions or a time_plan."
        return [*problems, Problem("events", what, remedy)]
    problems += _order_problems(found)
    problems += _layout_problems(found)
    problems += _record_problems(found)
    problems += _consistency_problems(found)
    problems += wait_problems(found.waits)
    for role, used in found.uses.items():
        problems += _preset_problems(role, used, facts)
        problems += _exposure_problems(role, used, facts)
        problems += _power_problems(role, used, facts)
    problems += _binning_problems(found, facts)
    problems += _device_problems(found, facts)
    if stim_mode == "interleaved":
        problems += interleaving_problems(listed)
    if facts.stage_limits_um and stim_mode in STIM_MODES:
        problems += _stage_problems(listed, stim_mode, facts)
    if facts.image_shape is None:
        what = "the microscope has no camera, or does not say its image size."
        problems.append(Problem("camera", what, "Choose a camera before the run."))
    if masked and found.uses["stim_channels"]:
        problems += _mask_problems(facts)
    return problems


def _order_problems(found: Survey) -> Iterator[Problem]:
    """Yield moments that come twice, or before their time."""
    if found.repeated:
        what = f"visited more than once: {_places(found.repeated)}."
        remedy = "Give each position once per timepoint, all channels in one event."
        yield Problem("events", what, remedy)
    if found.unordered:
        what = f"the timepoints of a position go back: {_places(found.unordered)}."
        yield Problem("events", what, "Sort the events of each position by t.")


def _layout_problems(found: Survey) -> Iterator[Problem]:
    """Yield events that image nothing, or one channel twice, or light it twice."""
    if () in found.layouts:
        what = f"nothing is imaged at {_places([found.layouts[()]])}."
        yield Problem("channels", what, "Give every event an imaging channel.")
    twice = {n for names in found.layouts for n in names if names.count(n) > 1}
    for name in sorted(twice):
        what = "is imaged twice in one event."
        remedy = "Make a second preset, so that the two images have two names."
        yield Problem(f"channels/{name}", what, remedy)
    for name in sorted(found.lit_twice):
        what = "gives light twice in one event."
        remedy = "Make a second preset, so that the two have two names and two masks."
        yield Problem(f"stim_channels/{name}", what, remedy)


def _record_problems(found: Survey) -> Iterator[Problem]:
    """Yield names and metadata that a record cannot hold."""
    for fov, names in found.names.items():
        if len(names) > 1:
            what = f"the position has several names: {', '.join(map(repr, names))}."
            yield Problem(f"events/p={fov}", what, "Use one name per position index.")
    for name, value in found.unwritable.items():
        what = f"a {type(value).__name__} cannot be stored: {value!r:.60}."
        remedy = "Use text, a finite number, true/false, a list or a table."
        yield Problem(f"metadata/{name}", what, remedy)


def _consistency_problems(found: Survey) -> Iterator[Problem]:
    """Yield exposures and powers that would be whatever came before."""
    uses = [(role, c) for role, used in found.uses.items() for c in used]
    if any(c.exposure is not None for _, c in uses):
        unset = {(role, c.config): None for role, c in uses if c.exposure is None}
        for role, config in unset:
            what = "has no exposure, other channels have: it would get theirs."
            yield Problem(f"{role}/{config}", what, "Give it an exposure in ms.")
    powered = {c.config for _, c in uses if c.power is not None}
    unset = {(role, c.config): None for role, c in uses if c.power is None}
    for role, config in unset:
        if config in powered:
            what = "has no power here, but elsewhere: it would keep that."
            remedy = "Give it a power in all places: PowerChannel(..., power=...)."
            yield Problem(f"{role}/{config}", what, remedy)


def _preset_problems(
    role: str, used: Iterable[Channel], facts: HardwareFacts
) -> Iterator[Problem]:
    """Yield presets and groups that the instrument does not have."""
    if not facts.presets:
        return
    known = [*facts.presets.get(facts.channel_group, ())]
    known += [p for names in facts.presets.values() for p in names if p not in known]
    for config, group in {(c.config, c.group): None for c in used}:
        where = f"{role}/{config}"
        if group is None:
            if config not in known:
                what = f"there is no preset {config!r}."
                yield Problem(where, what, nearest(config, known))
        elif group not in facts.presets:
            what = f"there is no config group {group!r}."
            yield Problem(where, what, nearest(group, facts.presets))
        elif config not in facts.presets[group]:
            what = f"there is no preset {config!r} in group {group!r}."
            homes = [g for g, names in facts.presets.items() if config in names]
            remedy = f"It is in group {homes[0]!r}." if homes else ""
            remedy = remedy or nearest(config, facts.presets[group])
            yield Problem(where, what, remedy)


def _exposure_problems(
    role: str, used: Iterable[Channel], facts: HardwareFacts
) -> Iterator[Problem]:
    """Yield exposures outside the limits of the camera, once per preset."""
    if facts.exposure_limits_ms is None:
        return
    shortest_ms, longest_ms = facts.exposure_limits_ms
    wrong: dict[str, dict[str, None]] = {}
    for channel in used:
        exposure = channel.exposure
        if exposure is not None and not shortest_ms <= exposure <= longest_ms:
            wrong.setdefault(channel.config, {})[f"{exposure:g} ms"] = None
    for config, values in wrong.items():
        what = f"the camera cannot expose for {_few(list(values))}."
        remedy = f"Use {shortest_ms:g} to {longest_ms:g} ms."
        yield Problem(f"{role}/{config}", what, remedy)


def _power_problems(
    role: str, used: Iterable[Channel], facts: HardwareFacts
) -> Iterator[Problem]:
    """Yield powers that cannot be set, once per preset."""
    wrong: dict[str, dict[str, None]] = {}
    for channel in used:
        if channel.power is None:
            continue
        limits = facts.power_limits.get(channel.config)
        if limits is None or not limits[0] <= channel.power <= limits[1]:
            wrong.setdefault(channel.config, {})[f"{channel.power:g}"] = None
    for config, values in wrong.items():
        where = f"{role}/{config}"
        if config not in facts.power_limits:
            what = f"its power cannot be set (to {_few(list(values))})."
            remedy = "Name its device and property in POWER_PROPERTIES, or use Channel."
            yield Problem(where, what, remedy)
        else:
            low, high = facts.power_limits[config]
            what = f"the light cannot be set to {_few(list(values))}."
            yield Problem(where, what, f"Use {low:g} to {high:g}.")


def _stage_problems(
    events: Iterable[RTMEvent], stim_mode: str, facts: HardwareFacts
) -> Iterator[Problem]:
    """Yield positions that the stage does not reach, once per axis and side."""
    wrong: dict[tuple[str, bool], dict[str, None]] = {}
    for exposure in plan(events, stim_mode=stim_mode):
        for axis, place_um in zip("xyz", exposure.position_um, strict=True):
            limits = facts.stage_limits_um.get(axis)
            if limits is None or place_um is None:
                continue
            if not limits[0] <= place_um <= limits[1]:
                text = f"p={exposure.fov} at {place_um:g} um"
                wrong.setdefault((axis, place_um > limits[1]), {})[text] = None
    for (axis, _), places in wrong.items():
        low_um, high_um = facts.stage_limits_um[axis]
        what = f"the stage does not reach {_few(list(places))}."
        remedy = f"It goes from {low_um:g} to {high_um:g} um."
        yield Problem(f"stage_positions/{axis}", what, remedy)


def _binning_problems(found: Survey, facts: HardwareFacts) -> Iterator[Problem]:
    """Yield presets that change the shape of the frames."""
    now = facts.optics.get("binning")
    for role, used in found.uses.items():
        for config in dict.fromkeys(channel.config for channel in used):
            binning = facts.preset_binning.get(config, now)
            if binning != now:
                what = f"the preset sets binning {binning}, the camera is at {now}."
                remedy = "Take the binning out of the preset, or set it before the run."
                yield Problem(f"{role}/{config}", what, remedy)


def _device_problems(found: Survey, facts: HardwareFacts) -> Iterator[Problem]:
    """Yield devices and properties that the instrument does not have."""
    known = facts.properties
    for (device, name), place in found.settings.items() if known else ():
        where = f"properties/{device}-{name}"
        if device not in known:
            what = f"there is no device {device!r} to set at {_places([place])}."
            yield Problem(where, what, nearest(device, known))
        elif name not in known[device]:
            what = f"the device {device!r} has no property {name!r}."
            yield Problem(where, what, nearest(name, known[device]))
    for focus in found.focusings if facts.autofocus is not None else ():
        if focus is None and not facts.autofocus:
            what = "the experiment focuses, and the microscope has no autofocus."
            remedy = "Choose an autofocus device, or leave autofocus_plan out."
            yield Problem("autofocus_plan", what, remedy)
        elif focus is not None and focus not in facts.autofocus_names:
            what = f"there is no autofocus and no offset motor {focus!r}."
            remedy = nearest(focus, facts.autofocus_names)
            where = "autofocus_plan/autofocus_device_name"
            yield Problem(where, what, remedy)


def _mask_problems(facts: HardwareFacts) -> Iterator[Problem]:
    """Yield why masks cannot be shone."""
    if facts.slm_shape is None:
        what = "the experiment shines masks, and the microscope has no SLM."
        remedy = "Choose an SLM device, or stimulate the whole field."
        yield Problem("stim_channels", what, remedy)
    elif not facts.dmd_calibrated:
        what = "the DMD is not calibrated, so masks would miss."
        yield Problem("stim_channels", what, "Run calibrate_dmd() first.")
    elif facts.dmd_camera_shape not in (None, facts.image_shape):
        what = f"the DMD was calibrated for images of {facts.dmd_camera_shape} (Y, X), "
        what += f"the camera gives {facts.image_shape}: masks would miss."
        yield Problem("dmd", what, RECALIBRATE)
    for name, then in facts.dmd_optics.items() if facts.dmd_calibrated else ():
        now = facts.optics.get(name, then)
        if now != then:
            what = f"the DMD was calibrated with {name} {then}, it is {now} now."
            yield Problem("dmd", what, RECALIBRATE)


def _places(places: list[tuple[int, int]]) -> str:
    return _few([f"t={timestep}, p={fov}" for timestep, fov in places], "; ")


def _few(items: list[str], comma: str = ", ") -> str:
    more = f" and {len(items) - MOST_NAMED} more" if len(items) > MOST_NAMED else ""
    return comma.join(items[:MOST_NAMED]) + more
