"""Jobs run generators, keep or drop partial results, rest and wait; the slider's worker computes only the newest."""

import threading
import weakref
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QThread

from app.jobs import AHEAD, Job, JobList, Latest
from app.shell.progress import Meter, Status
from core.events import Cancel, Done, Note, Progress, Step
from core.options import Options, option


class Outcome:
    """Collects everything a job emits."""

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
    """Begins a job; whatever becomes of the test, its thread ends with it."""
    begun = []

    def make(title, work, cancel):
        job = Job(title, work, cancel)
        begun.append((job, Outcome(job)))
        job.begin()
        return begun[-1]

    yield make
    for job, _ in begun:
        job.cancel()
        qtbot.waitUntil(ended(job))


def counting(cancel, total=10**9, gate=None, closed=None):
    """A well-behaved core operation: counts, looks at its token, notices being closed."""
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
    job, outcome = begin("counting", lambda: counting(cancel, 100_000), cancel := Cancel())
    qtbot.waitUntil(ended(job), timeout=20_000)
    assert [event.done for event in outcome.events[:-1]] == list(range(1, 100_001))
    assert outcome.results == [100_000]
    assert outcome.order[-1] == "ok"
    assert len(outcome.order) < 2000  # batches, not one signal per event
    assert job.status is Status.DONE
    assert job.meter.fraction == 1.0
    assert not outcome.failures
    assert not outcome.partials


def test_that_stop_and_keep_brings_the_partial_result(qtbot, begin):
    job, outcome = begin("counting", lambda: counting(cancel), cancel := Cancel())
    qtbot.waitUntil(lambda: job.meter.done > 10)
    job.stop_and_keep()
    assert job.status is Status.STOPPING
    qtbot.waitUntil(ended(job))
    assert job.status is Status.STOPPED
    assert outcome.partials == [outcome.events[-2].done]
    assert not outcome.results


def test_that_cancel_closes_the_generator_and_drops_the_result(qtbot, begin):
    closed = []
    job, outcome = begin("counting", lambda: counting(cancel, closed=closed), cancel := Cancel())
    qtbot.waitUntil(lambda: job.meter.done > 10)
    job.cancel()
    qtbot.waitUntil(ended(job))
    assert job.status is Status.CANCELLED
    assert len(closed) == 1
    assert outcome.partials == [None]
    assert not cancel.requested


def test_that_a_paused_job_makes_no_step_until_it_is_resumed(qtbot, begin):
    job, _ = begin("counting", lambda: counting(cancel), cancel := Cancel())
    qtbot.waitUntil(lambda: job.meter.done > 0)
    job.pause()
    qtbot.waitUntil(lambda: job.resting)
    qtbot.wait(50)
    before = job.meter.done
    qtbot.wait(100)
    assert job.meter.done == before
    job.resume()
    qtbot.waitUntil(lambda: job.meter.done > before)


def test_that_a_hold_does_not_end_the_persons_pause_nor_a_pause_the_hold(qtbot, begin):
    job, _ = begin("counting", lambda: counting(cancel), cancel := Cancel())
    job.pause()
    job.hold()
    job.hold()
    qtbot.waitUntil(lambda: job.resting)
    job.release_hold()
    job.resume()
    assert job.status is Status.RUNNING
    assert job.resting  # one hold is left
    job.pause()
    job.release_hold()
    assert job.status is Status.PAUSED
    assert job.resting
    job.resume()
    qtbot.waitUntil(lambda: not job.resting)


@pytest.mark.parametrize(("end", "status"), [(Job.stop_and_keep, Status.STOPPED), (Job.cancel, Status.CANCELLED)])
def test_that_a_paused_and_held_job_can_be_ended(qtbot, begin, end, status):
    job, _ = begin("counting", lambda: counting(cancel), cancel := Cancel())
    job.hold()
    job.pause()
    qtbot.waitUntil(lambda: job.resting)
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

    job, outcome = begin("failing", work, Cancel())
    qtbot.waitUntil(ended(job))
    ((text, details),) = outcome.failures
    assert text.startswith(expected)
    assert "in work" in details
    assert outcome.events == [Progress(1, 2)]
    assert job.status is Status.FAILED


def test_that_an_exception_before_the_first_step_is_not_lost(qtbot, begin):
    job, outcome = begin("failing", lambda: _raise(ValueError("no such dataset")), Cancel())
    qtbot.waitUntil(ended(job))
    assert outcome.failures[0][0] == "No such dataset."


def test_that_an_exception_while_the_generator_closes_is_not_lost(qtbot, begin):
    def work():
        try:
            for done in range(10**9):
                yield Progress(done, 10**9)
        finally:
            raise OSError(28, "No space left on device", "/runs/last")

    job, outcome = begin("saving", work, Cancel())
    qtbot.waitUntil(lambda: job.meter.done > 0)
    job.cancel()
    qtbot.waitUntil(ended(job))
    assert outcome.failures[0][0].startswith("/runs/last: no space left on device.")


def test_that_the_thread_has_room_for_deep_native_stacks(qtbot, begin):
    sizes = []

    def work():
        sizes.append(QThread.currentThread().stackSize())
        yield Done()

    job, _ = begin("deep", work, Cancel())
    qtbot.waitUntil(ended(job))
    assert sizes == [16 * 2**20]


def test_that_notes_and_steps_are_shown_too(qtbot, begin):
    def work():
        yield Note("loading data…")
        yield Step(3, 4)
        yield Done("map")

    job, _ = begin("t-SNE", work, Cancel())
    qtbot.waitUntil(ended(job))
    assert job.text == "loading data…"
    assert job.meter.fraction == 0.75


# --- the list -------------------------------------------------------------------------------------------------------


def submit_gated(jobs, count):
    """Jobs of two steps, each step let through by its own semaphore."""
    gates = [threading.Semaphore(0) for _ in range(count)]
    made = []
    for index, gate in enumerate(gates):
        cancel = Cancel()
        made.append(jobs.submit(f"job {index}", lambda c=cancel, g=gate: counting(c, 2, g), cancel))
    return made, gates


def test_that_two_jobs_run_and_the_third_waits_for_a_place(qtbot):
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


def test_that_a_paused_job_makes_room_and_keeps_its_place_in_the_list(qtbot):
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


def test_that_a_waiting_job_can_be_dropped_without_ever_starting(qtbot):
    jobs = JobList(max_running=1)
    made, gates = submit_gated(jobs, 2)
    outcome = Outcome(made[1])
    made[1].cancel()
    assert made[1].status is Status.CANCELLED
    assert outcome.partials == [None]
    assert jobs.jobs == [made[0]]
    with qtbot.waitSignal(jobs.emptied):
        gates[0].release(2)


def test_that_all_jobs_rest_while_the_slider_is_held_those_to_come_included(qtbot):
    jobs = JobList()
    first = jobs.submit("first", lambda: counting(one), one := Cancel())
    jobs.hold_all()
    second = jobs.submit("second", lambda: counting(two), two := Cancel())
    qtbot.waitUntil(lambda: first.resting and second.resting)
    assert second.meter.done == 0
    jobs.release_all()
    qtbot.waitUntil(lambda: second.meter.done > 0)
    assert jobs.close()


def test_that_closing_stops_everything_and_keeps_partial_results(qtbot):
    jobs = JobList()
    cancels = [Cancel() for _ in range(4)]
    made = [jobs.submit("counting", lambda c=c: counting(c), c) for c in cancels]
    outcomes = [Outcome(job) for job in made]
    made[1].pause()
    qtbot.waitUntil(lambda: made[0].meter.done > 0)
    assert jobs.close(5)
    assert all(job.status is Status.STOPPED and not job.isRunning() for job in made)
    assert outcomes[0].partials[0] > 0
    assert made[3].meter.done == 0  # it waited, and never started


def test_that_brief_work_waits_for_nobody_and_what_keeps_nothing_is_dropped_when_it_is_stopped(qtbot):
    jobs = JobList(max_running=1)
    long = jobs.submit("long", lambda: counting(token), token := Cancel())
    deaf = jobs.submit("opening", lambda: counting(Cancel()), Cancel(), brief=True, keeps=False)
    assert deaf.status is Status.RUNNING
    outcome = Outcome(deaf)
    deaf.stop_and_keep()
    qtbot.waitUntil(ended(deaf))
    assert outcome.partials == [None]
    assert long.status is Status.RUNNING
    assert jobs.close()


def test_that_nothing_begins_once_they_are_closed(qtbot):
    jobs, begun = JobList(), []
    first = jobs.submit("first", lambda: counting(Cancel()), Cancel(), keeps=False)
    first.stopped.connect(lambda _: begun.append(jobs.submit("second", lambda: counting(Cancel()), Cancel())))
    assert jobs.close()
    assert [job.status for job in begun] == [Status.CANCELLED]


def test_that_closing_does_not_wait_for_ever_for_a_job_that_will_not_end(qtbot):
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


def test_that_a_job_faster_than_the_window_waits_for_it_and_can_still_be_cancelled(qtbot, begin):
    made = []

    def work():
        while True:
            made.append(1)
            yield Step(1, 1)

    job, _ = begin("fast", work, Cancel())
    while len(made) < AHEAD:  # the window is busy and drains nothing
        pass
    assert len(made) <= AHEAD + 1
    job.cancel()
    qtbot.waitUntil(ended(job))
    assert job.status is Status.CANCELLED


# --- the slider's worker --------------------------------------------------------------------------------------------


@pytest.fixture
def latest(qapp):
    worker = Latest()
    yield worker
    assert worker.close()


class Held:
    """A function that waits to be let through and remembers what it was asked."""

    def __init__(self):
        self.asked, self.entered, self.leave = [], threading.Semaphore(0), threading.Semaphore(0)

    def __call__(self, value):
        self.asked.append(value)
        self.entered.release()
        self.leave.acquire()
        return value


def test_that_the_newest_value_wins_and_nothing_queues(qtbot, latest):
    held, got = Held(), []
    latest.ready.connect(lambda key, serial, value: got.append((serial, value)))
    first = latest.submit("epsilon", held, 0)
    held.entered.acquire()
    serials = [latest.submit("epsilon", held, value) for value in range(1, 200)]
    held.leave.release()
    qtbot.waitUntil(lambda: got == [(first, 0)])  # though a newer one waits: a moving slider has to show something
    with qtbot.waitSignal(latest.idle):
        held.leave.release()
    assert held.asked == [0, 199]
    assert got == [(first, 0), (serials[-1], 199)]


def test_that_keys_do_not_push_each_other_out(qtbot, latest):
    got = {}
    latest.ready.connect(lambda key, serial, value: got.update({key: value}))
    with qtbot.waitSignal(latest.idle):
        for key in "abc":
            latest.submit(key, str.upper, key)
    qtbot.waitUntil(lambda: got == {"a": "A", "b": "B", "c": "C"})


def test_that_a_forgotten_key_delivers_nothing_more(qtbot, latest):
    held, got = Held(), []
    latest.ready.connect(lambda key, serial, value: got.append(value))
    latest.submit("shape", held, "old, running")
    held.entered.acquire()
    latest.submit("shape", held, "old, waiting")
    latest.forget("shape")
    with qtbot.waitSignal(latest.idle):
        latest.submit("shape", held, "new")
        held.leave.release(3)
    assert held.asked == ["old, running", "new"]
    assert got == ["new"]


def test_that_an_error_is_told_and_the_next_request_still_served(qtbot, latest):
    failures, got = [], []
    latest.failed.connect(lambda *told: failures.append(told))
    latest.ready.connect(lambda *told: got.append(told))
    serial = latest.submit("cloud", lambda: _raise(ValueError("epsilon is -1; it must not be negative")))
    qtbot.waitUntil(lambda: bool(failures))
    assert failures[0][:3] == ("cloud", serial, "Epsilon is -1; it must not be negative.")
    assert "ValueError" in failures[0][3]
    after = latest.submit("cloud", lambda: "fine")
    qtbot.waitUntil(lambda: got == [("cloud", after, "fine")])


def test_that_results_arrive_in_the_gui_thread(qtbot, latest):
    threads = {}
    latest.ready.connect(lambda key, serial, value: threads.update(gui=threading.current_thread(), work=value))
    latest.submit("thread", threading.current_thread)
    qtbot.waitUntil(lambda: bool(threads))
    assert threads["gui"] is threading.main_thread()
    assert threads["work"] is not threading.main_thread()


def test_that_a_closed_worker_takes_and_delivers_nothing(qtbot):
    latest, got = Latest(), []
    latest.ready.connect(lambda *told: got.append(told))
    latest.submit("value", int, "3")
    assert latest.close()
    latest.submit("value", int, "4")
    qtbot.wait(20)
    assert not got
    assert not latest.isRunning()


def test_that_a_worker_does_not_keep_the_last_arrays_alive(qtbot, latest):
    class Cloud:
        pass

    cloud = Cloud()
    gone = weakref.ref(cloud)
    with qtbot.waitSignal(latest.idle):
        latest.submit("cloud", id, cloud)
    del cloud
    qtbot.waitUntil(lambda: gone() is None)


# --- the meter ------------------------------------------------------------------------------------------------------


def test_that_the_meter_tells_rate_and_time_left_of_steady_work():
    meter = Meter()
    assert (meter.fraction, meter.rate, meter.seconds_left) == (None, None, None)
    for second in range(1, 11):
        meter.add(68 * second, 6800, float(second))
    assert meter.fraction == pytest.approx(0.1)
    assert meter.rate == pytest.approx(68)
    assert meter.seconds_left == pytest.approx(90)


def test_that_the_meter_forgets_how_fast_the_work_once_was():
    meter = Meter()
    for second in range(300):
        meter.add(second * (100 if second < 150 else 0) + (second >= 150) * (15_000 + second), 100_000, float(second))
    assert meter.rate == pytest.approx(1.0)


def test_that_a_new_phase_is_measured_anew():
    meter = Meter()
    meter.add(1, 2, 1.0)
    meter.add(2, 2, 2.0)
    meter.add(10, 1000, 3.0)
    assert meter.rate is None
    meter.add(20, 1000, 4.0)
    assert meter.rate == pytest.approx(10)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50), st.floats(0, 100)), max_size=40))
def test_that_no_report_breaks_the_meter(reports):
    meter, at = Meter(), 0.0
    for done, total, seconds in reports:
        at += seconds
        meter.add(done, total, at)
        assert meter.fraction is None or 0 <= meter.fraction <= 1
        assert meter.rate is None or meter.rate > 0
