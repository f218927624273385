"""The ways in which a process can end, as scripts a user could have written."""

from __future__ import annotations

import signal
import sys
from dataclasses import dataclass
from enum import StrEnum

PRELUDE = """\
from __future__ import annotations
import gc, os, sys, threading, time
from faro.testing.exit_scene import Scene

scene = Scene()
"""

HANGUP = getattr(signal, "SIGHUP", signal.SIGTERM)


class Core(StrEnum):
    """What the devices run on.

    ``uni``: Python devices, among them the exclusive DMD, and a C++ camera.
    ``cpp``: Micro-Manager's demo devices only.
    """

    UNI = "uni"
    CPP = "cpp"


class Group(StrEnum):
    """Cases that belong together."""

    PLAIN = "plain ends"
    SIGNALS = "signals"
    RUNS = "while acquiring"
    OBJECTS = "objects"
    DEVICES = "devices that end badly"
    FORKS = "forked children"
    CONTROL = "without the release"


BOTH = (Core.UNI, Core.CPP)
ONLY_UNI = (Core.UNI,)


@dataclass(frozen=True, slots=True)
class ExitCase:
    """One way to end.

    Attributes
    ----------
    name
        For people.
    group
        Where it belongs.
    script
        What the process does after the prelude.
    code
        The exit code it has to have; negative for a signal.
    cores
        The cores it is tried on.
    signals
        Sent one after the other when the script is ready.
    limit_s, dark_s
        How long the end may take, and until it is dark: the promises.
    more
        Classes of `faro.testing.exclusive_dmd` to put into the configuration.
    left
        Labels of devices that cannot be released.
    released
        Whether the DMD is to be free afterwards.
    posix
        Whether it needs a POSIX system.
    """

    name: str
    group: Group
    script: str
    code: int = 0
    cores: tuple[Core, ...] = BOTH
    signals: tuple[int, ...] = ()
    limit_s: float = 3.0
    dark_s: float = 0.2
    more: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    released: bool = True
    posix: bool = False


def _plain() -> list[ExitCase]:
    group = Group.PLAIN
    return [
        ExitCase("normal exit", group, "mic = scene.lit()\nscene.end()"),
        ExitCase(
            "with block",
            group,
            "with scene.open() as mic:\n    scene.light(mic)\n    scene.end()",
        ),
        ExitCase(
            "exception at module level",
            group,
            "mic = scene.lit()\nscene.end()\nraise RuntimeError('at module level')",
            code=1,
        ),
        ExitCase(
            "exception in a function",
            group,
            "def work():\n"
            "    mic = scene.lit()\n"
            "    scene.end()\n"
            "    return mic.mmc, {}['missing']\n"
            "work()",
            code=1,
        ),
        ExitCase(
            "sys.exit(3)", group, "mic = scene.lit()\nscene.end()\nsys.exit(3)", code=3
        ),
        ExitCase(
            "sys.exit in a thread",
            group,
            "mic = scene.lit()\n"
            "thread = threading.Thread(target=sys.exit)\n"
            "thread.start(); thread.join()\n"
            "scene.usable(mic); scene.light(mic); scene.end()",
        ),
        ExitCase(
            "daemon thread holds the core",
            group,
            "mic = scene.lit()\n"
            "hold = lambda core: threading.Event().wait()\n"
            "threading.Thread(target=hold, args=(mic.mmc,), daemon=True).start()\n"
            "scene.end()",
        ),
    ]


def _signals() -> list[ExitCase]:
    group, script = Group.SIGNALS, "mic = scene.lit()\nscene.ready()"
    interrupt, term = signal.SIGINT, signal.SIGTERM
    running = "mic = scene.open()\nscene.start(mic)\nscene.ready()"
    blocked = "mic = scene.open()\nscene.start(mic, blocked=True)\nscene.ready()"
    return [
        ExitCase("SIGINT", group, script, -interrupt, signals=(interrupt,)),
        ExitCase(
            "SIGINT three times", group, script, -interrupt, signals=(interrupt,) * 3
        ),
        ExitCase("SIGTERM", group, script, 128 + term, signals=(term,), posix=True),
        ExitCase("SIGHUP", group, script, 128 + HANGUP, signals=(HANGUP,), posix=True),
        ExitCase("SIGINT, run", group, running, -interrupt, signals=(interrupt,)),
        ExitCase(
            "SIGINT three times, blocked run",
            group,
            blocked,
            -interrupt,
            signals=(interrupt,) * 3,
        ),
        ExitCase(
            "SIGTERM, blocked run",
            group,
            blocked,
            128 + term,
            signals=(term,),
            posix=True,
        ),
        ExitCase(
            "SIGTERM while loading",
            group,
            "threading.Timer(0.7, scene.mark, ('READY',)).start()\nmic = scene.open()",
            128 + term,
            cores=ONLY_UNI,
            signals=(term,),
            dark_s=2.0,
            more=("Slow",),
            posix=True,
        ),
    ]


NEVER = """\
from faro import Controller, ImageProcessingPipeline, RTMSequence

mic = scene.open()

def segment(pixels):
    scene.light(mic)
    scene.mark('READY')
    threading.Event().wait()

events = RTMSequence(channels=[{'config': scene.channel, 'exposure': 5}],
                     time_plan={'interval': 0.1, 'loops': 100})
controller = Controller(mic, ImageProcessingPipeline(segmenters=segment))
"""


def _runs() -> list[ExitCase]:
    group = Group.RUNS
    term, interrupt = signal.SIGTERM, signal.SIGINT
    return [
        ExitCase(
            "finite run",
            group,
            "mic = scene.open()\nscene.start(mic)\nscene.end()",
        ),
        ExitCase(
            "run fed by a queue that blocks",
            group,
            "mic = scene.open()\nscene.start(mic, blocked=True)\nscene.end()",
        ),
        ExitCase(
            "exception while a run is blocked",
            group,
            "mic = scene.open()\nscene.start(mic, blocked=True)\nscene.end()\n"
            "raise RuntimeError('meanwhile')",
            code=1,
        ),
        ExitCase(
            "exception in a frame callback",
            group,
            "from faro.testing.microscope import event_of\n"
            "mic = scene.open()\n"
            "def fails(*_):\n    raise OSError('no disk')\n"
            "mic.connect_frame(fails)\n"
            "thread = mic.run_mda(iter([event_of(exposure=1)] * 3))\n"
            "thread.join(20)\n"
            "assert isinstance(thread.error, OSError)\n"
            "mic.disconnect_frame(fails)\n"
            "scene.usable(mic); scene.light(mic); scene.end()",
        ),
        ExitCase(
            "2 s of backlog in an executor",
            group,
            "from concurrent.futures import ThreadPoolExecutor\n"
            "mic = scene.open()\nscene.start(mic, blocked=True)\n"
            "pool = ThreadPoolExecutor(1)\n"
            "jobs = [pool.submit(time.sleep, 0.5) for _ in range(4)]\nscene.end()",
        ),
        ExitCase(
            "1.5 s exposure",
            group,
            "mic = scene.open()\nscene.start(mic, exposure_ms=1500)\nscene.end()",
        ),
        ExitCase(
            "9 s exposure",
            group,
            "mic = scene.open()\nscene.start(mic, exposure_ms=9000)\nscene.end()",
            cores=ONLY_UNI,
            limit_s=5.0,
            left=("Camera", "Shutter"),
        ),
        ExitCase(
            "live mode",
            group,
            "mic = scene.lit()\n"
            "mic.mmc.startContinuousSequenceAcquisition(1)\n"
            "time.sleep(0.3)\nscene.end()",
        ),
        ExitCase(
            "segmenter never returns, SIGTERM",
            group,
            NEVER + "controller.run_experiment(events)",
            128 + term,
            signals=(term,),
            posix=True,
        ),
        ExitCase(
            "segmenter never returns, SIGINT three times",
            group,
            NEVER + "controller.run_experiment(events)",
            -interrupt,
            signals=(interrupt,) * 3,
        ),
        ExitCase(
            "segmenter never returns, main ends",
            group,
            NEVER + "run = controller.run_experiment\n"
            "threading.Thread(target=run, args=(events,), daemon=True).start()\n"
            "time.sleep(2)\nscene.end()",
        ),
    ]


def _objects() -> list[ExitCase]:
    group = Group.OBJECTS
    return [
        ExitCase(
            "del mic",
            group,
            "mic = scene.lit()\nscene.end()\ndel mic\ngc.collect()",
        ),
        ExitCase(
            "del mic, in a cycle",
            group,
            "gc.disable()\nmic = scene.lit()\nmic.myself = mic\nscene.end()\ndel mic",
        ),
        ExitCase(
            "del mic, a callback holds the core",
            group,
            "mic = scene.lit()\n"
            "def callback(*_, core=mic.mmc):\n    return core\n"
            "mic.mmc.events.propertyChanged.connect(callback)\n"
            "scene.end()\ndel mic\ngc.collect()",
        ),
        ExitCase(
            "the cell is run again",
            group,
            "mic = scene.lit()\nmic = scene.lit()\nscene.usable(mic)\n"
            "scene.light(mic)\nscene.end()",
            cores=ONLY_UNI,
        ),
    ]


def _devices() -> list[ExitCase]:
    group, script = Group.DEVICES, "mic = scene.lit()\nscene.end()"
    return [
        ExitCase(
            "a shutdown raises",
            group,
            script,
            cores=ONLY_UNI,
            more=("Refusing",),
            left=("Refusing",),
        ),
        ExitCase(
            "a shutdown hangs for 60 s",
            group,
            script,
            cores=ONLY_UNI,
            limit_s=5.0,
            more=("Hanging",),
            left=("Hanging",),
        ),
        ExitCase(
            "loading fails half way",
            group,
            "scene.end()\nmic = scene.open()",
            code=1,
            cores=ONLY_UNI,
            limit_s=5.0,
            more=("Absent",),
        ),
        ExitCase(
            "exit while a thread loads",
            group,
            "threading.Thread(target=scene.open, daemon=True).start()\n"
            "time.sleep(0.7)\nscene.end()",
            cores=ONLY_UNI,
            dark_s=2.0,
            more=("Slow",),
        ),
    ]


FORKED = """\
mic = scene.lit()
scene.mark('FORK')
{child}
scene.mark('JOINED')
scene.usable(mic)
scene.light(mic)
scene.end()
"""


def _forks() -> list[ExitCase]:
    group = Group.FORKS
    children = {
        "os.fork, the child exits": "pid = os.fork()\n"
        "if pid == 0:\n    sys.exit(0)\n"
        "assert os.waitpid(pid, 0)[1] == 0",
        "os.fork, the child raises": "pid = os.fork()\n"
        "if pid == 0:\n    mic.shutdown()\n    raise RuntimeError('in the child')\n"
        "assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1",
        "multiprocessing fork, terminated": "import multiprocessing\n"
        "context = multiprocessing.get_context('fork')\n"
        "child = context.Process(target=time.sleep, args=(60,))\n"
        "child.start(); time.sleep(0.3); child.terminate(); child.join()\n"
        "assert child.exitcode == -15",
        "multiprocessing fork, returns": "import multiprocessing\n"
        "context = multiprocessing.get_context('fork')\n"
        "child = context.Process(target=gc.collect)\n"
        "child.start(); child.join()\n"
        "assert child.exitcode == 0",
    }
    return [
        ExitCase(name, group, FORKED.format(child=child), posix=True)
        for name, child in children.items()
    ]


def _control() -> list[ExitCase]:
    group = Group.CONTROL
    disarmed = (
        "from faro.microscope.exit_guard import EXIT_GUARD\n"
        "from faro.microscope.mmcore import keep_for_ever\n"
        "mic = scene.lit()\n"
        "EXIT_GUARD.discard(mic.session); keep_for_ever(mic.mmc)\nscene.end()"
    )
    return [
        ExitCase(
            "the guard is told to forget it",
            group,
            disarmed,
            cores=ONLY_UNI,
            released=False,
        ),
        ExitCase(
            "os._exit",
            group,
            "mic = scene.lit()\nscene.end()\nos._exit(0)",
            cores=ONLY_UNI,
            released=False,
        ),
        ExitCase(
            "SIGKILL",
            group,
            "mic = scene.lit()\nscene.ready()",
            -9,
            cores=ONLY_UNI,
            signals=(9,),
            released=False,
            posix=True,
        ),
    ]


CASES: tuple[ExitCase, ...] = tuple(
    case
    for cases in (
        _plain(),
        _signals(),
        _runs(),
        _objects(),
        _devices(),
        _forks(),
        _control(),
    )
    for case in cases
    if not (case.posix and sys.platform == "win32")
)
"""Every case that can be tried on this system."""
