"""How alarms reach a person: a command, or whatever Apprise has an address for."""

from __future__ import annotations

import logging
import subprocess
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from faro.errors import MissingExtraError, Problem, RefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apprise import Apprise

    from faro.view.watchdog import Alarm

logger = logging.getLogger(__name__)

COMMAND_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Sender:
    """Tells of alarms; a way that fails is logged and does not stop the others.

    Parameters
    ----------
    addresses
        As Apprise has them: ``json://host/path`` (a web hook), ``mailto://...``,
        ``windows://``, ``dbus://``, and a hundred services. Needs the extra ``alerts``.
    commands
        Programs with arguments; the kind and the text of the alarm are added.

    Raises
    ------
    RefusedError
        If an address is none; all of them are named.
    MissingExtraError
        If there are addresses and Apprise is not installed.
    """

    addresses: Sequence[str] = ()
    commands: Sequence[Sequence[str]] = ()

    def __post_init__(self) -> None:
        if not self.addresses:
            return
        apprise = _apprise()
        wrong = [a for a in self.addresses if not apprise.instantiate(a)]
        if wrong:
            remedy = "Write it like json://host/path or mailto://user:pass@host."
            problems = [
                Problem("--notify", f"{a!r} is no address.", remedy) for a in wrong
            ]
            raise RefusedError(problems)

    def tell(self, run_name: str, alarms: Sequence[Alarm]) -> int:
        """Tell of alarms; return how many could not be told on some way."""
        failed = 0
        for alarm in alarms:
            failed += not self._by_address(f"FARO: {run_name}", alarm)
            for command in self.commands:
                failed += not self._by_command(command, alarm)
        return failed

    def _by_address(self, title: str, alarm: Alarm) -> bool:
        if not self.addresses:
            return True
        apprise, done = _apprise(), True
        for address in self.addresses:
            one = apprise()
            one.add(address)
            shown = one[0].url(privacy=True)  # type: ignore[no-untyped-call]  # theirs
            if not one.notify(title=title, body=f"{alarm.kind}: {alarm.what}"):
                logger.error("The alarm could not be told to %s.", shown)
                done = False
        return done

    def _by_command(self, command: Sequence[str], alarm: Alarm) -> bool:
        try:
            subprocess.run(
                [*command, alarm.kind, alarm.what], check=True, timeout=COMMAND_S
            )
        except (OSError, subprocess.SubprocessError):
            logger.exception("The command %s failed.", command[0])
            return False
        return True


def _apprise() -> type[Apprise]:
    """Return the class of Apprise; its plug-ins are loaded now.

    One of them imports ``imghdr``, of which Python 3.11 and 3.12 warn; not our doing.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            from apprise import Apprise  # noqa: PLC0415  optional

            Apprise.instantiate("json://localhost")
    except ImportError as error:
        library = "apprise"
        raise MissingExtraError(library, extra="alerts") from error
    return Apprise
