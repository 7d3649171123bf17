"""The job strip: what it shows of the current job, its buttons, and that its layout does not move."""

import threading

import pytest
from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import QApplication, QLabel, QProgressBar, QToolButton, QVBoxLayout, QWidget

from app.jobs import JobList
from app.shell import jobstrip, theme
from app.shell.jobstrip import JobStrip, rate, time_left
from app.shell.progress import Status
from core.events import Cancel, Done, Note, Progress


@pytest.fixture
def jobs(qapp):
    jobs = JobList()
    yield jobs
    assert jobs.close()


@pytest.fixture
def strip(jobs, qtbot, monkeypatch):
    monkeypatch.setattr(jobstrip, "REFRESH_MS", 10)
    window = QWidget()
    qtbot.addWidget(window)
    theme.set_role(window, "panel")
    column = QVBoxLayout(window)
    column.setContentsMargins(0, 0, 0, 0)
    strip = JobStrip(jobs)
    column.addStretch()
    column.addWidget(strip)
    window.resize(1280, 120)
    window.show()
    yield strip
    jobs.close()


class GatedJob:
    """A job of a hundred clouds; each step waits for its semaphore ``gate``."""

    def __init__(self, jobs, title="training defense", note="", **kind):
        self.gate, self.cancel = threading.Semaphore(0), Cancel()
        self.job = jobs.submit(title, lambda: self.work(note), self.cancel, "clouds", **kind)

    def work(self, note):
        done = 0
        if note:
            yield Note(note)
        while done < 100 and not self.cancel.requested:
            while not self.gate.acquire(timeout=0.05):
                if self.cancel.requested:
                    break
            else:
                done += 1
                yield Progress(done, 100, "epoch 12/40")
        yield Done(done, complete=done == 100)


def shown(strip):
    return strip._text.text()


def button(strip, text):
    return next(b for b in strip.findChildren(QToolButton) if text in (b.text(), b.accessibleName()))


def click(qtbot, widget):
    qtbot.mouseClick(widget, Qt.MouseButton.LeftButton)


def places(strip):
    widgets = [*strip.findChildren(QToolButton), strip._bar, strip._percent, strip._rate, strip._left]
    return [widget.geometry() for widget in widgets]


def test_that_without_jobs_a_text_says_so_and_no_button_is_shown(strip):
    assert shown(strip) == "No job is running."
    assert not any(b.isVisible() for b in strip.findChildren(QToolButton))
    assert strip.height() == 28


def test_that_it_shows_title_text_and_progress(strip, jobs, qtbot):
    steps = GatedJob(jobs)
    steps.gate.release(31)
    qtbot.waitUntil(lambda: strip._percent.text() == "31\u2009%")
    assert shown(strip) == "training defense · epoch 12/40"
    assert strip.findChild(QProgressBar).value() == 310


def test_that_no_widget_moves_from_no_job_to_three_jobs_to_none(strip, jobs, qtbot):
    empty = places(strip)
    many = [GatedJob(jobs, f"job {index}") for index in range(3)]
    many[0].gate.release(99)
    qtbot.waitUntil(lambda: strip._percent.text() == "99\u2009%")
    assert places(strip) == empty
    jobs.close()
    qtbot.waitUntil(lambda: "kept" in shown(strip))
    assert places(strip) == empty


def test_that_it_says_nothing_of_the_end_of_a_silent_job(strip, jobs, qtbot):
    with qtbot.waitSignal(jobs.emptied):
        GatedJob(jobs, "looking which way is up", silent=True).gate.release(100)
    assert shown(strip) == "No job is running."


def test_that_a_job_without_progress_shows_its_note(strip, jobs, qtbot):
    GatedJob(jobs, note="loading data…")
    qtbot.waitUntil(lambda: shown(strip) == "training defense · loading data…")
    assert strip._bar.maximum() == 0  # busy
    assert strip._percent.text() == ""


def test_that_pause_says_pausing_until_the_step_is_over_and_resume_goes_on(strip, jobs, qtbot):
    steps = GatedJob(jobs)
    steps.gate.release(5)
    qtbot.waitUntil(lambda: steps.job.meter.done == 5)
    click(qtbot, button(strip, "Pause"))
    assert shown(strip) == "training defense · pausing…"
    steps.gate.release(1)
    qtbot.waitUntil(lambda: shown(strip) == "training defense · paused")
    assert strip._left.text() == ""
    click(qtbot, button(strip, "Resume"))
    steps.gate.release(1)
    qtbot.waitUntil(lambda: steps.job.meter.done == 7)
    assert button(strip, "Pause").isEnabled()


def test_that_stop_and_keep_shows_stopping_and_then_how_it_ended(strip, jobs, qtbot):
    steps, kept = GatedJob(jobs), []
    steps.job.stopped.connect(kept.append)
    steps.gate.release(5)
    qtbot.waitUntil(lambda: steps.job.meter.done == 5)
    click(qtbot, button(strip, "Stop and keep"))
    assert shown(strip) == "training defense · stopping…"
    assert not button(strip, "Stop and keep").isEnabled()
    assert not button(strip, "Cancel").isEnabled()
    qtbot.waitUntil(lambda: kept == [5])
    assert shown(strip) == "Training defense was stopped; what it had is kept."


@pytest.mark.parametrize(("answer", "ends"), [("Cancel it", True), ("Go on", False)])
def test_that_cancel_asks_first(strip, jobs, qtbot, answer, ends):
    steps = GatedJob(jobs)

    def press():
        click(qtbot, next(b for b in QApplication.activeModalWidget().buttons() if b.text() == answer))

    QTimer.singleShot(0, press)
    click(qtbot, button(strip, "Cancel"))
    steps.gate.release(1)
    if ends:
        qtbot.waitUntil(lambda: steps.job.status is Status.CANCELLED)
        assert shown(strip) == "Training defense was cancelled."
    else:
        qtbot.waitUntil(lambda: steps.job.meter.done == 1)


def test_that_a_failure_is_shown_in_the_strip(strip, jobs, qtbot):
    def work():
        yield Progress(1, 2)
        raise ValueError("the loss is not finite")

    jobs.submit("t-SNE", work, Cancel())
    qtbot.waitUntil(lambda: shown(strip) == "T-SNE failed; the log has the details.")


def test_that_another_job_can_be_selected_and_a_queued_one_is_cancelled_without_a_question(strip, jobs, qtbot):
    first, _, third = (GatedJob(jobs, title) for title in ("first", "second", "third"))
    assert shown(strip) == "first"
    more = button(strip, "+2 more")
    more.menu().aboutToShow.emit()
    assert [action.text() for action in more.menu().actions()] == ["second", "third · waits for its turn"]
    more.menu().actions()[1].trigger()
    assert shown(strip) == "third · waits for its turn"
    click(qtbot, button(strip, "Cancel"))
    assert third.job.status is Status.CANCELLED
    assert strip.current is first.job
    assert more.text() == "+1 more"


def test_that_a_long_line_is_cut_and_complete_in_the_tooltip(strip, jobs, qtbot):
    title = "training " + "a very long name " * 20
    GatedJob(jobs, title)
    assert shown(strip).endswith("…")
    assert strip.findChild(QLabel).toolTip() == title


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "almost done"),
        (45, "45 s left"),
        (89.4, "89 s left"),
        (100, "2 min left"),
        (14 * 60, "14 min left"),
        (5400, "1 h 30 min left"),
        (3600 * 5 + 59, "5 h 1 min left"),
        (3600 * 72, "3 days left"),
    ],
)
def test_that_the_time_left_is_written_in_words(seconds, text):
    assert time_left(seconds) == text


@pytest.mark.parametrize(
    ("pieces", "text"),
    [(68.04, "68.0 clouds/s"), (3.2, "3.20 clouds/s"), (1234.5, "1,234 clouds/s"), (0.25, "4.00 s each")],
)
def test_that_a_rate_has_three_digits(pieces, text):
    assert rate(pieces, "clouds") == text


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_that_the_strip_looks_as_it_should_in_both_schemes(qapp, strip, jobs, qtbot, shot, scheme):
    theme.apply(qapp, scheme)
    steps, _ = GatedJob(jobs), GatedJob(jobs, "t-SNE map")
    steps.gate.release(31)
    qtbot.waitUntil(lambda: strip._percent.text() == "31\u2009%")
    strip._rate.setText("68.0 clouds/s")
    strip._left.setText("14 min left")
    shot(strip.window(), f"jobstrip-{scheme}")


def test_that_an_immediate_job_is_shown_before_the_others(strip, jobs):
    GatedJob(jobs)
    wanted = GatedJob(jobs, "attack of 2,000 steps", immediate=True)
    assert strip.current is wanted.job
    assert shown(strip).startswith("attack of 2,000 steps")
