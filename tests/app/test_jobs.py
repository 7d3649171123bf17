"""Jobs: results, errors, pause, queue; and the worker that computes only the newest request."""

import threading
import weakref
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QThread

from app.jobs import Job, JobList, LatestRequestWorker
from app.jobs.job import MAX_PENDING_EVENTS
from app.shell.progress import Meter, Status
from core.events import Cancel, Done, Note, Progress, Step
from core.options import Options, option


class RecordedSignals:
    """Everything that a job emits."""

    def __init__(self, job):
        self.events, self.results, self.failures, self.partials, self.order = [], [], [], [], []
        job.events.connect(self.events.extend)
        job.events.connect(lambda _: self.order.append("events"))
        job.finished_ok.connect(self.results.append)
        job.finished_ok.connect(lambda _: self.order.append("ok"))
        job.failed.connect(lambda *text: self.failures.append(text))
        job.stopped.connect(self.partials.append)


def ended(job):
    return lambda: job.status.ended


@pytest.fixture
def begin(qtbot):
    """Starts a job, and ends its thread after the test."""
    started = []

    def make(title, work, cancel):
        job = Job(title, work, cancel)
        started.append((job, RecordedSignals(job)))
        job.begin()
        return started[-1]

    yield make
    for job, _ in started:
        job.cancel()
        qtbot.waitUntil(ended(job))


def counting(cancel, total=10**9, gate=None, closed=None):
    """An operation like those of core: counts until its token is requested, and notes when it is closed."""
    done = 0
    try:
        while done < total and not cancel.requested:
            if gate is not None:
                gate.acquire()
            done += 1
            yield Progress(done, total, "counting")
        yield Done(done, complete=done == total)
    finally:
        if closed is not None:
            closed.append(done)


def test_that_a_hundred_thousand_events_arrive_in_order_and_the_result_comes_last(qtbot, begin):
    job, signals = begin("counting", lambda: counting(cancel, 100_000), cancel := Cancel())
    qtbot.waitUntil(ended(job), timeout=20_000)
    assert [event.done for event in signals.events[:-1]] == list(range(1, 100_001))
    assert signals.results == [100_000]
    assert signals.order[-1] == "ok"
    assert len(signals.order) < 2000  # batches, not one signal per event
    assert job.status is Status.DONE
    assert job.meter.fraction == 1.0
    assert not signals.failures
    assert not signals.partials


def test_that_the_unit_is_that_of_what_was_counted_last(qtbot):
    gates = [threading.Semaphore(0), threading.Semaphore(0)]

    def work():
        yield Progress(5, 10)
        gates[0].acquire()
        yield Step(1, 500)
        gates[1].acquire()

    job = Job("map", work, Cancel(), "clouds", "iterations")
    job.begin()
    qtbot.waitUntil(lambda: job.meter.total == 10)
    assert job.unit == "clouds"
    gates[0].release()
    qtbot.waitUntil(lambda: job.meter.total == 500)
    assert job.unit == "iterations"
    gates[1].release()
    qtbot.waitUntil(ended(job))


def test_that_stop_and_keep_delivers_the_partial_result(qtbot, begin):
    job, signals = begin("counting", lambda: counting(cancel), cancel := Cancel())
    qtbot.waitUntil(lambda: job.meter.done > 10)
    job.stop_and_keep()
    assert job.status is Status.STOPPING
    qtbot.waitUntil(ended(job))
    assert job.status is Status.STOPPED
    assert signals.partials == [signals.events[-2].done]
    assert not signals.results


def test_that_cancel_closes_the_generator_and_drops_the_result(qtbot, begin):
    closed = []
    job, signals = begin("counting", lambda: counting(cancel, closed=closed), cancel := Cancel())
    qtbot.waitUntil(lambda: job.meter.done > 10)
    job.cancel()
    qtbot.waitUntil(ended(job))
    assert job.status is Status.CANCELLED
    assert len(closed) == 1
    assert signals.partials == [None]
    assert not cancel.requested


def test_that_a_paused_job_makes_no_step_until_it_is_resumed(qtbot, begin):
    job, _ = begin("counting", lambda: counting(cancel), cancel := Cancel())
    qtbot.waitUntil(lambda: job.meter.done > 0)
    job.pause()
    qtbot.waitUntil(lambda: job.suspended)
    qtbot.wait(50)
    before = job.meter.done
    qtbot.wait(100)
    assert job.meter.done == before
    job.resume()
    qtbot.waitUntil(lambda: job.meter.done > before)


def test_that_hold_and_pause_are_independent_of_each_other(qtbot, begin):
    job, _ = begin("counting", lambda: counting(cancel), cancel := Cancel())
    job.pause()
    job.hold()
    job.hold()
    qtbot.waitUntil(lambda: job.suspended)
    job.release_hold()
    job.resume()
    assert job.status is Status.RUNNING
    assert job.suspended  # one hold is left
    job.pause()
    job.release_hold()
    assert job.status is Status.PAUSED
    assert job.suspended
    job.resume()
    qtbot.waitUntil(lambda: not job.suspended)


@pytest.mark.parametrize(("end", "status"), [(Job.stop_and_keep, Status.STOPPED), (Job.cancel, Status.CANCELLED)])
def test_that_a_paused_and_held_job_can_be_ended(qtbot, begin, end, status):
    job, _ = begin("counting", lambda: counting(cancel), cancel := Cancel())
    job.hold()
    job.pause()
    qtbot.waitUntil(lambda: job.suspended)
    end(job)
    qtbot.waitUntil(ended(job))
    assert job.status is status


class _Limits(Options):
    steps: int = option(1, "Steps.", low=1)


def _bad_options():
    _Limits(steps=0)


def _raise(error):
    raise error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            lambda: _raise(ValueError("points is (5, 2); three columns are needed")),
            "Points is (5, 2); three columns are needed.",
        ),
        (_bad_options, "Steps: input should be greater than or equal to 1 (got 0)."),
        (lambda: _raise(MemoryError()), "This machine has not enough memory."),
        (lambda: _raise(RuntimeError("CUDA out of memory. Tried to allocate")), "The GPU has not enough memory."),
        (lambda: Path("/no/such/file").read_text(), "/no/such/file: no such file or directory."),
        (lambda: _raise(KeyError("weights.3")), "Something unexpected went wrong"),
        (lambda: _raise(ValueError()), "Something unexpected went wrong"),
        (lambda: _raise(SystemExit(3)), "Something unexpected went wrong"),
    ],
)
def test_that_an_exception_becomes_a_sentence_and_keeps_its_traceback(qtbot, begin, error, expected):
    def work():
        yield Progress(1, 2)
        error()

    job, signals = begin("failing", work, Cancel())
    qtbot.waitUntil(ended(job))
    ((text, details),) = signals.failures
    assert text.startswith(expected)
    assert "in work" in details
    assert signals.events == [Progress(1, 2)]
    assert job.status is Status.FAILED


def test_that_an_exception_before_the_first_step_is_not_lost(qtbot, begin):
    job, signals = begin("failing", lambda: _raise(ValueError("no such dataset")), Cancel())
    qtbot.waitUntil(ended(job))
    assert signals.failures[0][0] == "No such dataset."


def test_that_an_exception_while_the_generator_closes_is_not_lost(qtbot, begin):
    def work():
        try:
            for done in range(10**9):
                yield Progress(done, 10**9)
        finally:
            raise OSError(28, "No space left on device", "/runs/last")

    job, signals = begin("saving", work, Cancel())
    qtbot.waitUntil(lambda: job.meter.done > 0)
    job.cancel()
    qtbot.waitUntil(ended(job))
    assert signals.failures[0][0].startswith("/runs/last: no space left on device.")


def test_that_the_thread_has_a_stack_of_16_mebibytes(qtbot, begin):
    sizes = []

    def work():
        sizes.append(QThread.currentThread().stackSize())
        yield Done()

    job, _ = begin("deep", work, Cancel())
    qtbot.waitUntil(ended(job))
    assert sizes == [16 * 2**20]


def test_that_notes_and_steps_update_text_and_meter(qtbot, begin):
    def work():
        yield Note("loading data…")
        yield Step(3, 4)
        yield Done("map")

    job, _ = begin("t-SNE", work, Cancel())
    qtbot.waitUntil(ended(job))
    assert job.text == "", "loading is over with the first step"
    assert job.meter.fraction == 0.75


# --- the list -----------------------------------------------------------------------------------------------------


def submit_gated(jobs, count):
    """Jobs of two steps; each step waits for the job's semaphore."""
    gates = [threading.Semaphore(0) for _ in range(count)]
    made = []
    for index, gate in enumerate(gates):
        cancel = Cancel()
        made.append(jobs.submit(f"job {index}", lambda c=cancel, g=gate: counting(c, 2, g), cancel))
    return made, gates


def test_that_two_jobs_run_and_the_third_is_queued(qtbot):
    jobs = JobList()
    made, gates = submit_gated(jobs, 3)
    assert [job.status for job in made] == [Status.RUNNING, Status.RUNNING, Status.QUEUED]
    gates[1].release(2)
    qtbot.waitUntil(lambda: made[2].status is Status.RUNNING)
    assert jobs.jobs == [made[0], made[2]]
    with qtbot.waitSignal(jobs.emptied):
        gates[0].release(2)
        gates[2].release(2)
    assert [job.status for job in made] == [Status.DONE] * 3


def test_that_while_a_job_is_paused_the_next_one_runs_and_the_order_stays(qtbot):
    jobs = JobList(max_running=1)
    made, gates = submit_gated(jobs, 2)
    made[0].pause()
    assert made[1].status is Status.RUNNING
    assert jobs.jobs == made
    made[0].resume()
    assert made[0].status is Status.RUNNING
    with qtbot.waitSignal(jobs.emptied):
        for gate in gates:
            gate.release(2)


def test_that_a_queued_job_can_be_cancelled_without_ever_starting(qtbot):
    jobs = JobList(max_running=1)
    made, gates = submit_gated(jobs, 2)
    signals = RecordedSignals(made[1])
    made[1].cancel()
    assert made[1].status is Status.CANCELLED
    assert signals.partials == [None]
    assert jobs.jobs == [made[0]]
    with qtbot.waitSignal(jobs.emptied):
        gates[0].release(2)


def test_that_hold_all_suspends_all_jobs_including_later_ones(qtbot):
    jobs = JobList()
    first = jobs.submit("first", lambda: counting(one), one := Cancel())
    jobs.hold_all()
    second = jobs.submit("second", lambda: counting(two), two := Cancel())
    qtbot.waitUntil(lambda: first.suspended and second.suspended)
    assert second.meter.done == 0
    jobs.release_all()
    qtbot.waitUntil(lambda: second.meter.done > 0)
    assert jobs.close()


def test_that_closing_stops_all_jobs_and_keeps_partial_results(qtbot):
    jobs = JobList()
    cancels = [Cancel() for _ in range(4)]
    made = [jobs.submit("counting", lambda c=c: counting(c), c) for c in cancels]
    recorded = [RecordedSignals(job) for job in made]
    made[1].pause()
    qtbot.waitUntil(lambda: made[0].meter.done > 0)
    assert jobs.close(5)
    assert all(job.status is Status.STOPPED and not job.isRunning() for job in made)
    assert recorded[0].partials[0] > 0
    assert made[3].meter.done == 0  # it was queued and never started


def test_that_an_immediate_job_starts_at_once_and_one_without_partial_result_is_cancelled_when_stopped(qtbot):
    jobs = JobList(max_running=1)
    long = jobs.submit("long", lambda: counting(token), token := Cancel())
    uncancellable = jobs.submit("opening", lambda: counting(Cancel()), Cancel(), immediate=True, keeps_partial=False)
    assert uncancellable.status is Status.RUNNING
    signals = RecordedSignals(uncancellable)
    uncancellable.stop_and_keep()
    qtbot.waitUntil(ended(uncancellable))
    assert signals.partials == [None]
    assert long.status is Status.RUNNING
    assert jobs.close()


def test_that_no_job_starts_after_closing(qtbot):
    jobs, started = JobList(), []
    first = jobs.submit("first", lambda: counting(Cancel()), Cancel(), keeps_partial=False)
    first.stopped.connect(lambda _: started.append(jobs.submit("second", lambda: counting(Cancel()), Cancel())))
    assert jobs.close()
    assert [job.status for job in started] == [Status.CANCELLED]


def test_that_closing_waits_only_so_long_for_a_job_that_does_not_end(qtbot):
    jobs = JobList()
    gate = threading.Semaphore(0)

    def stuck():
        gate.acquire()
        yield Done("late", complete=False)

    job = jobs.submit("stuck", stuck, Cancel())
    assert not jobs.close(0.05)
    assert job.status is Status.STOPPING
    gate.release()
    assert jobs.close()
    assert job.status is Status.STOPPED


def test_that_closing_does_not_wait_for_a_job_whose_result_closes_the_window(qtbot):
    jobs, closed = JobList(), []
    job = jobs.submit("one", lambda: iter([Done(1, complete=True)]), Cancel())
    job.finished_ok.connect(lambda _: closed.append(jobs.close(0.05)))
    qtbot.waitUntil(lambda: closed != [])
    assert closed == [True]
    assert jobs.jobs == []


def test_that_a_job_with_too_many_undelivered_events_waits_and_can_be_cancelled(qtbot, begin):
    made = []

    def work():
        while True:
            made.append(1)
            yield Step(1, 1)

    job, _ = begin("fast", work, Cancel())
    while len(made) < MAX_PENDING_EVENTS:  # the event loop does not run meanwhile, so nothing is delivered
        pass
    assert len(made) <= MAX_PENDING_EVENTS + 1
    job.cancel()
    qtbot.waitUntil(ended(job))
    assert job.status is Status.CANCELLED


# --- the worker for the newest request ----------------------------------------------------------------------------


@pytest.fixture
def worker(qapp):
    worker = LatestRequestWorker()
    yield worker
    assert worker.close()


class BlockedFunction:
    """A function that blocks until ``leave`` is released, and records its arguments."""

    def __init__(self):
        self.arguments, self.entered, self.leave = [], threading.Semaphore(0), threading.Semaphore(0)

    def __call__(self, value):
        self.arguments.append(value)
        self.entered.release()
        self.leave.acquire()
        return value


def test_that_only_the_running_and_the_newest_request_are_computed(qtbot, worker):
    blocked, got = BlockedFunction(), []
    worker.ready.connect(lambda key, serial, value: got.append((serial, value)))
    first = worker.submit("epsilon", blocked, 0)
    blocked.entered.acquire()
    serials = [worker.submit("epsilon", blocked, value) for value in range(1, 200)]
    blocked.leave.release()
    qtbot.waitUntil(lambda: got == [(first, 0)])  # even though a newer request waits
    with qtbot.waitSignal(worker.idle):
        blocked.leave.release()
    assert blocked.arguments == [0, 199]
    assert got == [(first, 0), (serials[-1], 199)]


def test_that_requests_of_other_keys_are_not_replaced(qtbot, worker):
    got = {}
    worker.ready.connect(lambda key, serial, value: got.update({key: value}))
    with qtbot.waitSignal(worker.idle):
        for key in "abc":
            worker.submit(key, str.upper, key)
    qtbot.waitUntil(lambda: got == {"a": "A", "b": "B", "c": "C"})


def test_that_requests_of_a_discarded_key_deliver_nothing(qtbot, worker):
    blocked, got = BlockedFunction(), []
    worker.ready.connect(lambda key, serial, value: got.append(value))
    worker.submit("shape", blocked, "old, running")
    blocked.entered.acquire()
    worker.submit("shape", blocked, "old, waiting")
    worker.discard("shape")
    with qtbot.waitSignal(worker.idle):
        worker.submit("shape", blocked, "new")
        blocked.leave.release(3)
    assert blocked.arguments == ["old, running", "new"]
    assert got == ["new"]


def test_that_a_failing_request_is_reported_and_the_next_one_is_computed(qtbot, worker):
    failures, got = [], []
    worker.failed.connect(lambda *arguments: failures.append(arguments))
    worker.ready.connect(lambda *arguments: got.append(arguments))
    serial = worker.submit("cloud", lambda: _raise(ValueError("epsilon is -1; it must not be negative")))
    qtbot.waitUntil(lambda: bool(failures))
    assert failures[0][:3] == ("cloud", serial, "Epsilon is -1; it must not be negative.")
    assert "ValueError" in failures[0][3]
    after = worker.submit("cloud", lambda: "fine")
    qtbot.waitUntil(lambda: got == [("cloud", after, "fine")])


def test_that_results_arrive_in_the_gui_thread(qtbot, worker):
    threads = {}
    worker.ready.connect(lambda key, serial, value: threads.update(gui=threading.current_thread(), work=value))
    worker.submit("thread", threading.current_thread)
    qtbot.waitUntil(lambda: bool(threads))
    assert threads["gui"] is threading.main_thread()
    assert threads["work"] is not threading.main_thread()


def test_that_a_closed_worker_computes_and_delivers_nothing(qtbot):
    worker, got = LatestRequestWorker(), []
    worker.ready.connect(lambda *arguments: got.append(arguments))
    worker.submit("value", int, "3")
    assert worker.close()
    worker.submit("value", int, "4")
    qtbot.wait(20)
    assert not got
    assert not worker.isRunning()


def test_that_a_worker_does_not_keep_the_last_arrays_alive(qtbot, worker):
    class Cloud:
        pass

    cloud = Cloud()
    reference = weakref.ref(cloud)
    with qtbot.waitSignal(worker.idle):
        worker.submit("cloud", id, cloud)
    del cloud
    qtbot.waitUntil(lambda: reference() is None)


# --- the meter ----------------------------------------------------------------------------------------------------


def test_that_the_meter_gives_rate_and_time_left_of_steady_work():
    meter = Meter()
    assert (meter.fraction, meter.rate, meter.seconds_left) == (None, None, None)
    for second in range(1, 11):
        meter.add(68 * second, 6800, float(second))
    assert meter.fraction == pytest.approx(0.1)
    assert meter.rate == pytest.approx(68)
    assert meter.seconds_left == pytest.approx(90)


def test_that_the_meter_uses_only_the_last_half_minute():
    meter = Meter()
    for second in range(300):
        meter.add(second * (100 if second < 150 else 0) + (second >= 150) * (15_000 + second), 100_000, float(second))
    assert meter.rate == pytest.approx(1.0)


def test_that_another_total_restarts_the_measurement():
    meter = Meter()
    meter.add(1, 2, 1.0)
    meter.add(2, 2, 2.0)
    meter.add(10, 1000, 3.0)
    assert meter.rate is None
    meter.add(20, 1000, 4.0)
    assert meter.rate == pytest.approx(10)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50), st.floats(0, 100)), max_size=40))
def test_that_the_meter_accepts_any_sequence_of_reports(reports):
    meter, at = Meter(), 0.0
    for done, total, seconds in reports:
        at += seconds
        meter.add(done, total, at)
        assert meter.fraction is None or 0 <= meter.fraction <= 1
        assert meter.rate is None or meter.rate > 0
