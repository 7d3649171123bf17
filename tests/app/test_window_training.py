"""The Train tab: a model is trained beside the slider, paused, stopped, cancelled, loaded."""

import itertools
import json
import re
from datetime import datetime

import pytest
from PySide6.QtCore import Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QMessageBox, QToolButton

from app.shell import settings
from app.shell.progress import Status
from app.workspaces import training
from core.events import Cancel, Note
from core.models.checkpoints import read_card
from core.training import TrainOptions, train
from tests.app.studio_window import opened, person, seat, shapes

__all__ = ["person", "seat", "shapes"]


def begin(person, epochs=1000):
    """Fill in the form of the Train tab and press Train; the job."""
    panel, tabs = person.window.training, person.window.work.tabBar()
    QTest.mouseClick(tabs, Qt.MouseButton.LeftButton, pos=tabs.tabRect(0).center())
    for field, value in {"epochs": epochs, "clouds": 16, "batch_size": 8, "points": 32}.items():
        person.type_option(panel.form, field, str(value))
    person.click(panel.start)
    assert panel.job is not None
    return panel.job


def first_epoch(person):
    person.until(lambda: "Epoch" in person.window.training.status.text(), "the first epoch")


def end(person):
    """However a test ends, its training does too."""
    if person.window.training.job is not None:
        person.window.training.job.cancel()
        person.until(lambda: person.window.training.job is None, "the end of the training")


@pytest.fixture(autouse=True)
def ended(request):
    yield
    if "seat" in request.fixturenames:
        end(request.getfixturevalue("seat"))


def answer(text):
    """Press a button of the question that is about to be asked."""

    def press():
        box = QApplication.activeModalWidget()
        assert isinstance(box, QMessageBox)
        next(button for button in box.buttons() if button.text() == text).click()

    QTimer.singleShot(0, press)


def test_two_epochs_are_trained_and_the_model_judges_beside_the_others(person):
    panel = person.window.training
    begin(person, epochs=2)
    assert panel.start.isHidden()
    assert not panel.form.isEnabled()
    person.until(lambda: panel.job is None, "two epochs")
    assert panel.status.text().startswith("Finished. Best epoch:")
    run = panel._folder
    assert run.parent == settings.runs_dir()
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 2
    person.click(panel.load)
    person.until(lambda: person.store.primary == run.name, "the trained model")
    assert len(person.settle().setup.models) == len(person.shipped) + 1


def test_a_fresh_discriminator_is_tried_on_the_latents_of_the_run(person):
    panel = person.window.training
    begin(person, epochs=1)
    person.until(lambda: panel.job is None, "the epoch")
    person.click(panel.probe)
    assert panel.job.title == "fitting a fresh discriminator"
    assert panel.probe.isHidden()
    person.until(lambda: panel.job is None, "the discriminator")
    rate = r"[\d.]+ % \([\d.]+ to [\d.]+ %\) in"
    said = rf"A fresh discriminator is right about {rate} eval mode; {rate} train mode.* apart; {rate} train mode.* one"
    assert re.match(said, panel.status.text())
    assert not panel.load.isHidden(), "the run can still be loaded"


def test_training_pauses_goes_on_and_keeps_what_it_has(person):
    panel = person.window.training
    job = begin(person)
    first_epoch(person)
    person.click(panel.pause)
    person.until(lambda: job.resting, "the rest")
    assert panel.pause.text() == "Resume"
    person.until(lambda: "paused" in person.window.strip._text.text(), "the strip below to say so")
    done = job.meter.done
    person.click(panel.pause)
    person.until(lambda: job.meter.done > done, "more training")
    person.click(panel.stop)
    person.until(lambda: panel.job is None, "the end")
    assert job.status is Status.STOPPED
    assert panel.status.text().startswith("Stopped and kept.")
    assert panel.load.isVisible()
    assert read_card(panel._folder / "best.safetensors").regime == "simple"


def test_a_cancelled_training_offers_no_model_and_can_be_resumed(person):
    panel = person.window.training
    begin(person)
    first_epoch(person)
    run = panel._folder
    person.click(panel.cancel)
    person.until(lambda: panel.job is None, "the end")
    assert panel.status.text().startswith("Cancelled.")
    assert panel.load.isHidden()
    finished = len((run / "metrics.jsonl").read_text().splitlines())
    person.type_option(panel.form, "epochs", str(finished + 1))
    person.click(panel.resume)
    person.until(lambda: panel.job is None, "one epoch more")
    assert panel.status.text().startswith("Finished.")
    assert panel._folder == run
    assert len((run / "metrics.jsonl").read_text().splitlines()) == finished + 1
    assert panel.resume.isHidden()


def test_a_run_that_cannot_go_on_as_the_form_says_is_still_offered(person):
    panel = person.window.training
    begin(person)
    first_epoch(person)
    person.click(panel.stop)
    person.until(lambda: panel.job is None, "the end")
    person.type_option(panel.form, "learning_rate", "0.5")
    person.click(panel.resume)
    person.until(lambda: panel.job is None, "the refusal")
    (text,) = person.complaints()
    assert "can't go on with 0.5" in text
    assert panel.resume.isVisible()
    person.type_option(panel.form, "learning_rate", "0.001")


def test_a_training_that_never_began_leaves_nothing_to_resume(person):
    panel, jobs, token = person.window.training, person.window.jobs, Cancel()
    others = [jobs.submit("endless", lambda: itertools.repeat(Note("")), token) for _ in range(2)]
    job = begin(person)
    assert job.status is Status.QUEUED
    assert not panel.pause.isEnabled()
    person.click(panel.cancel)
    assert panel.status.text() == "Cancelled before anything was trained."
    assert panel.resume.isHidden()
    for other in others:
        other.cancel()
    person.until(lambda: not jobs.jobs, "the end of the others")


def test_the_strip_below_pauses_stops_and_cancels_after_a_question(person):
    job = begin(person)
    first_epoch(person)
    assert "training simple" in person.window.strip._text.text()
    person.click(person.named(QToolButton, "Pause"))
    person.until(lambda: job.resting, "the rest")
    person.click(person.named(QToolButton, "Resume"))
    person.until(lambda: not job.resting, "the work")
    answer("Go on")
    person.click(person.named(QToolButton, "Cancel"))
    assert job.status is Status.RUNNING
    answer("Cancel it")
    person.click(person.named(QToolButton, "Cancel"))
    person.until(lambda: job.status is Status.CANCELLED, "the end")
    job = begin(person)
    first_epoch(person)
    person.click(person.named(QToolButton, "Stop and keep"))
    person.until(lambda: job.status is Status.STOPPED, "the end")
    assert person.window.training.job is None


def test_runs_that_begin_in_one_second_have_folders_of_their_own(monkeypatch):
    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2026, 1, 2, 3, 4, 5, tzinfo=tz)

    monkeypatch.setattr(training, "datetime", Clock)
    names = []
    for _ in range(3):
        folder = training._fresh_folder("toys-simple")
        folder.mkdir(parents=True)
        names.append(folder.name)
    assert names == [f"20260102-030405-toys-simple{end}" for end in ("", "-2", "-3")]


def test_training_rests_while_the_slider_is_held(person):
    job = begin(person)
    first_epoch(person)
    person.take(0.1)
    person.until(lambda: job.resting and not job._queue, "the rest, and what was done before it")
    person.pull(0.2)
    done = job.meter.done
    person.pull(0.25)
    assert job.resting
    assert job.meter.done == done
    person.let_go()
    person.until(lambda: job.meter.done > done, "more training")
    assert job.status is Status.RUNNING


def test_the_window_answers_while_it_trains(person):
    job = begin(person)
    person.choose(person.window.library.classes, "mug")
    person.press(Qt.Key.Key_PageDown, Qt.KeyboardModifier.ControlModifier)
    person.until(lambda: person.store.cloud.class_name == "mug", "the mug")
    person.settle()
    assert job.status is Status.RUNNING


def test_wrong_options_are_explained_and_do_not_start(person):
    panel = person.window.training
    person.type_option(panel.form, "epochs", "0")
    problems = [label.text() for label in panel.form.findChildren(QLabel) if label.isVisible()]
    assert "Must be at least 1." in problems
    QTest.mouseClick(panel.start, Qt.MouseButton.LeftButton)
    assert panel.job is None
    person.type_option(panel.form, "epochs", "2")
    person.type_option(panel.form, "points", "4096")
    person.click(panel.start)
    person.until(lambda: panel.job is None, "the refusal")
    (text,) = person.complaints()
    assert text.startswith("Points: ")
    assert panel.status.text() == text
    assert panel.load.isHidden()


def test_a_closed_window_ends_its_training_and_leaves_a_run_to_resume(shapes, tmp_path):
    with opened(shapes, tmp_path) as person:
        begin(person)
        first_epoch(person)
        run, dataset = person.window.training._folder, person.store.dataset
        person.window.close()
        assert not person.window.jobs.jobs
        assert person.window.isHidden()
    assert json.loads((run / "options.json").read_text())["complete"] is False
    finished = len((run / "metrics.jsonl").read_text().splitlines())
    assert finished >= 1
    more = list(train(dataset, TrainOptions(epochs=finished + 1), run, resume=True))
    assert more[-1].value.epochs == finished + 1
