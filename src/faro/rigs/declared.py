"""A rig as a declaration: quirks are data, paths and addresses are settings."""

from __future__ import annotations

import logging
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from faro.errors import HardwareError
from faro.microscope.calibration import load_calibration
from faro.microscope.calibration_run import conditions_of
from faro.microscope.dmd import DMD, CalibrationError
from faro.microscope.mmcore import adapter_folder, device_labels
from faro.microscope.pymmcore import PyMMCoreMicroscope
from faro.microscope.slm import SlmDriver
from faro.rigs.settings import RigSettings, read_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

logger = logging.getLogger(__name__)

PYTHON_MARK = "#py "


class DeclaredRig(PyMMCoreMicroscope):
    """A microscope of class attributes, with settings for each installation.

    A subclass declares what `PyMMCoreMicroscope` knows (``CONFIG``,
    ``CHANNEL_GROUP``, ``POWER_PROPERTIES``, ``POLICY``), and ``STARTUP_PRESETS``.
    By itself it is the microscope of any configuration file.

    After loading, in this order: the presets of ``STARTUP_PRESETS``, the settings for
    the time between runs, binning, crop, DMD.

    Parameters
    ----------
    affine_calibration_matrix
        3 x 3, camera pixel (x, y, 1) to mirror (x, y, 1); gives the `dmd`.
    settings
        A TOML file of settings.
    changes
        Settings by name, over those of the file; see `SETTINGS`.

    Raises
    ------
    RigSettingsError
        If a setting is unknown or wrong; every problem is listed.
    HardwareError
        If a device does not load or cannot be set; all are released then.
    """

    SETTINGS: ClassVar[type[RigSettings]] = RigSettings
    """What settings the rig has."""

    STARTUP_PRESETS: ClassVar[tuple[tuple[str, str], ...]] = ()
    """(group, preset) to set after loading, each tried again when it fails."""

    def __init__(
        self,
        affine_calibration_matrix: npt.ArrayLike | None = None,
        *,
        settings: str | Path | None = None,
        **changes: object,
    ) -> None:
        if affine_calibration_matrix is not None:
            rows = np.asarray(affine_calibration_matrix).tolist()
            changes["affine_calibration_matrix"] = rows
        given = {name: _plain(value) for name, value in changes.items()}
        self.settings = read_settings(self.SETTINGS, settings, given, rig=self.name)
        super().__init__()

    @classmethod
    def from_toml(cls, path: str | Path) -> Self:
        """Return the rig with the settings of a TOML file."""
        return cls(settings=path)

    def after_load(self) -> None:
        """Set up the devices; what fails at every try is raised."""
        self._say_what_is_missing()
        for preset in self.STARTUP_PRESETS:
            self._try(f"Setting the preset {preset}", self.mmc.setConfig, *preset)
        self.session.engine.set_all(self.POLICY.between_runs)
        self.set_roi()
        self._mount_dmd()

    def set_roi(self) -> None:
        """Set the binning and then the crop: a new binning takes a crop away.

        Raises
        ------
        HardwareError
            If the camera does not take them.
        """
        core, binning, roi = self.mmc, self.settings.binning, self.settings.roi
        if binning is not None:
            camera = core.getCameraDevice()
            what = f"Setting the binning {binning!r}"
            self._try(what, core.setProperty, camera, "Binning", binning)
        if roi is None:
            return
        self._try("Clearing the camera ROI", core.clearROI)
        self._try(f"Setting the camera ROI {roi}", core.setROI, *roi)
        if (now := tuple(core.getROI())) != roi:
            problem = f"The camera took the ROI {now} where {roi} was asked."
            remedy = "Set binning and roi to what fits on its chip."
            raise HardwareError(problem, remedy=remedy)

    def _mount_dmd(self) -> None:
        matrix, core = self.settings.affine_calibration_matrix, self.mmc
        if matrix is None and self.settings.dmd_calibration is not None:
            self._mount_calibrated(self.settings.dmd_calibration)
            return
        if matrix is None:
            return
        slm = core.getSLMDevice()
        if not slm:
            problem = f"{self.name} has a calibration for a DMD, but no SLM."
            remedy = "Select the SLM in the configuration, or drop the calibration."
            raise HardwareError(problem, remedy=remedy)
        self.dmd = DMD(
            (core.getSLMHeight(slm), core.getSLMWidth(slm)),
            matrix,
            SlmDriver(core, self.POLICY, time.sleep).on_value(slm),
            camera_shape=(core.getImageHeight(), core.getImageWidth()),
        )

    def _mount_calibrated(self, file: str) -> None:
        """Take the DMD of a calibration file; none where it does not hold.

        The rig is opened all the same, so that it can be calibrated again. Without a
        calibrated DMD no mask is fired.
        """
        try:
            self.dmd = load_calibration(file, conditions_of(self)).dmd()
        except CalibrationError as error:
            logger.warning("%s has no calibrated DMD: %s", self.name, error)

    def _say_what_is_missing(self) -> None:
        labels = device_labels(self.mmc)
        names = {str(self.mmc.getDeviceName(label)) for label in labels}
        for device in self.POLICY.waits:
            if device not in names and device not in labels:
                logger.warning("%s: no device %r to wait for", self.name, device)
        if not self.POLICY.drives_z:
            logger.info("%s: z positions are left to the autofocus", self.name)

    def _try(self, what: str, action: Callable[..., object], *args: object) -> None:
        self.POLICY.settings.attempt(what, partial(action, *args), time.sleep)

    def _configuration(self) -> str | Path | None:
        return self.settings.config or super()._configuration()

    def _adapters(self) -> str | Path | None:
        return self.settings.micromanager_path or super()._adapters()

    def _has_python_devices(self) -> bool:
        return super()._has_python_devices() or self._names_python_devices()

    def _names_python_devices(self) -> bool:
        """Return whether the configuration has lines for devices in Python.

        A core without Python devices would leave these out in silence.
        """
        config, folder = self._configuration(), self._adapters() or adapter_folder()
        if config is None:
            return False
        for file in (Path(config), Path(folder or ".") / config):
            if file.is_file():
                text = file.read_text(encoding="utf-8", errors="replace")
                return any(line.startswith(PYTHON_MARK) for line in text.splitlines())
        return False


def _plain(value: object) -> object:
    return str(value) if isinstance(value, Path) else value
