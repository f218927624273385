"""One worker process, seen from the loop: started, asked, killed."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any

from faro import settings
from faro.errors import ComponentError, ContractError, FaroError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from faro.analysis.worker.spec import SegmenterSpec

_COMMAND = (sys.executable, "-m", "faro.analysis.worker")
_NEW_GROUP = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
_NO_WINDOW = getattr(subprocess, "CREATE_NO_WINDOW", 0)
_SHOWN_LINES = 8
_END_S = 2.0


class WorkerError(FaroError, RuntimeError):
    """A worker process died, was too slow, or could not be started."""


class WorkerDiedError(WorkerError):
    """The process ended before it answered."""


class WorkerTimeoutError(WorkerError, TimeoutError):
    """The process did not answer in time."""


class WorkerProcess:
    """A process that makes one segmenter and answers one request at a time.

    Started at once; `wait_until_ready` says when the segmenter is made. Not
    thread-safe: the caller asks one thing at a time.

    Parameters
    ----------
    spec
        The segmenter.
    sys_path
        Import path of the process.
    shape
        Shape of the images to come, for the warm-up.
    n_threads
        Threads of OpenMP, OpenBLAS, MKL and OpenCV.
    start_deadline_s
        How long it may take to import, make and warm up.
    """

    def __init__(
        self,
        spec: SegmenterSpec,
        sys_path: Sequence[str],
        shape: tuple[int, ...],
        *,
        n_threads: int,
        start_deadline_s: float,
    ) -> None:
        self._path, self._start_deadline_s = spec.path, start_deadline_s
        self._ends_s = time.monotonic() + start_deadline_s
        self._ready = False
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  closed by end
        self._process = _started(
            settings.worker_environment(n_threads, sys_path), self._log
        )
        self._answers: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        threading.Thread(
            target=_pump,
            args=(self._process.stdout, self._answers),
            name="faro-worker-answers",
            daemon=True,
        ).start()
        make = {
            "do": "make",
            "path": spec.path,
            "parameters": dict(spec.parameters),
            "sys_path": list(sys_path),
            "shape": list(shape),
            "n_threads": n_threads,
        }
        with suppress(WorkerDiedError):  # told by wait_until_ready
            self._say(make, start_deadline_s)

    @property
    def pid(self) -> int:
        """Id of the process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    @property
    def ready(self) -> bool:
        """Whether the segmenter is made."""
        return self._ready

    @property
    def overdue(self) -> bool:
        """Whether it should have been ready by now."""
        return not self._ready and time.monotonic() > self._ends_s

    def wait_until_ready(self, wait_s: float) -> None:
        """Return when the segmenter is made.

        Raises
        ------
        WorkerTimeoutError
            If that takes longer than ``wait_s``; the process goes on with it.
        WorkerError
            If it cannot be made; says why.
        """
        if self._ready:
            return
        left_s = max(0.0, self._ends_s - time.monotonic())
        answer = self._heard(min(wait_s, left_s), "start")
        if "failed" in answer:
            remedy = answer["remedy"] or "Correct the segmenter."
            raise WorkerError(answer["problem"], remedy=remedy)
        self._ready = True

    def segment(self, where: Mapping[str, Any], wait_s: float) -> None:
        """Return when the labels of the image in shared memory are written.

        Raises
        ------
        ContractError, ComponentError
            If the segmenter returned rubbish or raised.
        WorkerDiedError, WorkerTimeoutError
            If the process did not answer.
        """
        self._say({"do": "segment", **where}, wait_s)
        answer = self._heard(wait_s, "segment an image")
        if "failed" in answer:
            kind = ContractError if "Contract" in answer["failed"] else ComponentError
            raise kind(answer["problem"], remedy=answer["remedy"])

    def end(self, *, now: bool = False) -> None:
        """End the process; it is gone on return. Safe to call twice.

        Parameters
        ----------
        now
            Kill it; otherwise it may end by itself first.
        """
        with suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        if not now:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_END_S)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def _say(self, request: Mapping[str, Any], deadline_s: float) -> None:
        line = json.dumps({**request, "deadline_s": deadline_s}).encode() + b"\n"
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line)
            self._process.stdin.flush()
        except (OSError, ValueError) as error:
            raise self._died() from error

    def _heard(self, wait_s: float, what: str) -> dict[str, Any]:
        try:
            answer = self._answers.get(timeout=max(wait_s, 0.001))
        except queue.Empty:
            problem = f"The worker of {self._path} took over {wait_s:.1f} s to {what}."
            remedy = "Give it more time, a smaller image or a faster model."
            raise WorkerTimeoutError(problem, remedy=remedy) from None
        if answer is None:
            raise self._died()
        return answer

    def _died(self) -> WorkerDiedError:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_S)
        code = self._process.returncode
        problem = f"The worker of {self._path} ended (exit code {code})."
        return WorkerDiedError(problem, remedy=f"It said: {self._last_words()}")

    def _last_words(self) -> str:
        """Return the last lines that the process wrote to stderr."""
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").splitlines()
        return " | ".join(line.strip() for line in lines[-_SHOWN_LINES:]) or "nothing."


def _started(environment: Mapping[str, str], log: IO[bytes]) -> subprocess.Popen[bytes]:
    """Return a new process that no signal to our group reaches."""
    return subprocess.Popen(
        _COMMAND,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        env=environment,
        creationflags=_NEW_GROUP | _NO_WINDOW,
        start_new_session=True,
    )


def _pump(
    stream: IO[bytes] | None, answers: queue.SimpleQueue[dict[str, Any] | None]
) -> None:
    """Hand on every answer, and None at the end; on a thread of its own."""
    assert stream is not None
    with stream, suppress(OSError, ValueError):
        for line in stream:
            answers.put(json.loads(line))
    answers.put(None)
