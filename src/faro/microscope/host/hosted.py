"""A microscope whose devices live in another process, used as if they did not."""

from __future__ import annotations

import logging
import threading
import weakref
from typing import TYPE_CHECKING, Any

from faro.errors import FaroError, Problem, RunStateError
from faro.microscope.abstract import AbstractMicroscope, RunThread
from faro.microscope.dmd import DMD
from faro.microscope.feed import Feed
from faro.microscope.host import messages as say
from faro.microscope.host.following import Follower
from faro.microscope.host.launch import launch
from faro.microscope.host.link import HostLink
from faro.microscope.host.spec import checked_arguments, spec_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from useq import MDAEvent

    from faro.microscope.steps import CloseReport
    from faro.model import HardwareFacts
    from faro.protocols.microscope import PowerChannelLike

logger = logging.getLogger(__name__)

SHORT_S = 15.0
POST_S = 300.0
SHOWN = 1000


class NotInThisProcessError(FaroError, AttributeError):
    """Something was asked for that only the process of the devices has."""


def host(
    microscope: type[AbstractMicroscope] | str, /, *args: object, **kwargs: object
) -> HostedMicroscope:
    """Run a microscope in a device-host process; return it as if it were here.

    However this program ends (a killed kernel, SIGKILL, a crash), the host then makes
    the sample dark and releases the devices.

    Parameters
    ----------
    microscope
        A class that can be imported, or ``"module:Class"``.
    *args, **kwargs
        Its arguments: numbers, text, lists and dicts. Give an array, for example an
        affine, as ``.tolist()``, a path as ``str(path)``.

    Raises
    ------
    NotHostableError
        If another process could not make it, for example of a class defined in a
        notebook.
    HardwareError
        If it could not be made; the error is the host's.
    """
    spec = spec_of(microscope)
    checked_arguments(args, kwargs)
    return HostedMicroscope(HostLink(launch(spec, args, kwargs)))


class HostedMicroscope(AbstractMicroscope):
    """A microscope in a device-host process; made by `host`.

    Frames and events cross by shared memory and a local connection; masks are warped
    here. `go_dark`, `cancel_mda` and `shutdown` never raise: they log what they could
    not do. Everything else raises HardwareError when the host is gone.

    Parameters
    ----------
    link
        The connection to the host.
    """

    def __init__(self, link: HostLink) -> None:
        self._link = link
        self._follower = Follower(link, self.listeners)
        self._starting = threading.Lock()
        self._run = 0
        self._groups: dict[str, str] = {}
        self._name = ""
        self._learn(link.instrument)
        self._release = weakref.finalize(
            self, _close, link, self._follower, "the microscope was dropped"
        )

    def _learn(self, instrument: say.Instrument) -> HardwareFacts:
        """Take over what the host tells; forget what was looked up before."""
        self._name = instrument.name
        self._groups.clear()
        note = instrument.dmd
        self.dmd = None
        if note is not None:
            self.dmd = DMD(
                note.shape,
                note.affine,
                note.on_value,
                camera_shape=note.camera_shape,
                optics=note.optics,
                projective=True,
            )
        return instrument.facts.facts()

    @property
    def name(self) -> str:
        """Name of the rig."""
        return self._name

    @property
    def host_pid(self) -> int:
        """Process id of the host."""
        return self._link.pid

    @property
    def log_path(self) -> str:
        """Path of the host's own log; removed when the host has ended well."""
        return self._link.log_path

    def __getattr__(self, name: str) -> object:
        if name.startswith("_"):
            raise AttributeError(name)
        problem = f"{self.name} runs in {self._link.place}; it has no {name!r} here."
        remedy = "Make the microscope in this process to reach its devices."
        raise NotInThisProcessError(problem, remedy=remedy)

    # -------------------------------------------------------------------------- run

    def run_mda(self, events: Iterator[MDAEvent], /) -> RunThread:
        """Start taking ``events`` one by one on a thread of its own; return it.

        ``events`` is asked for the next one on that thread, in this process. The
        thread's ``error`` says what ended it early. Raises RunStateError while
        another acquisition runs.
        """
        with self._starting:
            if self._follower.running:
                problem = "This microscope is acquiring."
                raise RunStateError(problem, remedy="Wait, or call cancel_mda() first.")
            self._run += 1
            run = self._run
            self._groups.clear()
            self._link.call(lambda n: say.RunMda(id=n, run=run))
            return self._follower.begin(run, Feed(events))

    def cancel_mda(self) -> None:
        """End the running acquisition at the next event boundary, and go dark."""
        try:
            if not self._link.closed:
                self._link.call(lambda n: say.Plain(id=n, verb="cancel_mda"), SHORT_S)
        except FaroError:
            logger.exception("The acquisition could not be cancelled.")
        finally:
            self._follower.stop()

    def go_dark(self, reason: str) -> None:
        """Stimulation level 0, SLM blank, shutter closed, other levels 0."""
        why = reason[:SHOWN]
        try:
            if not self._link.closed:
                self._link.call(lambda n: say.GoDark(id=n, reason=why), SHORT_S)
        except FaroError:
            logger.exception("NOT DARK (%s)", reason)

    # ------------------------------------------------------------------------ facts

    def facts(self) -> HardwareFacts:
        """Return what the instrument can do, read now."""
        plain = self._link.call(lambda n: say.Plain(id=n, verb="facts"))
        return self._learn(say.Instrument.model_validate(plain))

    def frame_shape(self) -> tuple[int, int] | None:
        """Take one frame in the dark and return its (Y, X); None without a camera."""
        found = self._link.call(lambda n: say.Plain(id=n, verb="frame_shape"))
        if not isinstance(found, list | tuple):
            return None
        height, width = found
        return int(height), int(width)

    def describe(self) -> dict[str, Any]:
        """Return what the microscope tells, and which process it runs in."""
        plain = self._link.call(lambda n: say.Plain(id=n, verb="describe"))
        record = dict(plain) if isinstance(plain, dict) else {}
        return {**record, "host": {"pid": self.host_pid}}

    def resolve_group(self, config: str, /) -> str:
        """Return the config group that holds the preset ``config``."""
        if config not in self._groups:
            made = self._link.call(lambda n: say.ResolveGroup(id=n, config=config))
            self._groups[config] = str(made)
        return self._groups[config]

    def resolve_power(
        self, channel: PowerChannelLike, /
    ) -> tuple[str, str, float] | None:
        """Return (device, property, value) that sets the power of ``channel``.

        None where the channel asks for no power. Raises HardwareError if it asks for
        one that cannot be set.
        """
        if channel.power is None:
            return None
        config, group, power = channel.config, channel.group, float(channel.power)
        made = self._link.call(
            lambda n: say.ResolvePower(id=n, config=config, group=group, power=power)
        )
        if not isinstance(made, list | tuple):
            return None
        device, prop, value = made
        return str(device), str(prop), float(value)

    def validate_hardware(self) -> tuple[Problem, ...]:
        """Return what is wrong with the rig itself; an empty tuple if nothing is."""
        found = self._link.call(lambda n: say.Plain(id=n, verb="validate_hardware"))
        rows = found if isinstance(found, list) else []
        return tuple(Problem(**row) for row in rows)

    def post_experiment(self) -> None:
        """Do what is due between experiments."""
        self._link.call(lambda n: say.Plain(id=n, verb="post_experiment"), POST_S)

    def shutdown(self) -> CloseReport:
        """Have the host go dark, release every device and end. Safe to call twice."""
        report = _close(self._link, self._follower, "shutdown")
        self._release.detach()
        return report


def _close(link: HostLink, follower: Follower, reason: str) -> CloseReport:
    """Shut a host down; holds nothing of the microscope."""
    report = link.close(reason)
    follower.close()
    return report
