"""The attack controller between slider and core, without a window: requests, results, long attacks, outcomes."""

import gc
import threading
import weakref
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PySide6.QtTest import QSignalSpy

from app.jobs import JobList
from app.shell.progress import Status
from app.stage import attack_work
from app.stage.controller import AttackController, Request
from app.stage.playback import Playback
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
def stage(qapp, qtbot, monkeypatch):
    """A store with one untrained model, a list of jobs, and the attack controller. No attack is long by itself."""
    monkeypatch.setattr(attack_work, "SHORT_SECONDS", np.inf)
    store, jobs = Store(), JobList()
    controller = AttackController(store, jobs)
    points = np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32)
    cloud = Cloud(points / np.linalg.norm(points, axis=1).max(), "scrap", 1, "rod")
    store.add_model(model("first"))
    store.set_attack("fgsm", preset("fgsm"), None)

    def settled():
        return store.scene is not None and not controller.busy and store.scene.epsilon == store.epsilon

    yield SimpleNamespace(
        store=store,
        jobs=jobs,
        controller=controller,
        playback=Playback(store, controller),
        cloud=cloud,
        settled=settled,
        until=partial(qtbot.waitUntil, timeout=60_000),
    )
    assert controller.close()
    assert jobs.close()


@pytest.fixture
def loaded_stage(stage):
    """The same with a cloud that has been attacked."""
    stage.store.set_cloud(stage.cloud)
    stage.until(stage.settled)
    return stage


@pytest.fixture
def blocked_refit(monkeypatch):
    """Every refit waits for the semaphore ``gate``; ``started`` lists the epsilons of those that have begun."""
    gate, started, refit = threading.Semaphore(0), [], live.refit

    def wait(scene, epsilon, *rest):
        started.append(epsilon)
        assert gate.acquire(timeout=60)
        return refit(scene, epsilon, *rest)

    monkeypatch.setattr(live, "refit", wait)
    yield SimpleNamespace(gate=gate, started=started)
    gate.release(100)


def test_without_a_cloud_no_input_starts_an_attack(stage):
    assert stage.store.scene is None
    stage.controller.drag(0.2)
    stage.controller.step()
    stage.playback.toggle()
    stage.controller.release(0.2)
    assert stage.store.scene is None
    assert not stage.playback.playing
    assert not stage.controller.busy


def test_several_changes_at_once_start_one_attack(stage):
    scenes = []
    stage.store.sceneChanged.connect(scenes.append)
    stage.store.set_cloud(stage.cloud)
    stage.store.add_model(model("second"))
    stage.store.set_attack("bim", preset("bim", steps=2), None)
    stage.until(stage.settled)
    stage.until(lambda: stage.store.outcome is not None)
    assert len(scenes) == 1
    assert len(scenes[0].setup.models) == 2
    assert scenes[0].step == 2


def test_the_true_class_is_found_in_the_model_by_its_name(loaded_stage):
    assert loaded_stage.store.scene.label == 1
    loaded_stage.store.add_model(model("other", ("ring", "plate", "rod")), primary=True)
    loaded_stage.until(lambda: loaded_stage.settled() and loaded_stage.store.scene.setup.classes[0] == "ring")
    assert loaded_stage.store.scene.label == 2


def test_a_late_frame_is_shown_while_the_slider_moves_on(loaded_stage, blocked_refit):
    loaded_stage.controller.press()
    loaded_stage.controller.drag(0.11)
    loaded_stage.until(lambda: blocked_refit.started == [0.11])
    for epsilon in (0.12, 0.13, 0.14):
        loaded_stage.controller.drag(epsilon)
    blocked_refit.gate.release()
    loaded_stage.until(lambda: loaded_stage.store.scene.epsilon == 0.11)
    loaded_stage.until(lambda: blocked_refit.started == [0.11, 0.14])  # the values between were not computed
    blocked_refit.gate.release()
    loaded_stage.until(lambda: loaded_stage.store.scene.epsilon == 0.14)
    loaded_stage.controller.release(0.14)
    loaded_stage.until(loaded_stage.settled)


def test_a_frame_of_the_drag_is_not_shown_after_the_release(loaded_stage, blocked_refit):
    shown = []
    loaded_stage.controller.press()
    loaded_stage.controller.drag(0.2)
    loaded_stage.until(lambda: blocked_refit.started == [0.2])
    loaded_stage.store.sceneChanged.connect(lambda scene: shown.append(scene.epsilon))
    loaded_stage.controller.release(0.05)
    blocked_refit.gate.release()
    loaded_stage.until(loaded_stage.settled)
    loaded_stage.until(lambda: loaded_stage.store.outcome is not None)
    assert shown == [0.05]


def test_jobs_are_suspended_while_the_slider_is_held_even_if_pressed_twice(loaded_stage):
    cancel = Cancel()

    def work():
        count = 0
        while not cancel.requested:
            count += 1
            yield Progress(count, 0, "")
        yield Done(count, complete=False)

    job = loaded_stage.jobs.submit("counting", work, cancel)
    loaded_stage.controller.press()
    loaded_stage.controller.press()
    loaded_stage.until(lambda: job.suspended)
    loaded_stage.controller.release(0.1)
    loaded_stage.until(lambda: not job.suspended)
    job.stop_and_keep()
    loaded_stage.until(lambda: job.status.ended)


def test_steps_requested_before_the_last_one_is_shown_are_made_in_order(loaded_stage):
    store, controller = loaded_stage.store, loaded_stage.controller
    store.set_attack("pgd", preset("pgd", steps=3, restarts=0), None)
    loaded_stage.until(lambda: loaded_stage.settled() and len(store.history) == 4)
    loaded_stage.playback.step_back()
    controller.step()
    controller.step()  # one more than planned, while the last state is not shown yet
    loaded_stage.until(lambda: store.position == 4 and store.scene.step == 4)
    assert [state.step for state in store.history] == [0, 1, 2, 3, 4]


def test_a_running_attack_cannot_be_played(loaded_stage):
    controller = loaded_stage.controller
    controller.run()
    loaded_stage.playback.toggle()
    assert not loaded_stage.playback.playing
    loaded_stage.until(loaded_stage.settled)


def test_when_idle_the_attack_is_repeated_at_every_epsilon_and_the_outcome_is_kept_for_other_epsilons(loaded_stage):
    store, outcomes = loaded_stage.store, []
    store.outcomeChanged.connect(lambda outcome: outcomes.append(outcome and outcome.exact))
    store.set_attack("pgd", preset("pgd", steps=3), None)
    loaded_stage.until(lambda: store.outcome is not None and store.outcome.exact)
    assert outcomes == [None, False, True]
    outcome_before = store.outcome
    loaded_stage.controller.drag(0.2)
    loaded_stage.controller.release(0.2)
    loaded_stage.until(lambda: loaded_stage.settled() and store.scene.exact)
    assert store.outcome is outcome_before
    place = int(np.argmin(abs(outcome_before.epsilons - 0.2)))
    assert np.isclose(outcome_before.confidence[0, place], store.scene.adversarial_confidence[0, 1], atol=1e-4)


@pytest.fixture
def computed_outcomes(monkeypatch):
    """The names of the functions that were called to compute outcomes."""
    called = []
    for name in ("rescaled_outcome", "attacked_outcome"):
        function = getattr(live, name)
        monkeypatch.setattr(live, name, lambda *words, f=function, n=name: called.append(n) or f(*words))
    return called


def wait_for_exact_outcome(stage):
    """Until nothing is left to compute."""
    store, controller = stage.store, stage.controller
    stage.until(lambda: stage.settled() and not controller._pending and store.outcome is not None)
    stage.until(lambda: store.outcome.exact and store.outcome.holds_for(store.scene))


def show_another_cloud_for_a_while(stage):
    points = stage.cloud.points[::-1].copy() * 0.9
    stage.store.set_cloud(replace(stage.cloud, points=points, name="other"))
    stage.until(lambda: stage.store.scene.setup.cloud.name == "other")
    wait_for_exact_outcome(stage)


def test_a_cloud_that_is_shown_again_has_its_outcome_without_computing_it_again(loaded_stage, computed_outcomes):
    store = loaded_stage.store
    store.set_attack("pgd", preset("pgd", steps=3), None)
    wait_for_exact_outcome(loaded_stage)
    outcome_before = store.outcome
    show_another_cloud_for_a_while(loaded_stage)
    assert computed_outcomes.count("attacked_outcome") == 2
    store.set_cloud(loaded_stage.cloud)
    loaded_stage.until(lambda: store.outcome is outcome_before)
    idle = QSignalSpy(loaded_stage.controller._idle_timer.timeout)
    loaded_stage.until(lambda: idle.count() > 0)
    wait_for_exact_outcome(loaded_stage)
    assert store.outcome is outcome_before
    assert computed_outcomes.count("attacked_outcome") == 2


@pytest.mark.parametrize("change", ["class", "target"])
def test_a_kept_outcome_is_not_taken_for_one_of_another_class_or_target(loaded_stage, computed_outcomes, change):
    store, cloud = loaded_stage.store, loaded_stage.cloud
    store.set_attack("pgd", preset("pgd", steps=3), None)
    wait_for_exact_outcome(loaded_stage)
    outcome_before = store.outcome
    show_another_cloud_for_a_while(loaded_stage)
    if change == "class":
        cloud = replace(cloud, label=2, class_name="ring")
    else:
        store.set_attack("pgd", preset("pgd", steps=3), 0)
    store.set_cloud(cloud)
    loaded_stage.until(lambda: store.scene.setup.cloud.name == cloud.name)
    wait_for_exact_outcome(loaded_stage)
    assert store.outcome is not outcome_before
    assert computed_outcomes.count("attacked_outcome") == 3


def test_an_outcome_is_not_kept_longer_than_its_models(loaded_stage):
    store = loaded_stage.store
    loaded_stage.until(lambda: store.outcome is not None and store.outcome.exact)
    kept = weakref.ref(store.outcome)
    store.add_model(model("second"))
    store.remove_model("first")
    loaded_stage.until(lambda: store.outcome is not None and store.outcome.scene.setup.models == tuple(store.models))
    gc.collect()
    assert kept() is None


def test_a_step_cancels_the_sweep_over_epsilon_which_is_resumed_later(loaded_stage, monkeypatch):
    store, started = loaded_stage.store, []
    sweep = live.attacked_outcome

    def never_ending(scene, epsilons, cancel, answers):
        started.append(cancel)
        while not cancel.requested and len(started) == 1:
            yield Progress(0, 1)
        if len(started) > 1:
            yield from sweep(scene, epsilons, cancel, answers)

    monkeypatch.setattr(live, "attacked_outcome", never_ending)
    store.set_attack("pgd", preset("pgd", steps=3, restarts=0), None)
    loaded_stage.until(lambda: bool(started))
    loaded_stage.playback.step_back()
    loaded_stage.until(lambda: store.scene.step == 2)
    assert started[0].requested
    assert not store.outcome.exact
    loaded_stage.until(lambda: store.outcome.exact)  # it was resumed when idle
    assert store.scene.step == 2


@pytest.fixture
def long_attack(loaded_stage, monkeypatch):
    """Choose an attack that counts as long, wait until it runs, and return its job."""

    def start(steps=2000):
        monkeypatch.setattr(attack_work, "SAMPLE_SECONDS", 0)
        monkeypatch.setattr(attack_work, "SHORT_SECONDS", 0)
        loaded_stage.store.set_attack("bim", preset("bim", steps=steps), None)
        loaded_stage.until(lambda: any(job.meter.done > 2 for job in loaded_stage.jobs.jobs))
        (job,) = loaded_stage.jobs.jobs
        assert loaded_stage.controller.busy
        return job

    return start


def test_an_attack_is_a_job_if_it_is_measured_to_take_long_whatever_its_number_of_steps(loaded_stage, monkeypatch):
    store, jobs = loaded_stage.store, []
    loaded_stage.jobs.added.connect(jobs.append)
    now = iter(np.arange(0, 1000, 0.02))
    monkeypatch.setattr(attack_work, "SHORT_SECONDS", 1.0)
    monkeypatch.setattr(attack_work, "time", SimpleNamespace(perf_counter=lambda: next(now)))
    store.set_attack("bim", preset("bim", steps=45), None)  # 0.9 s
    loaded_stage.until(lambda: loaded_stage.settled() and store.scene.step == 45)
    assert not jobs
    store.set_attack("bim", preset("bim", steps=65), None)  # 1.3 s
    loaded_stage.until(lambda: loaded_stage.settled() and store.scene.step == 65)
    assert [job.title for job in jobs] == ["attack of 65 steps"]
    assert len(store.history) == 66


def test_a_long_attack_that_ends_before_its_clean_cloud_is_shown_keeps_its_last_step(loaded_stage, monkeypatch):
    store, ended, steps = loaded_stage.store, threading.Event(), []
    show_last_state = attack_work.show_last_state

    def slow(*arguments):
        assert ended.wait(60)
        return show_last_state(*arguments)

    monkeypatch.setattr("app.stage.controller.show_last_state", slow)
    monkeypatch.setattr(attack_work, "SAMPLE_SECONDS", -1)
    monkeypatch.setattr(attack_work, "SHORT_SECONDS", -1)
    store.sceneChanged.connect(lambda: steps.append(store.scene.step))
    loaded_stage.jobs.removed.connect(lambda _: ended.set())
    store.set_attack("bim", preset("bim", steps=3), None)
    loaded_stage.until(ended.is_set)
    loaded_stage.until(lambda: store.outcome is not None)  # computed after the slow request, by the same worker
    assert steps == [3]
    assert len(store.history) == 4


def test_a_long_attack_is_a_job_whose_steps_are_kept_when_it_is_stopped(loaded_stage, long_attack):
    store = loaded_stage.store
    job = long_attack()
    assert (job.title, job.unit, job.meter.total) == ("attack of 2,000 steps", "steps", 2000)
    job.stop_and_keep()
    loaded_stage.until(loaded_stage.settled)
    assert 2 < store.scene.step < 2000
    assert len(store.history) == store.scene.step + 1
    loaded_stage.controller.step()
    loaded_stage.until(lambda: store.scene.step == len(store.history) - 1 == store.position)
    loaded_stage.until(lambda: store.outcome is not None)
    assert not store.outcome.exact


def test_a_cancelled_long_attack_leaves_the_clean_cloud_without_an_outcome(loaded_stage, long_attack):
    store = loaded_stage.store
    job = long_attack()
    loaded_stage.until(lambda: len(store.history) == 1)
    job.cancel()
    loaded_stage.until(loaded_stage.settled)
    assert store.scene.step == 0
    loaded_stage.until(lambda: not loaded_stage.controller._idle_timer.isActive())
    assert store.outcome is None
    loaded_stage.controller.step()
    loaded_stage.until(lambda: store.scene.step == 1 and store.outcome is not None)
    assert store.outcome.holds_for(store.scene)


def test_while_a_long_attack_runs_the_chosen_shape_is_shown(loaded_stage, long_attack):
    store = loaded_stage.store
    other = replace(loaded_stage.cloud, points=loaded_stage.cloud.points[::-1].copy(), name="other")
    long_attack()
    store.set_cloud(other)
    loaded_stage.until(lambda: store.scene.setup.cloud.name == "other" and store.scene.step == 0)
    assert loaded_stage.controller.busy
    loaded_stage.controller.drag(0.2)
    assert not any(
        job.immediate and not job.status.ended and job.status is not Status.STOPPING for job in loaded_stage.jobs.jobs
    )
    loaded_stage.until(lambda: store.scene.epsilon == 0.2)
    assert store.scene.setup.cloud.name == "other"


def test_a_long_attack_goes_on_when_a_model_is_added_or_the_same_attack_chosen_again(loaded_stage, long_attack):
    store, controller = loaded_stage.store, loaded_stage.controller
    job = long_attack()
    store.add_model(model("second"))
    controller.press()
    controller.release(store.epsilon)
    store.set_attack("bim", preset("bim", steps=2000), None)
    loaded_stage.until(lambda: store.scene is not None and len(store.scene.setup.models) == 2)
    assert job in loaded_stage.jobs.jobs
    job.stop_and_keep()
    loaded_stage.until(loaded_stage.settled)
    assert store.scene.step > 2
    assert len(store.scene.setup.models) == 2


def test_states_are_kept_when_another_model_is_shown(loaded_stage):
    store = loaded_stage.store
    store.set_attack("bim", preset("bim", steps=5), None)
    loaded_stage.until(lambda: loaded_stage.settled() and store.scene.step == 5)
    before = store.history
    store.add_model(model("second"))
    loaded_stage.until(lambda: loaded_stage.settled() and len(store.scene.setup.models) == 2)
    assert all(mine is theirs for mine, theirs in zip(before, store.history, strict=True))


@pytest.mark.parametrize("kept", [True, False])
def test_the_missing_steps_of_a_stopped_attack_can_be_computed_later(loaded_stage, long_attack, kept):
    store = loaded_stage.store
    job = long_attack(150)
    if kept:
        job.stop_and_keep()
    else:
        loaded_stage.until(lambda: len(store.history) == 1)
        job.cancel()
    loaded_stage.until(loaded_stage.settled)
    made = len(store.history)
    loaded_stage.playback.toggle()
    loaded_stage.until(lambda: store.scene.step == made + 1)
    loaded_stage.playback.to_end()
    loaded_stage.until(lambda: loaded_stage.settled() and store.scene.step == 150)
    assert len(store.history) == 151


def test_two_attacks_with_the_same_perturbation_have_different_outcomes(loaded_stage):
    """At epsilon 0 both perturbations are zero, but at other epsilons the attacks differ."""
    store = loaded_stage.store
    store.set_epsilon(0.0)
    for name in ("bim", "mi"):
        store.set_attack(name, preset(name, steps=3), None)
        momentum = preset(name).momentum
        loaded_stage.until(
            lambda wanted=momentum: store.scene.setup.attack.momentum == wanted and loaded_stage.settled()
        )
        loaded_stage.until(lambda: store.outcome is not None and store.outcome.exact)
        assert store.outcome.holds_for(store.scene)
        assert store.outcome.scene.setup.attack.momentum == momentum


def test_an_interrupted_sweep_over_epsilon_continues_where_it_was(loaded_stage, monkeypatch):
    store, attacked = loaded_stage.store, []
    original = live.outcome._attacked_at

    def watched(scene, epsilon, cancel):
        attacked.append(epsilon)
        return original(scene, epsilon, cancel)

    monkeypatch.setattr(live.outcome, "_attacked_at", watched)
    store.set_attack("pgd", preset("pgd", steps=6, restarts=0), None)
    loaded_stage.until(lambda: len(attacked) > 5)
    loaded_stage.playback.step_back()
    loaded_stage.until(lambda: store.outcome is not None and store.outcome.exact)
    assert len(attacked) <= len(store.outcome.epsilons) + 1
    assert sorted(set(attacked)) == pytest.approx(store.outcome.epsilons.tolist())


def test_a_failed_sweep_over_epsilon_is_not_repeated_and_shows_no_message(loaded_stage, monkeypatch):
    store, controller, attempts, messages = loaded_stage.store, loaded_stage.controller, [], []

    def failing(*_):
        attempts.append(1)
        raise ValueError("no such luck")
        yield

    controller.failed.connect(messages.append)
    monkeypatch.setattr(live, "attacked_outcome", failing)
    store.set_attack("pgd", preset("pgd", steps=3, restarts=0), None)
    loaded_stage.until(lambda: bool(attempts) and Request.SWEEP not in controller._pending)
    for step in (2, 1):
        loaded_stage.playback.step_back()
        loaded_stage.until(lambda step=step: store.scene.step == step and not controller._idle_timer.isActive())
    assert (attempts, messages) == ([1], [])
    assert not store.outcome.exact


def test_the_job_of_an_ended_long_attack_is_freed(loaded_stage, long_attack):
    alive = []
    for steps in (150, 160, 170):
        job = long_attack(steps)
        alive.append(weakref.ref(job))
        job.stop_and_keep()
        del job
        loaded_stage.until(loaded_stage.settled)
    loaded_stage.store.set_attack("fgsm", preset("fgsm"), None)
    loaded_stage.until(lambda: loaded_stage.settled() and loaded_stage.store.scene.step == 1)
    gc.collect()
    assert sum(reference() is not None for reference in alive) <= 1  # the list of jobs keeps the last one


def test_choosing_another_attack_ends_a_long_attack_even_while_it_is_paused(loaded_stage, long_attack):
    job = long_attack()
    job.pause()
    loaded_stage.until(lambda: job.suspended)
    loaded_stage.store.set_attack("fgsm", preset("fgsm"), None)
    loaded_stage.until(lambda: loaded_stage.settled() and loaded_stage.store.scene.step == 1)
    loaded_stage.until(lambda: job.status.ended)
    assert job.silent
    assert loaded_stage.store.scene.setup.attack == preset("fgsm")


def test_a_long_attack_runs_to_its_last_step(loaded_stage):
    loaded_stage.store.set_attack("bim", preset("bim", steps=101), None)
    loaded_stage.until(lambda: loaded_stage.settled() and loaded_stage.store.scene.step == 101)
    assert not loaded_stage.jobs.jobs


@pytest.mark.parametrize("failing_part", ["the first steps", "the job"])
def test_a_failed_long_attack_shows_one_message(loaded_stage, monkeypatch, failing_part):
    store, controller, messages = loaded_stage.store, loaded_stage.controller, []
    original = live.attack

    def failing(setup, epsilon, cancel, states):
        if cancel.requested or (failing_part == "the job" and not states):
            yield from original(setup, epsilon, cancel, states)
        else:
            yield Progress(0, 1)
            raise ValueError("no such luck")

    monkeypatch.setattr(attack_work, "SAMPLE_SECONDS", 0)
    monkeypatch.setattr(attack_work, "SHORT_SECONDS", 0)
    controller.failed.connect(messages.append)
    monkeypatch.setattr(live, "attack", failing)
    store.set_attack("bim", preset("bim", steps=101), None)
    loaded_stage.until(lambda: bool(messages))
    loaded_stage.until(lambda: not loaded_stage.jobs.jobs)
    assert store.scene is None
    assert not controller.busy
    monkeypatch.setattr(live, "attack", original)
    monkeypatch.setattr(attack_work, "SHORT_SECONDS", np.inf)
    store.set_attack("fgsm", preset("fgsm"), None)
    loaded_stage.until(loaded_stage.settled)
    assert messages == ["No such luck."]


def test_without_models_there_is_no_scene(loaded_stage):
    loaded_stage.store.models, loaded_stage.store.primary = (), ""
    loaded_stage.store.modelsChanged.emit()
    loaded_stage.until(lambda: loaded_stage.store.scene is None)
    assert loaded_stage.store.history == ()


def test_a_model_name_already_in_use_gets_a_number(stage):
    stage.store.add_model(model("first"))
    twin = replace(model("first"), path=Path("elsewhere") / "best.safetensors")
    stage.store.add_model(twin)
    stage.store.add_model(twin)
    assert [each.name for each in stage.store.models].count("first 2") == 1
    assert len({each.card.title for each in stage.store.models}) == len(stage.store.models)
