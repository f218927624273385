"""Steps that may hang cost a thread, not the caller."""

from __future__ import annotations

import sys
import threading
import time

from faro.microscope.steps import CloseReport, Outcome, StepResult, StepRunner


def test_a_step_is_reported_as_ok_error_or_hung() -> None:
    runner, never = StepRunner(), threading.Event()
    assert runner.run("fine", lambda: None, 5).ok
    failed = runner.run("bad", lambda: 1 // 0, 5)
    assert failed.outcome is Outcome.ERROR
    assert failed.detail.startswith("ZeroDivisionError: ")
    hung = runner.run("slow", lambda: never.wait(30), 0.05)
    assert (hung.outcome, hung.detail) == (Outcome.HUNG, "not done after 0.05 s")
    never.set()
    runner.close()


def test_a_step_that_exits_costs_no_worker() -> None:
    runner = StepRunner(workers=1)
    assert runner.run("exit", sys.exit, 5).outcome is Outcome.ERROR
    assert runner.run("fine", lambda: None, 5).ok
    runner.close()


def test_when_every_worker_hangs_it_is_said_and_nothing_runs_late() -> None:
    runner = StepRunner(workers=2, most=2)
    never, late = threading.Event(), threading.Event()
    for _ in range(2):
        runner.run("slow", lambda: never.wait(30), 0.02)
    start = time.monotonic()
    result = runner.run("too late", late.set, 0.05)
    assert time.monotonic() - start < 2
    assert result.detail == "not started: every worker hangs"
    never.set()
    assert runner.run("again", lambda: None, 5).ok
    assert not late.is_set()
    runner.close()


def test_the_workers_go_with_the_runner() -> None:
    runner = StepRunner(workers=2)
    workers = [t for t in threading.enumerate() if runner.runs_on(t)]
    assert len(workers) == 2
    runner.close()
    runner.close()
    for worker in workers:
        worker.join(10)
        assert not worker.is_alive()


def test_a_report_is_ok_when_nothing_is_left_and_every_step_was_done() -> None:
    good, bad = StepResult("a", Outcome.OK, 0.0), StepResult("b", Outcome.HUNG, 0.0)
    assert CloseReport("end", (good,)).ok
    assert not CloseReport("end", (good, bad)).ok
    assert not CloseReport("end", (good,), left=("DMD",)).ok
