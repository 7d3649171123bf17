"""What can't be used is refused in a sentence, and the window goes on working."""

import os

import numpy as np

from core.clouds.files import write_cloud
from core.models.checkpoints import load_model
from core.runtime.locks import locked_folder
from tests.app.studio_window import person, seat, shapes
from tests.core.overflowing import overflowing_model

__all__ = ["person", "seat", "shapes"]

OVERFLOWS = "The model burnt gives logits that are not finite numbers for 1 of 1 cloud, because it overflows"


def test_weights_that_overflow_are_not_opened_and_the_others_go_on(person, tmp_path):
    before = person.settle().setup.models
    person.window.opener.path(overflowing_model(tmp_path / "burnt.safetensors", person.store.classes))
    person.until(lambda: any(OVERFLOWS in said for said in person.said()), "the refusal")
    assert len(person.complaints()) == 1
    person.window.studio.drag(0.2)
    person.window.studio.release(0.2)
    assert person.settle().setup.models == before


def test_a_model_that_overflows_at_a_shape_is_named_and_once_it_is_hidden_the_others_go_on(person, tmp_path):
    before = person.settle().setup.models
    burnt = load_model(overflowing_model(tmp_path / "burnt.safetensors", person.store.classes))
    person.store.add_model(burnt)
    person.until(lambda: any(OVERFLOWS in said for said in person.said()), "the complaint")
    person.complaints()
    assert person.store.scene is None, "nothing is shown that was not computed"
    person.store.set_shown("burnt", False)
    assert person.settle().setup.models == before
    assert not person.complaints()


def test_a_run_that_another_process_trains_is_not_trained_here_as_well(person, tmp_path):
    panel = person.window.training
    with locked_folder(tmp_path / "run"):
        panel.begin(tmp_path / "run")
        person.until(lambda: panel.job is None, "the refusal")
    assert "run is in use by another job of this program" in panel.status.text()
    assert len(person.complaints()) == 1
    assert not (tmp_path / "run").exists()


def test_a_file_whose_name_is_not_utf8_is_opened_and_shown_escaped(person, tmp_path):
    path = tmp_path / os.fsdecode(b"st\xfchl.ply")
    write_cloud(path, np.random.default_rng(0).normal(size=(100, 3)).astype(np.float32))
    person.window.opener.path(path)
    person.until(lambda: person.store.cloud.name == r"st\xfchl", "the cloud")
    person.settle()
    assert person.window.windowTitle() == r"st\xfchl – Pointward"
    path.write_bytes(b"nothing")
    person.window.opener.path(path)
    person.until(person.said, "the refusal")
    assert r"st\xfchl.ply" in person.complaints()[0]
