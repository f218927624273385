"""The fixed schema of what client and host tell each other; there are no others.

Two connections: on one the client calls verbs and the host answers and logs, on the
other events go one way and frames the other. Pixels go through shared memory.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from pydantic import Field, FiniteFloat, NonNegativeInt, PositiveInt, TypeAdapter

from faro.errors import FaroError, HardwareError, RunStateError
from faro.microscope.steps import CloseReport, Outcome, StepResult
from faro.model import HardwareFacts, Schema

if TYPE_CHECKING:
    from collections.abc import Mapping

Text: TypeAlias = Annotated[str, Field(max_length=2000)]
Objects: TypeAlias = dict[str, object]


class ErrorNote(Schema):
    """An exception, as far as another process can use it."""

    kind: str
    problem: str
    remedy: str = ""

    @classmethod
    def of(cls, error: BaseException) -> ErrorNote:
        """Return what ``error`` says; never raises, for somebody waits for it."""
        kind = type(error).__name__
        try:
            if isinstance(error, FaroError):
                return cls(kind=kind, problem=error.problem, remedy=error.remedy)
            return cls(kind=kind, problem=f"{kind}: {error}")
        except Exception as failed:  # noqa: BLE001  whatever its __str__ does
            how = type(failed).__name__
            return cls(kind=kind, problem=f"{kind} (its text raised {how}).")

    def error(self, where: str) -> FaroError:
        """Return it as an error of this process."""
        faro = RunStateError if self.kind == RunStateError.__name__ else HardwareError
        error = faro(self.problem, remedy=self.remedy)
        error.add_note(f"Raised in {where}.")
        return error


# ----------------------------------------------------------------- start-up, by stdin


class Start(Schema):
    """What a host must know before anything else."""

    spec: str
    args: tuple[object, ...]
    kwargs: Objects
    authkey: str
    address: str
    client_pid: PositiveInt
    sys_path: tuple[str, ...] = ()
    start_s: FiniteFloat


# ------------------------------------------------------------- calls: client to host


class Plain(Schema):
    """A verb without arguments."""

    id: NonNegativeInt
    verb: Literal[
        "cancel_mda",
        "describe",
        "facts",
        "frame_shape",
        "post_experiment",
        "shutdown",
        "validate_hardware",
    ]


class RunMda(Schema):
    """Start to take events; they come on the other connection."""

    id: NonNegativeInt
    verb: Literal["run_mda"] = "run_mda"
    run: NonNegativeInt


class GoDark(Schema):
    """Make the sample dark."""

    id: NonNegativeInt
    verb: Literal["go_dark"] = "go_dark"
    reason: Text


class ResolveGroup(Schema):
    """Tell which group holds a preset."""

    id: NonNegativeInt
    verb: Literal["resolve_group"] = "resolve_group"
    config: Text


class ResolvePower(Schema):
    """Tell what sets the power of a channel; is itself such a channel."""

    id: NonNegativeInt
    verb: Literal["resolve_power"] = "resolve_power"
    config: Text
    group: Text | None = None
    power: FiniteFloat | None = None


Request: TypeAlias = Annotated[
    Plain | RunMda | GoDark | ResolveGroup | ResolvePower, Field(discriminator="verb")
]
REQUESTS: TypeAdapter[Request] = TypeAdapter(Request)


# ----------------------------------------------------------- answers: host to client


class Reply(Schema):
    """The answer to the call of that id; None: to what was no call."""

    kind: Literal["reply"] = "reply"
    id: int | None
    value: object = None
    error: ErrorNote | None = None


class LogLine(Schema):
    """One record of the host's log."""

    created: float
    level: int
    logger: str
    thread: str
    message: str


class LogLines(Schema):
    """What the host logged since the last of these, the oldest first."""

    kind: Literal["log"] = "log"
    lines: tuple[LogLine, ...]


Answer: TypeAlias = Annotated[Reply | LogLines, Field(discriminator="kind")]
ANSWERS: TypeAdapter[Answer] = TypeAdapter(Answer)


# --------------------------------------------------------------- run: client to host


class Slm(Schema):
    """What the SLM is to show: a value, or raw bytes of that shape and dtype."""

    device: Text | None = None
    exposure_ms: FiniteFloat | None = None
    value: bool | int | None = None
    shape: tuple[PositiveInt, PositiveInt] | None = None
    dtype: Annotated[str, Field(pattern=r"^(bool|u?int(8|16|32|64)|float(32|64))$")] = (
        "uint8"
    )


class Free(Schema):
    """Slots whose frames nobody reads any more."""

    ring: Text
    slots: tuple[NonNegativeInt, ...]


class Event(Schema):
    """One event, and the slots that are free again; a mask follows as raw bytes."""

    kind: Literal["event"] = "event"
    run: int
    number: int
    event: Objects
    slm: Slm | None = None
    freed: Free | None = None


class End(Schema):
    """There is no further event."""

    kind: Literal["end"] = "end"
    run: int


class Failed(Schema):
    """The client's own code raised: the run is over."""

    kind: Literal["failed"] = "failed"
    run: int
    error: ErrorNote


class Attached(Schema):
    """A ring was opened; its name is not needed any more."""

    kind: Literal["attached"] = "attached"
    ring: Text


Fed: TypeAlias = Annotated[Event | End | Failed | Attached, Field(discriminator="kind")]
FED: TypeAdapter[Fed] = TypeAdapter(Fed)


# --------------------------------------------------------------- run: host to client


class Next(Schema):
    """The next event, please."""

    kind: Literal["next"] = "next"
    run: int


class NewRing(Schema):
    """Frames come through this shared memory from now on."""

    kind: Literal["ring"] = "ring"
    ring: str
    slots: PositiveInt
    slot_bytes: PositiveInt


class FrameHead(Schema):
    """A frame is in a slot."""

    kind: Literal["frame"] = "frame"
    number: int
    ring: str
    slot: NonNegativeInt
    shape: tuple[int, int]
    dtype: Literal["uint8", "uint16"]
    metadata: Objects


class Missing(Schema):
    """An event gave no frame."""

    kind: Literal["missing"] = "missing"
    number: int
    error: ErrorNote


class Refused(Schema):
    """A message on this connection broke the schema."""

    kind: Literal["refused"] = "refused"
    error: ErrorNote


class Finished(Schema):
    """The acquisition has ended; that many log lines were sent by then."""

    kind: Literal["finished"] = "finished"
    run: int
    error: ErrorNote | None = None
    log_lines: NonNegativeInt = 0


Told: TypeAlias = Annotated[
    Next | NewRing | FrameHead | Missing | Refused | Finished,
    Field(discriminator="kind"),
]
TOLD: TypeAdapter[Told] = TypeAdapter(Told)


# ------------------------------------------------------------------- values of replies


class DmdNote(Schema):
    """A DMD, as it can be made again; the affine is 3 x 3, row by row."""

    shape: tuple[int, int]
    affine: tuple[tuple[float, float, float], ...]
    on_value: int
    camera_shape: tuple[int, int] | None
    optics: dict[str, str] = Field(default_factory=dict)


class FactsNote(Schema):
    """The fields of `faro.model.HardwareFacts`."""

    presets: dict[str, tuple[str, ...]]
    channel_group: str
    image_shape: tuple[int, int] | None
    image_dtype: str
    exposure_limits_ms: tuple[float, float] | None
    power_limits: dict[str, tuple[float, float]]
    slm_shape: tuple[int, int] | None
    dmd_calibrated: bool
    pixel_size_um: float | None
    exposures_take_time: bool = False
    stage_limits_um: dict[str, tuple[float, float]] = Field(default_factory=dict)
    optics: dict[str, str] = Field(default_factory=dict)
    preset_binning: dict[str, str] = Field(default_factory=dict)
    dmd_camera_shape: tuple[int, int] | None = None
    dmd_optics: dict[str, str] = Field(default_factory=dict)
    real_devices: bool = False
    properties: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    autofocus: str | None = None
    autofocus_names: tuple[str, ...] = ()
    pace: float = 1.0
    camera: str = ""
    slm: str = ""
    slm_on_value: int = 255
    power_properties: dict[str, tuple[str, str]] = Field(default_factory=dict)
    stimulation_presets: tuple[str, ...] = ()
    drives_z: bool = True

    def facts(self) -> HardwareFacts:
        """Return the facts themselves."""
        return HardwareFacts(**dict(self))


class Instrument(Schema):
    """What the client keeps of a microscope; with every reply to ``facts``."""

    name: str
    facts: FactsNote
    dmd: DmdNote | None = None


REPORTS: TypeAdapter[CloseReport] = TypeAdapter(CloseReport)


def report_of(plain: object) -> CloseReport:
    """Return the report of a release, told by another process."""
    return REPORTS.validate_python(plain)


def broken(reason: str, detail: str) -> CloseReport:
    """Return the report of a release that nobody could tell about."""
    step = StepResult("release in the device host", Outcome.ERROR, 0.0, detail)
    return CloseReport(reason, (step,))


def plain_report(report: CloseReport) -> Mapping[str, object]:
    """Return ``report`` as plain data."""
    return asdict(report)
