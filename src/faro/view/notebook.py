"""A live view of a run in a notebook: state, time left, lateness, the last image.

It reads what is on disk, once in a while, on a thread of its own: a run is not asked,
and does not wait.
"""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, cast

from faro.errors import FaroError, MissingExtraError, MissingFrameError
from faro.storage import open_run
from faro.view.figures import data_uri
from faro.view.journal import MASK
from faro.view.look import LIT
from faro.view.panels import (
    PREFERRED_LABELS,
    contrast,
    enlarged,
    overlay,
    png_of,
    scaled,
)
from faro.view.status import Watched, left_s
from faro.view.wording import duration_text

if TYPE_CHECKING:
    from faro.storage import Run
    from faro.view.status import Plan, Status

logger = logging.getLogger(__name__)

SIDE_PX: Final = 320
BAR: Final = "width: 320px; height: 8px; background: #d5dbe1; border-radius: 4px"
DONE: Final = "height: 8px; background: #0072B2; border-radius: 4px"


class ShowProgress:
    """Shows where a run is, below the cell of a notebook that makes it.

    Parameters
    ----------
    run
        A run folder, which may not be there yet; a `Run`; or a `Controller` with a
        writer.
    channel
        Of the last image; None for the first.
    every_s
        Seconds between two looks.

    Raises
    ------
    MissingExtraError
        If IPython is not installed.

    As a context it ends with the block; else with the run, or with `close`.
    """

    def __init__(
        self, run: Any, *, channel: str | None = None, every_s: float = 1.0
    ) -> None:
        try:
            from IPython.display import HTML, display  # noqa: PLC0415  of notebooks
        except ImportError as error:
            library = "IPython"
            raise MissingExtraError(library, extra="notebook") from error
        self._view = NotebookView(_path_of(run), channel=channel)
        self._every_s = every_s
        wrapped, show = cast("Any", HTML), cast("Any", display)
        self._wrapped: Any = wrapped
        self._handle = show(wrapped(self._view.look()), display_id=True)
        self._over = threading.Event()
        self._thread = threading.Thread(
            target=self._look, name="faro-notebook", daemon=True
        )
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Show how the run is now, and look no more. Safe to call twice."""
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while True:
            over = self._over.wait(self._every_s)
            try:
                self._handle.update(self._wrapped(self._view.look()))
            except Exception:  # a view never ends what it looks at
                logger.exception("The run cannot be shown.")
            if over or self._view.ended:
                return


class NotebookView:
    """A run as HTML, looked at again and again; an image is drawn once.

    Parameters
    ----------
    path
        The run folder; it may not be there yet.
    channel
        Of the last image; None for the first.
    """

    def __init__(self, path: Path, *, channel: str | None = None) -> None:
        self._path, self._channel = path, channel
        self._watched: Watched | None = None
        self._image: tuple[tuple[int, int] | None, str] = (None, "")
        self._limits: tuple[float, float] | None = None
        self.ended = False

    def look(self) -> str:
        """Return the run now, as HTML."""
        if self._watched is None:
            try:
                self._watched = Watched(open_run(self._path))
            except FaroError:
                return f"<p>{escape(str(self._path))}: not begun</p>"
        status = self._watched.look()
        self.ended = status.ended
        run, plan = self._watched.run, self._watched.plan
        return _html(run, status, plan, self._last_image(run))

    def _last_image(self, run: Run) -> str:
        """Return the newest frame with its cells and light, empty if there is none."""
        line = next(
            (
                n
                for n in reversed(run.journal)
                if n["kind"] == "frame" and n.get("role", "image") == "image"
            ),
            None,
        )
        if line is None:
            return ""
        place = int(line["fov"]), int(line["timestep"])
        if place != self._image[0]:
            self._image = (place, self._drawn(run, place) or self._image[1])
        return self._image[1]

    def _drawn(self, run: Run, place: tuple[int, int]) -> str:
        fov, timestep = place
        channel = self._channel or run.channels[0]
        try:
            plane = run.frame(fov, timestep, channel)
        except MissingFrameError:
            return ""
        self._limits = self._limits or contrast([plane])
        names = run.images.label_names(fov)
        outlined = next((name for name in PREFERRED_LABELS if name in names), "")
        labels = run.images.labels(outlined, fov, timestep) if outlined else None
        mask = run.images.labels(MASK, fov, timestep) if MASK in names else None
        lights = [] if mask is None else [(mask, next(iter(LIT.values())))]
        rgb = overlay(scaled(plane, self._limits, SIDE_PX), labels, lights)
        address = data_uri(png_of(enlarged(rgb, SIDE_PX)))
        text = escape(f"{channel}, position {fov}, timepoint {timestep}")
        return f'<figure style="margin: 0"><img src="{address}" alt="{text}">' + (
            f"<figcaption>{text}</figcaption></figure>"
        )


def _html(run: Run, status: Status, plan: Plan, image: str) -> str:
    total = max(plan.n_events, 1)
    part = min(1.0, (status.n_stacks + status.n_missing) / total)
    left = left_s(status, plan, datetime.now(UTC).timestamp())
    failed = f"{status.n_errors} errors, last: {status.last_error}"
    words = [
        f"{status.state}{f': {status.doing}' if status.doing else ''}",
        f"{status.n_stacks} of {plan.n_events} positions and timepoints",
        f"{duration_text(left)} left" if left is not None and not status.ended else "",
        f"{status.lateness_s:.2f} s late" if status.timestep >= 0 else "",
        f"{status.n_fired} fired, {status.n_skipped} skipped",
        f"{status.n_missing} missing" if status.n_missing else "",
        failed if status.n_errors else "",
    ]
    told = " \N{MIDDLE DOT} ".join(escape(word) for word in words if word)
    done = f'<div style="{DONE}; width: {100 * part:.0f}%"></div>'
    bar = f'<div style="{BAR}">{done}</div>'
    return f"<div><b>{escape(run.path.name)}</b> {told}{bar}{image}</div>"


def _path_of(run: Any) -> Path:
    """Return the folder of what is shown.

    Raises
    ------
    FaroError
        If it is stored nowhere.
    """
    if isinstance(run, str | Path):
        return Path(run)
    path = getattr(run, "path", None)
    if path is None:
        problem = f"{type(run).__name__} stores nothing that could be shown."
        raise FaroError(problem, remedy="Give its Controller a writer.")
    return Path(path)
