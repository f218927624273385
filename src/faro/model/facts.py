"""Facts about the instrument and needs of a run, for the pure preflight check."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class HardwareFacts:
    """What a microscope can do, read once before the run.

    Attributes
    ----------
    presets
        Config group to its presets.
    channel_group
        The group that channels without a group belong to.
    image_shape
        (Y, X) of the camera now, None if there is none.
    image_dtype
        ``"uint8"`` or ``"uint16"``.
    exposure_limits_ms
        Shortest and longest exposure, None if the camera does not say.
    power_limits
        Preset to the limits of its light level, for presets whose power can be set.
    slm_shape
        (Y, X) of the SLM, None if there is none.
    dmd_calibrated
        Whether masks can be carried from camera to SLM pixels.
    pixel_size_um
        Edge of a pixel in the sample, None if unknown.
    exposures_take_time
        Whether an exposure of 100 ms takes 100 ms; False where frames are stored ones
        or computed.
    stage_limits_um
        ``"x"``, ``"y"``, ``"z"`` to the reach of the stage, where it is known.
    optics
        What the images depend on now, by name: ``binning``, ``roi``, ``objective``.
    preset_binning
        Preset to the binning that it sets, for those that set one.
    dmd_camera_shape
        (Y, X) of the images for which the DMD was calibrated, None if unknown.
    dmd_optics
        The ``optics`` with which the DMD was calibrated, as far as they are known.
    real_devices
        Whether the frames come from real devices, so that they cannot be made again.
    properties
        Label of each device to the names of its properties; empty if it is not said.
    autofocus
        The autofocus that is used where none is named, empty if there is none; None if
        it is not said.
    autofocus_names
        Labels that an autofocus plan may name: autofocus devices, and stages, which
        may be the motor of an offset.
    pace
        How much faster than planned events follow each other: 1 for a microscope, 2
        for a replay at double speed, infinite where frames are there at once.
    camera, slm
        Labels of these devices, empty where there is none.
    slm_on_value
        Pixel value of the SLM that means "on".
    power_properties
        Preset to (device, property) of its light level, for those of ``power_limits``.
    stimulation_presets
        Those of them whose light is stimulation light.
    drives_z
        Whether the focus drive is moved; False where z is left to the autofocus.
    """

    presets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    channel_group: str = ""
    image_shape: tuple[int, int] | None = None
    image_dtype: str = "uint16"
    exposure_limits_ms: tuple[float, float] | None = None
    power_limits: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    slm_shape: tuple[int, int] | None = None
    dmd_calibrated: bool = False
    pixel_size_um: float | None = None
    exposures_take_time: bool = False
    stage_limits_um: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    optics: Mapping[str, str] = field(default_factory=dict)
    preset_binning: Mapping[str, str] = field(default_factory=dict)
    dmd_camera_shape: tuple[int, int] | None = None
    dmd_optics: Mapping[str, str] = field(default_factory=dict)
    real_devices: bool = False
    properties: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    autofocus: str | None = None
    autofocus_names: tuple[str, ...] = ()
    pace: float = 1.0
    camera: str = ""
    slm: str = ""
    slm_on_value: int = 255
    power_properties: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    stimulation_presets: tuple[str, ...] = ()
    drives_z: bool = True


@dataclass(frozen=True, slots=True)
class StackNeeds:
    """What the imaging stacks of a FOV that have the same planes look like.

    Attributes
    ----------
    channels
        Names, in the order in which they are taken first; a stack may have fewer.
    n_z
        Planes per channel, 0 without a z axis.
    z_step_um
        Distance between planes, None if there is no z axis or it is uneven.
    """

    channels: tuple[str, ...]
    n_z: int = 0
    z_step_um: float | None = None


@dataclass(frozen=True, slots=True)
class RunNeeds:
    """What a run will put on disk, for the writer to prepare and to check.

    Attributes
    ----------
    n_timepoints
        Timepoints planned; the run may grow.
    fovs
        Position indices, ascending.
    channels, stim_channels, ref_channels
        Names by role, in order.
    image_shape, image_dtype
        (Y, X) and ``"uint8"`` or ``"uint16"``.
    labels
        Names of the label images that will be stored.
    n_bytes
        Upper bound of what will be written, uncompressed.
    pixel_size_um
        Edge of a pixel in the sample, None if unknown.
    interval_s
        Planned seconds between timepoints, None where irregular.
    fov_names, fov_positions_um
        Name and stage (x, y, z) of each FOV, by position index; with a z plan, z of
        the first plane.
    fov_wells
        Name of the well of each FOV that is in one, as printed on the plate ("B3").
    stacks
        FOV to its imaging stacks, one for each number of planes, in the order in which
        they are taken first. The first is that of the channel that is taken first.
        FOVs that are not in it have ``channels`` and no z axis.
    real_devices
        Whether the frames come from real devices, so that they cannot be made again.
    """

    n_timepoints: int
    fovs: tuple[int, ...]
    channels: tuple[str, ...]
    image_shape: tuple[int, int]
    image_dtype: str = "uint16"
    stim_channels: tuple[str, ...] = ()
    ref_channels: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    n_bytes: int = 0
    pixel_size_um: float | None = None
    interval_s: float | None = None
    fov_names: Mapping[int, str] = field(default_factory=dict)
    fov_wells: Mapping[int, str] = field(default_factory=dict)
    fov_positions_um: Mapping[int, tuple[float | None, float | None, float | None]] = (
        field(default_factory=dict)
    )
    stacks: Mapping[int, tuple[StackNeeds, ...]] = field(default_factory=dict)
    real_devices: bool = False
