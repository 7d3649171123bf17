"""What can't be used is refused in a sentence, and the window goes on working."""

import os

import numpy as np

from core.clouds.files import write_cloud
from core.events import Epoch
from core.models.checkpoints import load_model
from core.runtime.locks import locked_folder
from core.training import TrainOptions, summarise, train
from tests.core.overflowing import overflowing_model

OVERFLOWS = "The model burnt gives logits that are not finite numbers for 1 of 1 cloud, because it overflows"


def test_weights_that_overflow_are_not_opened_and_the_others_go_on(person, tmp_path):
    before = person.wait_for_scene().setup.models
    person.window.opener.open_path(overflowing_model(tmp_path / "burnt.safetensors", person.store.classes))
    person.wait_until(lambda: any(OVERFLOWS in said for said in person.messages()), "the refusal")
    assert len(person.pop_errors()) == 1
    person.window.controller.drag(0.2)
    person.window.controller.release(0.2)
    assert person.wait_for_scene().setup.models == before


def test_a_model_that_overflows_at_a_shape_is_named_and_once_it_is_hidden_the_others_go_on(person, tmp_path):
    before = person.wait_for_scene().setup.models
    burnt = load_model(overflowing_model(tmp_path / "burnt.safetensors", person.store.classes))
    person.store.add_model(burnt)
    person.wait_until(lambda: any(OVERFLOWS in said for said in person.messages()), "the complaint")
    person.pop_errors()
    assert person.store.scene is None, "nothing is shown that was not computed"
    person.store.set_shown("burnt", False)
    assert person.wait_for_scene().setup.models == before
    assert not person.pop_errors()


def test_a_run_that_another_process_trains_is_not_trained_here_as_well(person, tmp_path):
    panel, folder = person.show_workspace("train"), tmp_path / "run"
    events = train(person.store.dataset, TrainOptions(clouds=16, batch_size=8, points=32), folder)
    next(event for event in events if isinstance(event, Epoch))
    events.close()
    stopped = summarise(folder)
    with locked_folder(folder):
        panel.runs.resumeRequested.emit(stopped)
        person.wait_until(lambda: panel.job is None, "the refusal")
    assert "run is in use by another job of this program" in panel.error.text()
    assert len(person.pop_errors()) == 1
    assert summarise(folder) == stopped


def test_a_file_whose_name_is_not_utf8_is_opened_and_shown_escaped(person, tmp_path):
    path = tmp_path / os.fsdecode(b"st\xfchl.ply")
    write_cloud(path, np.random.default_rng(0).normal(size=(100, 3)).astype(np.float32))
    person.window.opener.open_path(path)
    person.wait_until(lambda: person.store.cloud.name == r"st\xfchl", "the cloud")
    person.wait_for_scene()
    assert person.window.windowTitle() == r"st\xfchl – Pointward"
    path.write_bytes(b"nothing")
    person.window.opener.open_path(path)
    person.wait_until(person.messages, "the refusal")
    assert r"st\xfchl.ply" in person.pop_errors()[0]
