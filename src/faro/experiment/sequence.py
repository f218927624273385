"""The experiment as data: a useq sequence with stimulation and reference schedules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

import useq
from pydantic import (
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    field_serializer,
    field_validator,
    model_validator,
)

from faro.errors import Problem
from faro.experiment.channel import AnyChannel, Channel, Milliseconds
from faro.experiment.event import RTMEvent, Seconds
from faro.experiment.frames import Frames, frame_problems, resolved
from faro.experiment.imaging import Focus, Imaging, imagings, stays_open, visit_of
from faro.experiment.refusal import ExperimentError, Refusing
from faro.experiment.subsequences import without_unsaid_groups
from faro.experiment.supported import POSITION_REMEDY, times_s, unexecuted
from faro.experiment.tiles import spots
from faro.experiment.unread import (
    GRID_REMEDY,
    TIME_REMEDY,
    Z_REMEDY,
    unread_words,
)
from faro.experiment.wells import WELL_FACTS, well_facts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faro.experiment.event import Micrometres

Exposure = Annotated[Milliseconds, Field(gt=0, allow_inf_nan=False)]
EXPOSURE_REMEDY = (
    "Give milliseconds above 0: one number, or one for each of stim_frames."
)


def _listed(value: object) -> object:
    """Return any iterable of exposures as a list, the rest as it is."""
    text = isinstance(value, str | bytes | Mapping)
    return list(value) if isinstance(value, Iterable) and not text else value


Exposures = Annotated[Exposure | tuple[Exposure, ...] | None, BeforeValidator(_listed)]
"""Field type: milliseconds for all, or one number for each stimulation timepoint."""


class RTMSequence(Refusing, useq.MDASequence):
    """A whole experiment, or one phase or arm of one. Frozen, any thread.

    Iterating yields one `RTMEvent` for each timepoint and position, in the order of
    ``axis_order`` (``"tpgcz"``, ``"pgtcz"``, or with ``zc`` for all channels of a plane
    before the next plane; without a grid the g may be left out, without planes the z).
    Start times count from the start of the
    experiment: in ``"ptcz"`` a position starts one interval after the last timepoint
    of the one before, and the clock restarts there, so that a position which takes
    longer than planned does not shorten the intervals of the next. `iter_events`
    yields the imaging events of useq itself.

    Parameters
    ----------
    channels
        What is imaged: names, `Channel`, `PowerChannel` or `useq.Channel`.
    stage_positions, grid_plan, time_plan, axis_order, metadata
        As in `useq.MDASequence`. Every tile of a grid, also of the grid of one
        position, is a position of its own, in the order of the grid. The positions of
        a `useq.WellPlatePlan` keep the z of the stage. The events of a position on a
        plate say its ``well``, ``row``, ``column`` and ``field``. The channels, z plan,
        grid and autofocus plan in the ``sequence`` of a position take the place of
        those of the whole; its ``properties`` are set when it is reached. What such a
        channel does not say of exposure and group, and its power, are those of the
        channel of the whole with its name. No timepoint is dropped where a run is
        late: ``prioritize_duration``, in useq the default of interval and duration, is
        not executed.
    z_plan, autofocus_plan, keep_shutter_open_across
        As in `useq.MDASequence`. A relative z plan needs the z of every position.
    setup
        Its ``properties`` are set before the first exposure.
    stim_channels
        What gives light at ``stim_frames``; each is one exposure.
    stim_frames
        Timepoints as set, range or list; negative ones count from the end.
    stim_exposure
        Milliseconds that replace the exposure of ``stim_channels``: one number, or one
        for each of ``stim_frames`` in their order (ascending for a set).
    ref_channels, ref_frames
        What is recorded, and when, without being analysed.
    rtm_metadata
        Copied to the metadata of every event, JSON-able.

    Raises
    ------
    ExperimentError
        With every mistake: unknown words, values out of range, timepoints outside the
        experiment, and what useq knows but this version does not execute.

    Examples
    --------
    >>> sequence = RTMSequence(
    ...     channels=[Channel("DAPI", 50)],
    ...     stage_positions=[(0, 0, 0)],
    ...     time_plan={"interval": 60, "loops": 3},
    ...     stim_channels=[Channel("CyanStim", 100)],
    ...     stim_frames=[-1],
    ... )
    >>> [(event.timestep, event.min_start_time, event.has_stim) for event in sequence]
    [(0, 0.0, False), (1, 60.0, False), (2, 120.0, True)]
    """

    expected: ClassVar[Mapping[str, str]] = {
        "time_plan": TIME_REMEDY,
        "stage_positions": POSITION_REMEDY,
        "stim_exposure": EXPOSURE_REMEDY,
        "z_plan": Z_REMEDY,
        "grid_plan": GRID_REMEDY,
    }

    channels: tuple[AnyChannel, ...] = ()
    stim_channels: tuple[AnyChannel, ...] = ()
    stim_frames: Frames = ()
    stim_exposure: Exposures = None
    ref_channels: tuple[AnyChannel, ...] = ()
    ref_frames: Frames = ()
    rtm_metadata: dict[str, Any] = Field(default_factory=dict)

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)

    @classmethod
    def mistakes_in(cls, given: Mapping[str, Any]) -> Iterator[Problem]:
        """Yield mistakes that are seen only in the words as given."""
        yield from unread_words(given)
        frames = given.get("stim_frames")
        exposures = _listed(given.get("stim_exposure"))
        unordered = isinstance(frames, set | frozenset) and isinstance(exposures, list)
        if unordered and any(isinstance(f, int) and f < 0 for f in frames or ()):
            what = "a set with negative timepoints has no order for the exposures."
            yield Problem("stim_frames", what, "Give stim_frames as a list.")

    @field_validator("channels", mode="before")
    @classmethod
    def _validate_channels(cls, value: Any) -> Any:
        """Take the place of the useq validator, which would drop the power."""
        if isinstance(value, str | bytes | Mapping) or not isinstance(value, Sequence):
            message = "Give a list of channels"
            raise ValueError(message)  # noqa: TRY004  pydantic collects ValueError
        return value

    @field_serializer("stage_positions", mode="wrap")
    def _as_they_were_said(
        self, places: Any, dumped: SerializerFunctionWrapHandler
    ) -> Any:
        """Leave out the groups that channels of a position do not say."""
        return without_unsaid_groups(dumped(places), places)

    @model_validator(mode="after")
    def _can_be_executed(self) -> Self:
        """Refuse what cannot be executed as it is said."""
        problems = list(unexecuted(self))
        if not any(problem.where == "time_plan" for problem in problems):
            problems += self._schedule_problems("stim")
            problems += self._schedule_problems("ref")
            problems += self._exposure_problems()
        problems += self._metadata_problems()
        problems += self._every_problems()
        if problems:
            raise ExperimentError(problems)
        return self

    def _schedule_problems(self, role: str) -> Iterator[Problem]:
        """Yield timepoints that do not exist, or at which nothing would be taken."""
        stim = role == "stim"
        frames = self.stim_frames if stim else self.ref_frames
        channels = self.stim_channels if stim else self.ref_channels
        yield from frame_problems(f"{role}_frames", frames, self.n_timepoints)
        if frames and not channels:
            what = f"there are {role}_frames but no {role}_channels."
            remedy = f"Give {role}_channels=[...], or leave {role}_frames out."
            yield Problem(f"{role}_channels", what, remedy)

    def _exposure_problems(self) -> Iterator[Problem]:
        """Yield exposures that match no timepoint or no channel."""
        exposures = self.stim_exposure
        if exposures is not None and not self.stim_channels:
            what = "there is a stim_exposure but no stim_channels."
            yield Problem("stim_exposure", what, "Give stim_channels=[...].")
        if not isinstance(exposures, tuple) or len(exposures) == len(self.stim_frames):
            return
        what = f"{len(exposures)} exposures for {len(self.stim_frames)} stim_frames."
        yield Problem("stim_exposure", what, "Give one for each, or one number.")

    def _every_problems(self) -> Iterator[Problem]:
        """Yield light and references that say their timepoints twice."""
        for role in ("stim", "ref"):
            for i, channel in enumerate(getattr(self, f"{role}_channels")):
                if channel.acquire_every != 1:
                    where = f"{role}_channels/{i}/acquire_every"
                    what = f"{role}_frames say when it is taken."
                    remedy = f"Give range(0, n, {channel.acquire_every}) as frames."
                    yield Problem(where, what, remedy)

    def _metadata_problems(self) -> Iterator[Problem]:
        """Yield metadata that the wells of the positions say already."""
        on_plate = any(p.plate_row is not None for p in self.stage_positions)
        for name in WELL_FACTS if on_plate else ():
            if name in self.rtm_metadata:
                what = "the wells of stage_positions say it already."
                yield Problem(f"rtm_metadata/{name}", what, "Use another name.")

    @property
    def n_timepoints(self) -> int:
        """Number of timepoints; 1 without a time plan."""
        return len(times_s(self)) or 1

    @property
    def interval_s(self) -> Seconds:
        """Seconds between the last two timepoints, or as planned for a single one."""
        starts_s = times_s(self)
        if len(starts_s) > 1:
            return starts_s[-1] - starts_s[-2]
        if isinstance(self.time_plan, useq.TIntervalLoops | useq.TIntervalDuration):
            return self.time_plan.interval.total_seconds()
        return 0.0

    @property
    def rest_s(self) -> Seconds:
        """Seconds from the last event's start to that of a phase after this one.

        More than an interval if no channel is due at the last timepoints.
        """
        starts_s = times_s(self)
        if not starts_s or not self._skips:
            return self.interval_s
        last = max((event for event in self), key=lambda e: e.min_start_time or 0.0)
        return self.interval_s + starts_s[-1] - starts_s[last.timestep]

    @property
    def _skips(self) -> bool:
        """Whether some channel is not due at every timepoint."""
        return any(c.acquire_every > 1 for i in self._imagings() for c in i.channels)

    def __len__(self) -> int:
        if not self.used_axes:
            return 0
        if self._skips:
            return sum(1 for _ in self)
        return self.n_timepoints * max(1, len(spots(self)))

    def __iter__(self) -> Iterator[RTMEvent]:  # type: ignore[override]  # as useq does
        starts_s = times_s(self)
        one_by_one = self._place_by_place and len(starts_s) > 1
        lap_s = starts_s[-1] + self.interval_s if one_by_one else 0.0
        stim = self._stim_channels_by_timestep()
        refs = frozenset(resolved(self.ref_frames, self.n_timepoints))
        imagings = self._imagings()
        wells = well_facts([imaging.spot.position for imaging in imagings])
        focus, before = Focus(), -1
        visits = [visit_of(self, imagings[p], t, p) for t, p in self._order()]
        for visit, following in zip_longest(visits, visits[1:]):
            imaging, timestep = imagings[visit.fov], visit.timestep
            start_s = starts_s[timestep] + visit.fov * lap_s if starts_s else None
            event = RTMEvent(
                index={"t": timestep, "p": visit.fov},
                channels=imaging.at(timestep),
                stim_channels=stim.get(timestep, ()),
                ref_channels=self.ref_channels if timestep in refs else (),
                min_start_time=start_s,
                metadata={**wells[visit.fov], **self.rtm_metadata},
                z_planes=imaging.z_planes,
                image_order=imaging.image_order,
                autofocus=imaging.autofocus and imaging.autofocus.as_action(),
                autofocus_at=focus.at(imaging.autofocus, visit),
                keep_shutter_open_across=self._open_within,
                keep_shutter_open=stays_open(
                    self.keep_shutter_open_across, visit, following
                ),
                properties=self._settings(imaging, before) or None,
                reset_event_timer=one_by_one and bool(visit.fov) and not timestep,
                **self._place(imaging.spot.position),
            )
            if event.channels or event.stim_channels or event.ref_channels:
                before = imaging.spot.p
                yield event
            elif not self.channels:
                yield event

    def _imagings(self) -> list[Imaging]:
        """Return what is imaged at each FOV."""
        return imagings(self, self.channels)

    @property
    def _open_within(self) -> tuple[str, ...]:
        """Axes within an event across which the shutter stays open."""
        return tuple(axis for axis in "cz" if axis in self.keep_shutter_open_across)

    def _settings(self, imaging: Imaging, before: int) -> list[Any]:
        """Return what is set at an event, after one at position ``before``."""
        setup = self.setup.properties if self.setup and before < 0 else None
        arrived = imaging.spot.p != before
        return [*(setup or ()), *(imaging.properties if arrived else ())]

    @staticmethod
    def _place(position: useq.Position) -> dict[str, Micrometres | str | None]:
        """Return where a position is, in the words of an event."""
        x, y, z, name = position.x, position.y, position.z, position.name
        return {"x_pos": x, "y_pos": y, "z_pos": z, "pos_name": name}

    def _order(self) -> Iterator[tuple[int, int]]:
        """Yield (timestep, fov) in the order of ``axis_order``."""
        n_places = max(1, len(spots(self)))
        timesteps = range(self.n_timepoints if self.used_axes else 0)
        if self._place_by_place:
            yield from ((t, p) for p in range(n_places) for t in timesteps)
        else:
            yield from ((t, p) for t in timesteps for p in range(n_places))

    @property
    def _place_by_place(self) -> bool:
        """Whether one position is finished before the next begins."""
        moved = [axis for axis in self.used_axes if axis in "tpg"]
        return "t" in moved and moved[0] != "t"

    def _stim_channels_by_timestep(self) -> dict[int, tuple[Channel, ...]]:
        """Return what gives light, with its exposure, for the timepoints that do."""
        timesteps = resolved(self.stim_frames, self.n_timepoints)
        exposures = self.stim_exposure
        if exposures is None:
            return dict.fromkeys(timesteps, self.stim_channels)
        same = (exposures,) * len(timesteps) if isinstance(exposures, float) else ()
        each = exposures if isinstance(exposures, tuple) else same
        return {
            timestep: tuple(channel.exposed(ms) for channel in self.stim_channels)
            for timestep, ms in zip(timesteps, each, strict=True)
        }
