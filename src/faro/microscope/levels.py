"""Which property sets how bright the light of a preset is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from faro.microscope.mmcore import DeviceType, device_labels, touchable_labels

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from faro.microscope.mmcore import CMMCorePlus

Level: TypeAlias = tuple[str, str]
"""(device, property) of a light level."""

Setting: TypeAlias = tuple[str, str, str]
"""(device, property, value) of a preset."""

SUFFIX = "_Level"


@dataclass(frozen=True, slots=True)
class LightLevels:
    """The properties of a rig that set how bright a light is.

    Attributes
    ----------
    stimulation
        Levels of stimulation light: first to go to 0, never given back.
    imaging
        Other levels: given back before the next run.
    """

    stimulation: tuple[Level, ...] = ()
    imaging: tuple[Level, ...] = ()

    @property
    def every(self) -> frozenset[Level]:
        """All of them."""
        return frozenset((*self.stimulation, *self.imaging))


def light_levels(
    core: CMMCorePlus, declared: Iterable[Level], stimulation: Iterable[Level]
) -> LightLevels:
    """Return the levels of the devices that are loaded now.

    Parameters
    ----------
    core
        The core that holds the devices.
    declared
        Levels that the rig names, besides the ``*_Level`` properties there are.
    stimulation
        Those of them that are stimulation light.
    """
    labels, first = touchable_labels(core), tuple(stimulation)
    every = dict.fromkeys((*declared, *level_properties(core)))
    return LightLevels(
        stimulation=tuple(level for level in first if level[0] in labels),
        imaging=tuple(
            level for level in every if level not in first and level[0] in labels
        ),
    )


def level_properties(core: CMMCorePlus) -> tuple[Level, ...]:
    """Return every writable ``*_Level`` property of a device that is no camera."""
    touchable = touchable_labels(core)
    return tuple(
        (label, str(prop))
        for label in device_labels(core)
        if label in touchable
        if core.getDeviceType(label) != DeviceType.CameraDevice
        for prop in core.getDevicePropertyNames(label)
        if prop.endswith(SUFFIX) and not core.isPropertyReadOnly(label, prop)
    )


def preset_settings(
    core: CMMCorePlus, groups: Iterable[str]
) -> dict[str, tuple[Setting, ...]]:
    """Return the settings of every preset of ``groups``; the first group wins."""
    found: dict[str, tuple[Setting, ...]] = {}
    for group in groups:
        for preset in core.getAvailableConfigs(group):
            data = core.getConfigData(group, preset)
            settings = tuple((str(d), str(p), str(v)) for d, p, v in data)
            found.setdefault(str(preset), settings)
    return found


def match_levels(
    presets: Mapping[str, Sequence[Setting]], levels: Sequence[Level]
) -> dict[str, Level]:
    """Return the level that belongs to each preset, by the name of its colour.

    ``Cyan_Level`` belongs to a preset that sets something to ``Cyan`` or to what
    starts with it, or whose own name does. Settings of the same device count first,
    then other settings, then the name; the longest colour wins, so that
    ``GreenYellow`` takes ``Green_Level`` only where there is no
    ``GreenYellow_Level``.

    >>> match_levels({"CyanStim": ()}, [("LED", "Cyan_Level"), ("LED", "Red_Level")])
    {'CyanStim': ('LED', 'Cyan_Level')}
    """
    matches = {name: _match(name, presets[name], levels) for name in presets}
    return {name: level for name, level in matches.items() if level is not None}


def _match(
    name: str, settings: Sequence[Setting], levels: Sequence[Level]
) -> Level | None:
    best: tuple[tuple[int, int], Level] | None = None
    for level in levels:
        device, prop = level
        colour = prop.removesuffix(SUFFIX).casefold()
        texts = [(3 if d == device else 2, value) for d, _, value in settings]
        texts.append((1, name))
        ranks = [rank for rank, text in texts if text.casefold().startswith(colour)]
        if not colour or not ranks:
            continue
        score = (max(ranks), len(colour))
        if best is None or score > best[0]:
            best = (score, level)
    return None if best is None else best[1]
