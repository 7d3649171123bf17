"""The Train workspace: a training is started, paused, stopped, cancelled, resumed, and its model loaded."""

import itertools
import json
import re
from datetime import datetime

import pytest
from PySide6.QtCore import Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QMessageBox, QToolButton, QWidget

from app.shell import settings
from app.shell.progress import Status
from core.events import Cancel, Note
from core.models import ARCHITECTURES
from core.models.checkpoints import read_card
from core.training import TrainOptions, train
from tests.app.window_fixtures import open_window


def begin(person, epochs=1000):
    """Fill in the form of the Train workspace, press Train, and return the job."""
    panel = person.show_workspace("train")
    for field, value in {"epochs": epochs, "clouds": 16, "batch_size": 8, "points": 32}.items():
        person.type_option(panel.form, field, str(value))
    person.click(panel.start)
    assert panel.job is not None
    return panel.job


def first_epoch(person):
    person.wait_until(lambda: "Epoch" in person.window.workspaces["train"].status.text(), "the first epoch")


def end(person):
    """Cancel a training that is still running, and those that wait."""
    panel = person.window.workspaces["train"]
    for run in panel.runs._queued:
        panel._take_out_of_queue(run)
    if panel.job is not None:
        person.window.workspaces["train"].job.cancel()
        person.wait_until(lambda: person.window.workspaces["train"].job is None, "the end of the training")


@pytest.fixture(autouse=True)
def ended(request):
    yield
    if "shared_window" in request.fixturenames:
        end(request.getfixturevalue("shared_window"))


def load(person):
    """Load the model of the selected run, which is that of the last training."""
    panel = person.window.workspaces["train"]
    person.wait_until(panel.load.isVisible, "the run in the list")
    person.click(panel.load)
    person.wait_until(lambda: person.store.primary == panel._folder.name, "the trained model")


def listed(person, state):
    """Wait until the run of the last training is in the list in this state; return its summary."""
    panel = person.window.workspaces["train"]

    def found():
        return [run for run in panel.runs.runs if run.folder == panel._folder and run.state == state]

    person.wait_until(found, f"the run, {state}")
    return found()[0]


def answer(text):
    """Press a button of the message box that opens next."""

    def press():
        box = QApplication.activeModalWidget()
        assert isinstance(box, QMessageBox)
        next(button for button in box.buttons() if button.text() == text).click()

    QTimer.singleShot(0, press)


def test_two_epochs_are_trained_and_the_model_is_loaded(person):
    panel = person.window.workspaces["train"]
    begin(person, epochs=2)
    assert panel.start.isHidden()
    assert panel.form.isEnabled(), "the next one can be prepared"
    person.wait_until(lambda: panel.job is None, "two epochs")
    assert panel.status.text().startswith("Finished. Best epoch:")
    run = panel._folder
    assert run.parent == settings.runs_dir()
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 2
    load(person)
    assert person.store.primary_model.card.title.startswith("simple · shapes16 · ")
    assert len(person.wait_for_scene().setup.models) == len(person.shipped) + 1


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == "dgcnn" else pytest.mark.long) for name in ARCHITECTURES]
)
def test_every_architecture_is_trained_with_its_own_options_and_attacked(person, name):
    panel = person.show_workspace("train")
    person.choose(panel.form.findChild(QWidget, "model"), name)
    assert [key for key, form in panel.model_forms.items() if form.isVisible()] == [name]
    person.type_option(panel.model_forms[name], "dropout", "0.25")
    begin(person, epochs=2)
    person.wait_until(lambda: panel.job is None, "two epochs")
    run = panel._folder
    card = read_card(run / "best.safetensors")
    assert (card.architecture, card.options["dropout"]) == (name, 0.25)
    load(person)
    person.choose_pgd(steps=2)
    person.press(Qt.Key.Key_R)
    person.press(Qt.Key.Key_N)
    person.wait_until(lambda: person.store.scene.step == 1 == person.store.position, "a step of the attack")
    assert 0 < person.store.scene.distances.linf <= person.store.epsilon + 1e-6
    person.type_option(panel.model_forms[name], "dropout", "-1")
    assert panel.options is None
    person.type_option(panel.model_forms[name], "dropout", "0.25")
    person.choose(panel.form.findChild(QWidget, "model"), "pointnet")


@pytest.mark.long
def test_a_fresh_discriminator_is_fitted_on_the_latents_of_the_run(person):
    panel = person.window.workspaces["train"]
    begin(person, epochs=1)
    person.wait_until(lambda: panel.job is None, "the epoch")
    person.wait_until(panel.probe.isVisible, "the run in the list")
    person.click(panel.probe)
    assert panel.job.title == "fitting a fresh discriminator"
    assert panel.probe.isHidden()
    person.wait_until(lambda: panel.job is None, "the discriminator")
    rate = r"[\d.]+ % \([\d.]+ to [\d.]+ %\) in"
    said = rf"A fresh discriminator is right about {rate} eval mode; {rate} train mode.* apart; {rate} train mode.* one"
    assert re.match(said, panel.status.text())
    assert not panel.load.isHidden(), "the run can still be loaded"


def test_before_the_first_epoch_a_training_says_that_it_is_prepared(person):
    panel = person.window.workspaces["train"]
    begin(person)
    assert panel.status.text() == "Preparing…"
    first_epoch(person)
    assert "Preparing" not in panel.status.text()


def test_the_job_strip_tells_the_speed_of_a_training_and_the_time_that_is_left(person):
    panel, strip = person.window.workspaces["train"], person.window.strip
    job = begin(person)
    person.wait_until(strip._left.text, "the time that is left")
    assert re.fullmatch(r"[\d.,]+ clouds/s", strip._rate.text())
    assert re.fullmatch(r"(\d+ h )?\d+ (s|min) left", strip._left.text())
    person.click(panel.pause)
    person.wait_until(lambda: job.suspended and not strip._left.text(), "the rest")
    assert strip._rate.text() == "", "a job that rests has no speed"
    person.click(panel.pause)
    person.wait_until(strip._rate.text, "the speed")


def test_a_training_is_paused_resumed_and_stopped_with_a_model(person):
    panel = person.window.workspaces["train"]
    job = begin(person)
    first_epoch(person)
    person.click(panel.pause)
    person.wait_until(lambda: job.suspended, "the rest")
    assert panel.pause.text() == "Resume"
    person.wait_until(lambda: "paused" in person.window.strip._text.text(), "the strip below to say so")
    done = job.meter.done
    person.click(panel.pause)
    person.wait_until(lambda: job.meter.done > done, "more training")
    person.click(panel.stop)
    person.wait_until(lambda: panel.job is None, "the end")
    assert job.status is Status.STOPPED
    assert panel.status.text().startswith("Stopped and kept.")
    assert listed(person, "stopped").can_go_on
    assert panel.load.isVisible()
    assert read_card(panel._folder / "best.safetensors").regime == "simple"


def test_a_cancelled_training_is_resumed_with_its_own_options(person):
    panel = person.window.workspaces["train"]
    begin(person, epochs=8)
    first_epoch(person)
    person.click(panel.cancel)
    person.wait_until(lambda: panel.job is None, "the end")
    assert panel.status.text().startswith("Cancelled.")
    run = listed(person, "stopped")
    assert len(run.history) < run.epochs == 8
    person.type_option(panel.form, "learning_rate", "0.5")
    person.click(panel.resume)
    person.wait_until(lambda: panel.job is None, "the other epochs")
    assert panel.status.text().startswith("Finished.")
    assert panel._folder == run.folder
    assert len(listed(person, "finished").history) == 8
    assert panel.resume.isHidden()
    person.type_option(panel.form, "learning_rate", "0.001")


def test_a_training_cancelled_in_the_queue_cannot_be_resumed(person):
    panel, jobs, token = person.window.workspaces["train"], person.window.jobs, Cancel()
    others = [jobs.submit("endless", lambda: itertools.repeat(Note("")), token) for _ in range(2)]
    job = begin(person)
    assert job.status is Status.QUEUED
    assert not panel.pause.isEnabled()
    person.click(panel.cancel)
    assert panel.status.text() == "Cancelled before anything was trained."
    assert panel.resume.isHidden()
    assert panel._folder not in {run.folder for run in panel.runs.runs}
    for other in others:
        other.cancel()
    person.wait_until(lambda: not jobs.jobs, "the end of the others")


def test_the_job_strip_pauses_stops_and_cancels_the_training(person):
    job = begin(person)
    first_epoch(person)
    assert "training simple" in person.window.strip._text.text()
    person.click(person.find(QToolButton, "Pause"))
    person.wait_until(lambda: job.suspended, "the rest")
    person.click(person.find(QToolButton, "Resume"))
    person.wait_until(lambda: not job.suspended, "the work")
    answer("Go on")
    person.click(person.find(QToolButton, "Cancel"))
    assert job.status is Status.RUNNING
    answer("Cancel it")
    person.click(person.find(QToolButton, "Cancel"))
    person.wait_until(lambda: job.status is Status.CANCELLED, "the end")
    job = begin(person)
    first_epoch(person)
    person.click(person.find(QToolButton, "Stop and keep"))
    person.wait_until(lambda: job.status is Status.STOPPED, "the end")
    assert person.window.workspaces["train"].job is None


def test_runs_started_in_the_same_second_have_different_folders(monkeypatch):
    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2026, 1, 2, 3, 4, 5, tzinfo=tz)

    monkeypatch.setattr(settings, "datetime", Clock)
    names = []
    for _ in range(3):
        folder = settings.new_folder(settings.runs_dir(), "toys-simple")
        folder.mkdir(parents=True)
        names.append(folder.name)
    assert names == [f"20260102-030405-toys-simple{end}" for end in ("", "-2", "-3")]


def test_a_training_is_suspended_while_the_slider_is_held(person):
    job = begin(person)
    first_epoch(person)
    person.press_slider(0.1)
    person.wait_until(lambda: job.suspended and not job._queue, "the rest, and what was done before it")
    person.drag_slider(0.2)
    done = job.meter.done
    person.drag_slider(0.25)
    assert job.suspended
    assert job.meter.done == done
    person.release_slider()
    person.wait_until(lambda: job.meter.done > done, "more training")
    assert job.status is Status.RUNNING


def test_the_window_responds_while_it_trains(person):
    job = begin(person)
    person.choose(person.window.library.classes, "mug")
    person.press(Qt.Key.Key_PageDown, Qt.KeyboardModifier.ControlModifier)
    person.wait_until(lambda: person.store.cloud.class_name == "mug", "the mug")
    person.wait_for_scene()
    assert job.status is Status.RUNNING


def test_invalid_options_are_explained_and_start_no_training(person):
    panel = person.show_workspace("train")
    person.type_option(panel.form, "epochs", "0")
    problems = [label.text() for label in panel.form.findChildren(QLabel) if label.isVisible()]
    assert "Must be at least 1." in problems
    QTest.mouseClick(panel.start, Qt.MouseButton.LeftButton)
    assert panel.job is None
    person.type_option(panel.form, "epochs", "2")
    person.type_option(panel.form, "points", "4096")
    person.click(panel.start)
    person.wait_until(lambda: panel.job is None, "the refusal")
    (text,) = person.pop_errors()
    assert text.startswith("Points: ")
    assert panel.error.text() == text
    assert panel.error.isVisible()
    assert panel.load.isHidden()
    person.type_option(panel.form, "points", "32")


def test_before_it_ends_a_training_the_window_asks(person, monkeypatch):
    asked = []
    monkeypatch.setattr("app.shell.window.ask", lambda _, *words: asked.append(words))  # None: stay
    begin(person)
    first_epoch(person)
    panel = person.window.workspaces["train"]
    person.window.close()
    assert person.window.isVisible()
    assert panel.job is not None
    ((title, text, yes, no),) = asked
    assert title == "Stop training simple and close?"
    assert "can be resumed" in text
    assert (yes, no) == ("Stop and keep", "Stay")
    person.click(panel.stop)
    person.wait_until(lambda: panel.job is None, "the end")


def test_a_closed_window_ends_its_training_and_leaves_a_run_to_resume(shapes, tmp_path):
    with open_window(shapes, tmp_path) as person:
        begin(person)
        first_epoch(person)
        run, dataset = person.window.workspaces["train"]._folder, person.store.dataset
        person.window.close()
        assert not person.window.jobs.jobs
        assert person.window.isHidden()
    assert json.loads((run / "options.json").read_text())["complete"] is False
    finished = len((run / "metrics.jsonl").read_text().splitlines())
    assert finished >= 1
    more = list(train(dataset, TrainOptions(epochs=finished + 1), run, resume=True))
    assert more[-1].value.epochs == finished + 1
