"""The studio between the slider and core, without a window: what is asked, what is shown, what is dropped."""

import gc
import threading
import weakref
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from app.jobs import JobList
from app.shell.progress import Status
from app.stage.studio import Studio
from app.store import Store
from core import live
from core.attacks import preset
from core.clouds import Cloud
from core.events import Cancel, Done, Progress
from core.models import build
from core.models.checkpoints import LoadedModel, ModelCard

CLASSES = ("plate", "rod", "ring")


def model(name, classes=CLASSES):
    torch.manual_seed(len(name))
    card = ModelCard(
        name=name, title=name, architecture="pointnet", classes=classes, regime="simple", points=64, dataset="toys",
        fingerprint="0", up_axis="z", seed=0, epochs=0,
    )  # fmt: skip
    return LoadedModel(build("pointnet", len(classes)).eval(), card, "0")


@pytest.fixture
def desk(qapp, qtbot):
    """A store with one untrained model, and the studio that serves it."""
    store, jobs = Store(), JobList()
    studio = Studio(store, jobs)
    points = np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32)
    cloud = Cloud(points / np.linalg.norm(points, axis=1).max(), "scrap", 1, "rod")
    store.add_model(model("first"))
    store.set_attack("fgsm", preset("fgsm"), None)

    def settled():
        return store.scene is not None and not studio.busy and store.scene.epsilon == store.epsilon

    yield SimpleNamespace(store=store, jobs=jobs, studio=studio, cloud=cloud, settled=settled, until=qtbot.waitUntil)
    assert studio.close()
    assert jobs.close()


@pytest.fixture
def open_desk(desk):
    desk.store.set_cloud(desk.cloud)
    desk.until(desk.settled)
    return desk


@pytest.fixture
def slow(monkeypatch):
    """Every refit waits until it is let through; the epsilons of those that were started."""
    gate, started, refit = threading.Semaphore(0), [], live.refit

    def wait(scene, epsilon, *rest):
        started.append(epsilon)
        assert gate.acquire(timeout=60)
        return refit(scene, epsilon, *rest)

    monkeypatch.setattr(live, "refit", wait)
    yield SimpleNamespace(gate=gate, started=started)
    gate.release(100)


def test_nothing_is_asked_before_there_is_a_cloud(desk):
    assert desk.store.scene is None
    desk.studio.drag(0.2)
    desk.studio.step()
    desk.studio.toggle_play()
    desk.studio.release(0.2)
    assert desk.store.scene is None
    assert not desk.studio.playing
    assert not desk.studio.busy


def test_several_choices_of_one_moment_are_one_attack(desk):
    scenes = []
    desk.store.sceneChanged.connect(scenes.append)
    desk.store.set_cloud(desk.cloud)
    desk.store.add_model(model("second"))
    desk.store.set_attack("bim", preset("bim", steps=2), None)
    desk.until(desk.settled)
    desk.until(lambda: desk.store.outcome is not None)
    assert len(scenes) == 1
    assert len(scenes[0].setup.models) == 2
    assert scenes[0].step == 2


def test_a_class_is_known_by_its_name_and_not_by_its_number(open_desk):
    assert open_desk.store.scene.label == 1
    open_desk.store.add_model(model("other", ("ring", "plate", "rod")), primary=True)
    open_desk.until(lambda: open_desk.settled() and open_desk.store.scene.setup.classes[0] == "ring")
    assert open_desk.store.scene.label == 2


def test_a_frame_that_is_late_is_shown_while_the_slider_goes_on(open_desk, slow):
    open_desk.studio.press()
    open_desk.studio.drag(0.11)
    open_desk.until(lambda: slow.started == [0.11])
    for epsilon in (0.12, 0.13, 0.14):
        open_desk.studio.drag(epsilon)
    slow.gate.release()
    open_desk.until(lambda: open_desk.store.scene.epsilon == 0.11)
    open_desk.until(lambda: slow.started == [0.11, 0.14])  # those between were never computed
    slow.gate.release()
    open_desk.until(lambda: open_desk.store.scene.epsilon == 0.14)
    open_desk.studio.release(0.14)
    open_desk.until(open_desk.settled)


def test_a_frame_of_before_the_slider_was_let_go_is_not_shown_after(open_desk, slow):
    shown = []
    open_desk.studio.press()
    open_desk.studio.drag(0.2)
    open_desk.until(lambda: slow.started == [0.2])
    open_desk.store.sceneChanged.connect(lambda scene: shown.append(scene.epsilon))
    open_desk.studio.release(0.05)
    slow.gate.release()
    open_desk.until(open_desk.settled)
    open_desk.until(lambda: open_desk.store.outcome is not None)
    assert shown == [0.05]


def test_jobs_rest_while_the_slider_is_held_however_often_it_is_pressed(open_desk):
    cancel = Cancel()

    def work():
        count = 0
        while not cancel.requested:
            count += 1
            yield Progress(count, 0, "")
        yield Done(count, complete=False)

    job = open_desk.jobs.submit("counting", work, cancel)
    open_desk.studio.press()
    open_desk.studio.press()
    open_desk.until(lambda: job.resting)
    open_desk.studio.release(0.1)
    open_desk.until(lambda: not job.resting)
    job.stop_and_keep()
    open_desk.until(lambda: job.status.ended)


def test_steps_asked_for_faster_than_they_are_shown_follow_one_another(open_desk):
    store, studio = open_desk.store, open_desk.studio
    store.set_attack("pgd", preset("pgd", steps=3, restarts=0), None)
    open_desk.until(lambda: open_desk.settled() and len(store.history) == 4)
    studio.step_back()
    studio.step()
    studio.step()  # beyond the end, while the last state is not on the screen yet
    open_desk.until(lambda: store.position == 4 and store.scene.step == 4)
    assert [state.step for state in store.history] == [0, 1, 2, 3, 4]


def test_an_attack_under_way_is_not_played(open_desk):
    studio = open_desk.studio
    studio.run()
    studio.toggle_play()
    assert not studio.playing
    open_desk.until(open_desk.settled)


def test_at_rest_the_attack_is_made_at_every_epsilon_and_that_holds_for_all(open_desk):
    store, outcomes = open_desk.store, []
    store.outcomeChanged.connect(lambda outcome: outcomes.append(outcome and outcome.exact))
    store.set_attack("pgd", preset("pgd", steps=3), None)
    open_desk.until(lambda: store.outcome is not None and store.outcome.exact)
    assert outcomes == [None, False, True]
    found = store.outcome
    open_desk.studio.drag(0.2)
    open_desk.studio.release(0.2)
    open_desk.until(lambda: open_desk.settled() and store.scene.exact)
    assert store.outcome is found
    place = int(np.argmin(abs(found.epsilons - 0.2)))
    assert np.isclose(found.confidence[0, place], store.scene.adversarial[0, 1], atol=1e-4)


def test_a_person_does_not_wait_for_the_attack_at_every_epsilon(open_desk, monkeypatch):
    store, studio, started = open_desk.store, open_desk.studio, []
    sweep = live.attacked_outcome

    def never_ending(scene, epsilons, cancel, answers):
        started.append(cancel)
        while not cancel.requested and len(started) == 1:
            yield Progress(0, 1)
        if len(started) > 1:
            yield from sweep(scene, epsilons, cancel, answers)

    monkeypatch.setattr(live, "attacked_outcome", never_ending)
    store.set_attack("pgd", preset("pgd", steps=3, restarts=0), None)
    open_desk.until(lambda: bool(started))
    studio.step_back()
    open_desk.until(lambda: store.scene.step == 2)
    assert started[0].requested
    assert not store.outcome.exact
    open_desk.until(lambda: store.outcome.exact)  # it began again at the next rest
    assert store.scene.step == 2


def long_attack(desk, steps=2000):
    """Choose one and wait until it is under way; its job."""
    desk.store.set_attack("bim", preset("bim", steps=steps), None)
    desk.until(lambda: any(job.meter.done > 2 for job in desk.jobs.jobs))
    (job,) = desk.jobs.jobs
    assert desk.studio.busy
    return job


def test_a_long_attack_is_a_job_whose_steps_are_kept_when_it_is_stopped(open_desk):
    store = open_desk.store
    job = long_attack(open_desk)
    assert (job.title, job.unit, job.meter.total) == ("attack of 2,000 steps", "steps", 2000)
    job.stop_and_keep()
    open_desk.until(open_desk.settled)
    assert 2 < store.scene.step < 2000
    assert len(store.history) == store.scene.step + 1
    open_desk.studio.step()
    open_desk.until(lambda: store.scene.step == len(store.history) - 1 == store.position)
    open_desk.until(lambda: store.outcome is not None)
    assert not store.outcome.exact


def test_a_long_attack_that_is_dropped_leaves_the_clean_cloud_without_an_outcome(open_desk):
    store = open_desk.store
    job = long_attack(open_desk)
    open_desk.until(lambda: len(store.history) == 1)
    job.cancel()
    open_desk.until(open_desk.settled)
    assert store.scene.step == 0
    open_desk.until(lambda: not open_desk.studio._rest.isActive())
    assert store.outcome is None
    open_desk.studio.step()
    open_desk.until(lambda: store.scene.step == 1 and store.outcome is not None)
    assert store.outcome.holds_for(store.scene)


def test_while_a_long_attack_runs_the_chosen_shape_is_shown(open_desk):
    store = open_desk.store
    other = replace(open_desk.cloud, points=open_desk.cloud.points[::-1].copy(), name="other")
    long_attack(open_desk)
    store.set_cloud(other)
    open_desk.until(lambda: store.scene.setup.cloud.name == "other" and store.scene.step == 0)
    assert open_desk.studio.busy
    open_desk.studio.drag(0.2)
    assert not any(
        job.brief and not job.status.ended and job.status is not Status.STOPPING for job in open_desk.jobs.jobs
    )
    open_desk.until(lambda: store.scene.epsilon == 0.2)
    assert store.scene.setup.cloud.name == "other"


def test_a_long_attack_goes_on_whatever_else_is_shown_or_chosen_again(open_desk):
    store, studio = open_desk.store, open_desk.studio
    job = long_attack(open_desk)
    store.add_model(model("second"))
    studio.press()
    studio.release(store.epsilon)
    store.set_attack("bim", preset("bim", steps=2000), None)
    open_desk.until(lambda: store.scene is not None and len(store.scene.setup.models) == 2)
    assert job in open_desk.jobs.jobs
    job.stop_and_keep()
    open_desk.until(open_desk.settled)
    assert store.scene.step > 2
    assert len(store.scene.setup.models) == 2


def test_what_was_made_is_kept_when_another_verdict_is_shown(open_desk):
    store = open_desk.store
    store.set_attack("bim", preset("bim", steps=5), None)
    open_desk.until(lambda: open_desk.settled() and store.scene.step == 5)
    before = store.history
    store.add_model(model("second"))
    open_desk.until(lambda: open_desk.settled() and len(store.scene.setup.models) == 2)
    assert all(mine is theirs for mine, theirs in zip(before, store.history, strict=True))


@pytest.mark.parametrize("kept", [True, False])
def test_the_steps_that_a_stopped_attack_did_not_make_can_be_made(open_desk, kept):
    store, studio = open_desk.store, open_desk.studio
    job = long_attack(open_desk, 150)
    if kept:
        job.stop_and_keep()
    else:
        open_desk.until(lambda: len(store.history) == 1)
        job.cancel()
    open_desk.until(open_desk.settled)
    made = len(store.history)
    studio.toggle_play()
    open_desk.until(lambda: store.scene.step == made + 1)
    studio.to_end()
    open_desk.until(lambda: open_desk.settled() and store.scene.step == 150)
    assert len(store.history) == 151


def test_another_attack_that_makes_the_same_move_has_an_outcome_of_its_own(open_desk):
    """A restart that brings nothing: the outcomes of both at other epsilons differ."""
    store = open_desk.store
    store.set_epsilon(0.0)
    for name in ("bim", "mi"):
        store.set_attack(name, preset(name, steps=3), None)
        momentum = preset(name).momentum
        open_desk.until(lambda wanted=momentum: store.scene.setup.attack.momentum == wanted and open_desk.settled())
        open_desk.until(lambda: store.outcome is not None and store.outcome.exact)
        assert store.outcome.holds_for(store.scene)
        assert store.outcome.scene.setup.attack.momentum == momentum


def test_an_attack_at_every_epsilon_goes_on_where_the_person_interrupted_it(open_desk, monkeypatch):
    store, studio, attacked = open_desk.store, open_desk.studio, []
    original = live._attacked_at

    def watched(scene, epsilon, cancel):
        attacked.append(epsilon)
        return original(scene, epsilon, cancel)

    monkeypatch.setattr(live, "_attacked_at", watched)
    store.set_attack("pgd", preset("pgd", steps=20, restarts=0), None)
    open_desk.until(lambda: len(attacked) > 5)
    studio.step_back()
    open_desk.until(lambda: store.outcome is not None and store.outcome.exact)
    assert len(attacked) <= len(store.outcome.epsilons) + 1
    assert sorted(set(attacked)) == pytest.approx(store.outcome.epsilons.tolist())


def test_an_attack_at_every_epsilon_that_fails_is_not_tried_again_and_bothers_nobody(open_desk, monkeypatch):
    store, studio, tried, told = open_desk.store, open_desk.studio, [], []

    def failing(*_):
        tried.append(1)
        raise ValueError("no such luck")
        yield

    studio.failed.connect(told.append)
    monkeypatch.setattr(live, "attacked_outcome", failing)
    store.set_attack("pgd", preset("pgd", steps=3, restarts=0), None)
    open_desk.until(lambda: bool(tried))
    for step in (2, 1):
        studio.step_back()
        open_desk.until(lambda step=step: store.scene.step == step and not studio._rest.isActive())
    assert (tried, told) == ([1], [])
    assert not store.outcome.exact


def test_a_long_attack_is_freed_when_it_has_ended(open_desk):
    alive = []
    for steps in (150, 160, 170):
        job = long_attack(open_desk, steps)
        alive.append(weakref.ref(job))
        job.stop_and_keep()
        del job
        open_desk.until(open_desk.settled)
    open_desk.store.set_attack("fgsm", preset("fgsm"), None)
    open_desk.until(lambda: open_desk.settled() and open_desk.store.scene.step == 1)
    gc.collect()
    assert sum(reference() is not None for reference in alive) <= 1  # the list of jobs holds the last


def test_another_choice_ends_a_long_attack_even_while_it_is_paused(open_desk):
    job = long_attack(open_desk)
    job.pause()
    open_desk.until(lambda: job.resting)
    open_desk.store.set_attack("fgsm", preset("fgsm"), None)
    open_desk.until(lambda: open_desk.settled() and open_desk.store.scene.step == 1)
    open_desk.until(lambda: job.status.ended)
    assert open_desk.store.scene.setup.attack == preset("fgsm")


def test_a_long_attack_to_its_end(open_desk):
    open_desk.store.set_attack("bim", preset("bim", steps=101), None)
    open_desk.until(lambda: open_desk.settled() and open_desk.store.scene.step == 101)
    assert not open_desk.jobs.jobs


@pytest.mark.parametrize("first", ["the clean scene", "the job"])
def test_a_long_attack_that_fails_says_so_once(open_desk, monkeypatch, first):
    store, studio, told = open_desk.store, open_desk.studio, []
    original, gate = live.attack, threading.Event()

    def failing(setup, epsilon, cancel, states):
        yield Progress(0, 1)
        if cancel.requested == (first == "the job"):
            assert gate.wait(60)
        raise ValueError("no such luck")

    studio.failed.connect(told.append)
    monkeypatch.setattr(live, "attack", failing)
    store.set_attack("bim", preset("bim", steps=101), None)
    open_desk.until(lambda: bool(told))
    gate.set()
    open_desk.until(lambda: not open_desk.jobs.jobs)
    assert store.scene is None
    assert not studio.busy
    monkeypatch.setattr(live, "attack", original)
    store.set_attack("fgsm", preset("fgsm"), None)
    open_desk.until(open_desk.settled)
    assert told == ["No such luck."]


def test_no_model_is_no_verdict(open_desk):
    open_desk.store.models, open_desk.store.primary = (), ""
    open_desk.store.modelsChanged.emit()
    open_desk.until(lambda: open_desk.store.scene is None)
    assert open_desk.store.history == ()


def test_a_name_that_is_taken_is_numbered(desk):
    desk.store.add_model(model("first"))
    twin = replace(model("first"), path=Path("elsewhere") / "best.safetensors")
    desk.store.add_model(twin)
    desk.store.add_model(twin)
    assert [each.name for each in desk.store.models].count("first 2") == 1
    assert len({each.card.title for each in desk.store.models}) == len(desk.store.models)
