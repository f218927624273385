"""What a core can do, and what it is: facts for the check, a record for the run."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from faro.errors import HardwareError
from faro.microscope.mmcore import DeviceType, device_labels
from faro.microscope.slm import SlmDriver
from faro.model import HardwareFacts

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from faro.microscope.levels import Level
    from faro.microscope.mmcore import CMMCorePlus
    from faro.microscope.policy import EnginePolicy
    from faro.protocols import MaskWarp

DTYPES = {1: "uint8", 2: "uint16"}
EXPOSURE, BINNING, POSITION = "Exposure", "Binning", "Position"
NO_LIMITS: Mapping[str, tuple[float, float]] = MappingProxyType({})
LIBRARIES = ("pymmcore-plus", "pymmcore", "useq-schema", "numpy")


def presets_of(core: CMMCorePlus) -> dict[str, tuple[str, ...]]:
    """Return each config group with its presets."""
    return {
        str(group): tuple(str(preset) for preset in core.getAvailableConfigs(group))
        for group in core.getAvailableConfigGroups()
    }


def has_property(core: CMMCorePlus, device: str, prop: str) -> bool:
    """Return whether there is such a device with such a property."""
    return device in device_labels(core) and bool(core.hasProperty(device, prop))


def limits_of(core: CMMCorePlus, device: str, prop: str) -> tuple[float, float] | None:
    """Return the limits of a property, None where it has none."""
    if not has_property(core, device, prop) or not core.hasPropertyLimits(device, prop):
        return None
    low = core.getPropertyLowerLimit(device, prop)
    return float(low), float(core.getPropertyUpperLimit(device, prop))


def optics_of(core: CMMCorePlus) -> dict[str, str]:
    """Return what the images depend on now: binning, ROI, objective.

    The objective is told by the pixel size preset, as Micro-Manager calibrates it.
    """
    camera, found = core.getCameraDevice(), {}
    if camera and core.hasProperty(camera, BINNING):
        found["binning"] = str(core.getProperty(camera, BINNING))
    if camera:
        found["roi"] = ", ".join(str(edge) for edge in core.getROI(camera))
    if objective := core.getCurrentPixelSizeConfig():
        found["objective"] = str(objective)
    return found


def _preset_binning(core: CMMCorePlus) -> dict[str, str]:
    """Return the binning that each preset sets, where it sets one."""
    camera = core.getCameraDevice()
    return {
        preset: str(setting[2])
        for group, presets in presets_of(core).items()
        for preset in presets
        for setting in core.getConfigData(group, preset)
        if setting[0] == camera and setting[1] == BINNING
    }


def facts_of(
    core: CMMCorePlus,
    channel_group: str,
    powers: Mapping[str, Level],
    *,
    dmd: MaskWarp | None = None,
    stage_limits_um: Mapping[str, tuple[float, float]] = NO_LIMITS,
) -> HardwareFacts:
    """Return what the instrument can do, read now.

    The reach of the focus drive is read from it where it says so.

    Raises
    ------
    HardwareError
        If the camera gives neither 8 nor 16 bit grey images.
    """
    camera, slm = core.getCameraDevice(), core.getSLMDevice()
    endless = (0.0, math.inf)
    return HardwareFacts(
        presets=presets_of(core),
        channel_group=channel_group,
        image_shape=(core.getImageHeight(), core.getImageWidth()) if camera else None,
        image_dtype=_dtype(core) if camera else "uint16",
        exposure_limits_ms=limits_of(core, camera, EXPOSURE) if camera else None,
        power_limits={
            preset: limits_of(core, *level) or endless
            for preset, level in powers.items()
            if has_property(core, *level)
        },
        slm_shape=(core.getSLMHeight(slm), core.getSLMWidth(slm)) if slm else None,
        dmd_calibrated=dmd is not None,
        pixel_size_um=core.getPixelSizeUm() or None,
        exposures_take_time=True,
        stage_limits_um={**_focus_limits(core), **stage_limits_um},
        optics=optics_of(core),
        preset_binning=_preset_binning(core),
        dmd_camera_shape=getattr(dmd, "camera_shape", None),
        dmd_optics=dict(getattr(dmd, "optics", {})),
        real_devices=True,
        properties=_properties(core),
        autofocus=core.getAutoFocusDevice(),
        autofocus_names=_autofocus_names(core),
    )


def with_rig(
    facts: HardwareFacts,
    core: CMMCorePlus,
    policy: EnginePolicy,
    powers: Mapping[str, Level],
    stimulation: Collection[Level],
) -> HardwareFacts:
    """Return ``facts`` with what the rig declares besides.

    Parameters
    ----------
    facts, core
        Of the devices.
    policy
        The quirks of the rig.
    powers
        Preset to its light level.
    stimulation
        The levels that are stimulation light.
    """
    slm = str(core.getSLMDevice())
    there = {name: powers[name] for name in facts.power_limits}
    stimulating = [name for name, level in there.items() if level in stimulation]
    on_value = SlmDriver(core, policy, time.sleep).on_value(slm) if slm else None
    return replace(
        facts,
        camera=str(core.getCameraDevice()),
        slm=slm,
        slm_on_value=facts.slm_on_value if on_value is None else on_value,
        power_properties=there,
        stimulation_presets=tuple(stimulating),
        drives_z=policy.drives_z,
    )


def _properties(core: CMMCorePlus) -> dict[str, tuple[str, ...]]:
    """Return the names of the properties of each device."""
    labels = core.getLoadedDevices()
    return {label: tuple(core.getDevicePropertyNames(label)) for label in labels}


def _autofocus_names(core: CMMCorePlus) -> tuple[str, ...]:
    """Return what an autofocus plan may name: an autofocus, or the motor of one."""
    kinds = DeviceType.AutoFocusDevice, DeviceType.StageDevice
    return tuple(label for k in kinds for label in core.getLoadedDevicesOfType(k))


def _focus_limits(core: CMMCorePlus) -> dict[str, tuple[float, float]]:
    focus = core.getFocusDevice()
    limits = limits_of(core, focus, POSITION) if focus else None
    return {} if limits is None else {"z": limits}


def _dtype(core: CMMCorePlus) -> str:
    n_bytes = core.getBytesPerPixel()
    if n_bytes not in DTYPES:
        problem = (
            f"The camera {core.getCameraDevice()!r} gives {n_bytes} bytes a pixel."
        )
        raise HardwareError(problem, remedy="Set it to 8 or 16 bit grey.")
    return DTYPES[n_bytes]


def describe_core(core: CMMCorePlus, config: str | None) -> dict[str, Any]:
    """Return configuration, devices, state and versions, JSON-able."""
    return {
        "configuration": config,
        "configuration_sha256": _sha256(config),
        "devices": [_device(core, label) for label in device_labels(core)],
        "state": _state(core),
        "presets": presets_of(core),
        "current_presets": {
            str(group): str(core.getCurrentConfig(group))
            for group in core.getAvailableConfigGroups()
        },
        "roles": _roles(core),
        "positions_um": {
            "xy_stage": _place(core.getXYStageDevice(), core.getXYPosition),
            "focus": _place(core.getFocusDevice(), core.getPosition),
        },
        "versions": {name: version(name) for name in LIBRARIES}
        | {"mmcore": core.getVersionInfo(), "device_api": core.getAPIVersionInfo()},
    }


def _sha256(path: str | None) -> str | None:
    if path is None or not Path(path).is_file():
        return None
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def _device(core: CMMCorePlus, label: str) -> dict[str, str]:
    return {
        "label": label,
        "library": str(core.getDeviceLibrary(label)),
        "name": str(core.getDeviceName(label)),
        "type": DeviceType(core.getDeviceType(label)).name,
        "description": str(core.getDeviceDescription(label)),
    }


def _state(core: CMMCorePlus) -> dict[str, dict[str, str]]:
    """Return device to property to value, as the core remembers them."""
    state: dict[str, dict[str, str]] = {}
    for device, prop, value in core.getSystemStateCache():
        state.setdefault(str(device), {})[str(prop)] = str(value)
    return state


def _place(label: str, read: Callable[[str], Any]) -> list[float] | str | None:
    """Return where a stage is, um; its error if it does not tell; None without one."""
    if not label:
        return None
    try:
        found = read(label)
        return [float(um) for um in (found if isinstance(found, Sequence) else [found])]
    except RuntimeError as error:
        return str(error)


def _roles(core: CMMCorePlus) -> dict[str, str]:
    return {
        "camera": core.getCameraDevice(),
        "shutter": core.getShutterDevice(),
        "focus": core.getFocusDevice(),
        "xy_stage": core.getXYStageDevice(),
        "autofocus": core.getAutoFocusDevice(),
        "slm": core.getSLMDevice(),
    }
