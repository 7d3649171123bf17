from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from core import live
from core.attacks import PRESETS, Attack, GradientAttack, preset
from core.clouds import Cloud
from core.datasets.shapes16 import make_shape
from core.defenses.names import parse, protected
from core.events import Cancel, Done, Event, Step, result
from core.live import steps
from core.live.predictions import clean_batch, judging
from core.models import build
from core.models.cards import ModelError
from core.models.checkpoints import LoadedModel, ModelCard, builtin_models, load_model
from core.models.importers.adapter import Adapter, Call
from tests.core.foreign import Little
from tests.core.toys import CLASSES, toy_split


def model(name: str, seed: int, classes: tuple[str, ...] = CLASSES) -> LoadedModel:
    torch.manual_seed(seed)
    card = ModelCard(
        name=name, title=name, architecture="pointnet", classes=classes, regime="simple", points=64, dataset="toys",
        fingerprint="0", up_axis="z", seed=seed, epochs=0,
    )  # fmt: skip
    return LoadedModel(build("pointnet", len(classes)).eval(), card, "0")


@pytest.fixture(scope="module")
def models() -> tuple[LoadedModel, ...]:
    return model("first", 0), model("second", 1), model("third", 2)


def setup(
    models: tuple[LoadedModel, ...], attack: Attack, label: int | None = 1, target: int | None = None
) -> live.Setup:
    return live.Setup(models, 0, attack, Cloud(toy_split(6).points[1], "plate 1", label), target)


def attacked(given: live.Setup, epsilon: float) -> live.AttackResult:
    value: live.AttackResult = result(live.attack(given, epsilon))
    return value


def test_the_clean_scene_has_every_models_verdict_and_no_distance(models: tuple[LoadedModel, ...]) -> None:
    scene = live.begin(setup(models, preset("fgsm")))
    assert scene.clean_confidence.shape == scene.adversarial_confidence.shape == (3, 3)
    assert np.allclose(scene.clean_confidence.sum(1), 1, atol=1e-6)
    assert np.array_equal(scene.clean_confidence, scene.adversarial_confidence)
    assert scene.step == 0
    assert scene.distances.linf == 0
    assert scene.adversarial_latent.shape == (1024,)
    assert scene.exact


def test_refitting_a_one_step_attack_is_the_attack_at_the_other_epsilon(models: tuple[LoadedModel, ...]) -> None:
    given = setup(models, preset("fgsm", epsilon=0.1))
    moved = live.refit(attacked(given, 0.1).scene, 0.04)
    direct = attacked(given, 0.04).scene
    assert moved.exact
    assert moved.epsilon == direct.epsilon == 0.04
    assert np.allclose(moved.points, direct.points, atol=1e-6)
    assert np.allclose(moved.adversarial_confidence, direct.adversarial_confidence, atol=1e-5)
    assert moved.loss == pytest.approx(direct.loss, abs=1e-4)


def test_refitting_several_steps_says_that_it_is_not_the_attack(models: tuple[LoadedModel, ...]) -> None:
    scene = attacked(setup(models, preset("pgd", steps=4)), 0.1).scene
    assert scene.exact
    moved = live.refit(scene, 0.05)
    assert not moved.exact
    assert moved.distances.linf <= 0.05 + 1e-6


def test_stepping_by_hand_leads_to_the_states_of_the_whole_attack(models: tuple[LoadedModel, ...]) -> None:
    given = setup(models, preset("bim", steps=3, epsilon=0.1))
    whole = attacked(given, 0.1)
    scene = live.begin(given)
    for state in whole.states[1:]:
        scene = live.advance(scene)
        assert torch.equal(scene.state.adversarial, state.adversarial)
    assert np.array_equal(scene.adversarial_confidence, whole.scene.adversarial_confidence)
    middle = live.show(scene, whole.states[1])
    assert middle.step == 1


def test_an_unknown_class_is_attacked_away_from_the_verdict(models: tuple[LoadedModel, ...]) -> None:
    scene = live.begin(setup(models, preset("fgsm"), label=None))
    assert scene.label == scene.clean_confidence[0].argmax()
    assert int(scene.state.label) == scene.label
    assert not scene.fooled()[0]


def test_where_the_class_is_unknown_each_model_is_fooled_by_its_own_measure(models: tuple[LoadedModel, ...]) -> None:
    scene = attacked(setup(models, preset("fgsm"), label=None), 0.3).scene
    own = scene.clean_confidence.argmax(1)
    assert scene.expected == tuple(own)
    assert scene.fooled() == tuple(scene.adversarial_confidence.argmax(1) != own)
    assert len(set(own)) > 1, "or one class would be that of all"
    outcome: live.Outcome = result(live.rescaled_outcome(scene, [0.0, 0.3]))
    assert not outcome.wrong[:, 0].any()
    assert np.allclose(outcome.confidence[:, 0], scene.clean_confidence.max(1), atol=1e-5)
    assert attacked(setup(models, preset("fgsm"), label=2), 0.1).scene.expected == (2, 2, 2)


def test_a_targeted_attack_raises_the_targets_confidence(models: tuple[LoadedModel, ...]) -> None:
    given = setup(models, preset("pgd", steps=5, goal="targeted"), target=2)
    scene = attacked(given, 0.2).scene
    assert scene.adversarial_confidence[0, 2] > scene.clean_confidence[0, 2]


def test_the_outcome_follows_the_shown_perturbation_over_epsilon(models: tuple[LoadedModel, ...]) -> None:
    scene = attacked(setup(models, preset("fgsm")), 0.1).scene
    grid = np.linspace(0, 0.3, 7)
    outcome: live.Outcome = result(live.rescaled_outcome(scene, grid))
    assert outcome.confidence.shape == (3, 7)
    assert np.allclose(outcome.confidence[:, 0], scene.clean_confidence[:, 1], atol=1e-5)
    for place in (2, 6):
        at = live.refit(scene, float(grid[place]))
        assert np.allclose(outcome.confidence[:, place], at.adversarial_confidence[:, 1], atol=1e-5)
    verdicts = [live.refit(scene, float(epsilon)).adversarial_confidence.argmax(1) for epsilon in grid]
    assert np.array_equal(outcome.wrong, np.transpose(verdicts) != 1)
    assert outcome.exact


def test_an_outcome_holds_as_long_as_the_perturbation_is_the_same(models: tuple[LoadedModel, ...]) -> None:
    """One step's is at every budget; a longer attack's, another label's or that of other models is not."""

    def outcome(attack: Attack, epsilon: float) -> live.Outcome:
        found: live.Outcome = result(live.rescaled_outcome(attacked(setup(models, attack), epsilon).scene, [0.1]))
        return found

    fgsm, pgd = outcome(preset("fgsm"), 0.1), outcome(preset("pgd", steps=5), 0.1)
    assert fgsm.holds_for(attacked(setup(models, preset("fgsm")), 0.2).scene)
    assert not fgsm.holds_for(pgd.scene)
    assert not fgsm.holds_for(attacked(setup(models[:2], preset("fgsm")), 0.1).scene)
    assert not fgsm.holds_for(attacked(setup(models, preset("fgsm"), label=2), 0.1).scene)
    assert not pgd.exact
    assert not pgd.holds_for(attacked(setup(models, preset("pgd", steps=5)), 0.2).scene)
    still = outcome(preset("bim", steps=2), 0.0)
    assert not still.holds_for(attacked(setup(models, preset("mi", steps=2)), 0.0).scene), "of the same move, by chance"


def test_a_cancelled_outcome_lets_go_after_one_batch(models: tuple[LoadedModel, ...]) -> None:
    scene = attacked(setup(models, preset("fgsm")), 0.1).scene
    cancel = Cancel()
    cancel.request()
    events = list(live.rescaled_outcome(scene, np.linspace(0, 0.3, 31), cancel))
    assert isinstance(events[-1], Done)
    assert not events[-1].complete
    assert len(events) == 2


@pytest.mark.parametrize(
    "attack", [preset("pgd", steps=5, restarts=1), GradientAttack(steps=3, step_size=0.02), preset("mi", steps=4)]
)
def test_the_attack_made_at_every_epsilon_is_each_attack_alone(models: tuple[LoadedModel, ...], attack: Attack) -> None:
    scene = attacked(setup(models, attack), 0.1).scene
    events = list(live.attacked_outcome(scene, [0, 0.05, 0.1, 0.2]))
    assert events[:-1] == [Step(done, 4) for done in (1, 2, 3, 4)]
    outcome: live.Outcome = result(events)
    assert np.allclose(outcome.confidence[:, 0], scene.clean_confidence[:, 1], atol=1e-5)
    for place, epsilon in enumerate((0.05, 0.1, 0.2), start=1):
        alone = attacked(setup(models, attack), epsilon).scene
        assert np.allclose(outcome.confidence[:, place], alone.adversarial_confidence[:, 1], atol=1e-4)
        assert np.array_equal(outcome.wrong[:, place], alone.adversarial_confidence.argmax(1) != 1)


def test_the_attack_made_at_every_epsilon_holds_at_every_other(models: tuple[LoadedModel, ...]) -> None:
    attack = preset("pgd", steps=3)
    scene = attacked(setup(models, attack), 0.1).scene
    outcome: live.Outcome = result(live.attacked_outcome(scene, [0.1]))
    assert outcome.exact
    assert outcome.holds_for(attacked(setup(models, attack), 0.2).scene)
    assert not outcome.holds_for(attacked(setup(models, preset("pgd", steps=4)), 0.1).scene)
    assert not outcome.holds_for(attacked(replace(setup(models, attack), seed=1), 0.1).scene)
    assert not outcome.holds_for(attacked(setup(models, attack, label=2), 0.1).scene)


def test_the_attack_at_every_epsilon_ends_at_the_next_step_when_it_is_cancelled(
    models: tuple[LoadedModel, ...],
) -> None:
    cancel, events = Cancel(), []
    scene = attacked(setup(models, preset("pgd", steps=3)), 0.1).scene
    for event in live.attacked_outcome(scene, np.linspace(0, 0.3, 31), cancel):
        events.append(event)
        if len(events) == 3:
            cancel.request()
    assert events == [Step(1, 31), Step(2, 31), Step(3, 31), Done(None, complete=False)]


def moves(given: live.Setup) -> list[np.ndarray]:
    """The perturbation after each step."""
    states = attacked(given, given.attack.epsilon).states
    return [state.slots.get("point", state.unit_delta).numpy() for state in states]


SEEDS: list[tuple[str, dict[str, object]]] = [
    *((name, {}) for name in PRESETS if name != "advpc"),
    ("advpc", {"reconstruction_share": 0.0}),  # there is no autoencoder of toys
    ("bim", {"random_start": True}),
    ("bim", {"restarts": 1}),
    ("rotate", {"restarts": 1}),
    ("cw", {"random_start": True}),
    ("fab", {"restarts": 1}),
]
"""Presets with changes."""


@pytest.mark.parametrize(("name", "changes"), SEEDS)
def test_the_seed_changes_those_attacks_alone_that_say_so(
    models: tuple[LoadedModel, ...], name: str, changes: dict[str, object]
) -> None:
    attack = preset(name, steps=2, **changes)
    given = setup(models, attack, label=None)
    same, other = moves(given), moves(replace(given, seed=1))
    assert all(map(np.array_equal, moves(given), same))
    assert attack.uses_seed(len(CLASSES)) != all(map(np.array_equal, same, other))


def test_a_random_defence_judges_by_another_draw_than_the_attack_has_seen(models: tuple[LoadedModel, ...]) -> None:
    model = protected(models[0], parse("srs:share=0.9"))
    given = setup((model,), preset("fgsm"))
    seen = [steps._model_for_step(given, step)(clean_batch(given)).logits for step in range(3)]
    judged = judging(model, given.seed)(clean_batch(given)).logits
    assert torch.equal(judged, judging(model, given.seed)(clean_batch(given)).logits)
    assert not any(torch.equal(judged, logits) for logits in seen)


def test_an_attack_on_a_random_defence_is_repeated_by_its_seed_also_one_that_is_continued(
    models: tuple[LoadedModel, ...],
) -> None:
    given = setup((protected(models[0], parse("srs")),), preset("bim", steps=4))
    states = attacked(given, 0.1).states
    again, other = attacked(given, 0.1).states, attacked(replace(given, seed=1), 0.1).states
    continued: live.AttackResult = result(live.attack(given, 0.1, states=states[:2]))
    scene = live.begin(replace(given, attack=given.attack.at(0.1)))
    for _ in range(4):
        scene = live.advance(scene)
    last = states[-1].unit_delta
    assert torch.equal(again[-1].unit_delta, last)
    assert torch.equal(continued.states[-1].unit_delta, last)
    assert torch.equal(scene.state.unit_delta, last)
    assert not torch.equal(other[-1].unit_delta, last)


@pytest.fixture(scope="module")
def undecided(models: tuple[LoadedModel, ...]) -> live.Setup:
    """A cloud of unknown class, of which the verdict of a random defence depends on the draw."""
    even = model("even", 0)
    given = setup((protected(even, parse("srs:share=0.9")), *models[1:]), preset("pgd", steps=3), label=None)
    last = [layer for layer in even.module.modules() if isinstance(layer, nn.Linear)][-1]
    with torch.no_grad():
        draws = [given.models[0].module(torch.from_numpy(given.cloud.points)[None]).logits[0] for _ in range(32)]
        last.bias -= torch.stack(draws).mean(0)  # all classes are as likely
    return given


def test_a_random_defence_that_is_undecided_gives_an_unknown_class_the_verdict_of_the_seed(
    undecided: live.Setup,
) -> None:
    for seed in range(4):
        given = replace(undecided, seed=seed)
        scenes = [attacked(given, 0.1).scene for _ in range(4)]
        assert {int(scene.state.label) for scene in scenes} == {scenes[0].label}
        assert all(np.array_equal(scene.points, scenes[0].points) for scene in scenes)
    assert len({live.begin(replace(undecided, seed=seed)).label for seed in range(16)}) > 1, "or nothing is random"


@pytest.mark.parametrize("outcome", [live.rescaled_outcome, live.attacked_outcome])
def test_the_outcome_of_an_attack_on_a_random_defence_goes_through_the_shown_result(
    undecided: live.Setup, outcome: Callable[..., Iterator[Event]]
) -> None:
    scene = attacked(replace(undecided, seed=5), 0.1).scene
    at: live.Outcome = result(outcome(scene, [0.05, 0.1]))
    shown = scene.adversarial_confidence[np.arange(3), scene.expected]
    assert np.allclose(at.confidence[:, 1], shown, atol=1e-6)
    assert tuple(at.wrong[:, 1]) == scene.fooled()


def test_a_cancelled_attack_keeps_its_states(models: tuple[LoadedModel, ...]) -> None:
    cancel = Cancel()

    def two_steps() -> Iterator[object]:
        for event in live.attack(setup(models, preset("pgd", steps=10)), 0.1, cancel):
            if isinstance(event, Step) and event.index == 2:
                cancel.request()
            yield event

    last = list(two_steps())[-1]
    assert isinstance(last, Done)
    assert not last.complete
    assert len(last.value.states) == 3


def test_models_of_other_classes_are_refused_in_one_sentence(models: tuple[LoadedModel, ...]) -> None:
    other = model("other", 3, ("a", "b", "c"))
    with pytest.raises(ValueError, match="different classes"):
        live.begin(setup((*models, other), preset("fgsm")))
    with pytest.raises(ValueError, match="needs a target class"):
        live.begin(setup(models, preset("fgsm", goal="targeted")))


def test_a_step_of_fixed_size_is_no_more_exact_when_rescaled(models: tuple[LoadedModel, ...]) -> None:
    given = setup(models, preset("fgsm", step_size=0.05))
    scene = attacked(given, 0.1).scene
    assert scene.exact
    assert live.refit(scene, 0.2).distances.linf == pytest.approx(0.1, abs=1e-6)
    assert attacked(given, 0.2).scene.distances.linf == pytest.approx(0.05, abs=1e-6)
    assert not live.refit(scene, 0.2).exact


def test_added_points_are_behind_the_others_and_come_from_points_of_the_cloud(models: tuple[LoadedModel, ...]) -> None:
    given = setup(models, preset("add", steps=3, objective="margin"))
    scene = attacked(given, 25.0).scene
    clean = given.cloud.points
    assert scene.points.shape == (80, 3)
    assert np.array_equal(scene.points[:64], clean)
    assert {tuple(point) for point in scene.origin.tolist()} == {tuple(point) for point in clean.tolist()}
    assert (scene.displacement[:64] == 0).all()
    assert (scene.displacement[64:] > 0).all()
    assert scene.provenance()["options"]["points"] == 64
    whole: live.Outcome = result(live.attacked_outcome(scene, [0.0, 25.0]))
    assert np.allclose(whole.confidence[:, 1], scene.adversarial_confidence[:, scene.label], atol=1e-5)
    assert whole.holds_for(live.refit(scene, 10.0))
    again = attacked(given, 10.0).scene
    assert len(again.points) == 70


@pytest.mark.parametrize("name", ["twist", "drop", "add"])
def test_the_outcome_of_what_is_not_proportional_to_epsilon_is_what_the_slider_shows(
    models: tuple[LoadedModel, ...], name: str
) -> None:
    scene = attacked(setup(models, preset(name, steps=4)), 40.0).scene
    outcome: live.Outcome = result(live.rescaled_outcome(scene, [0.0, 10.0, 40.0]))
    for place, epsilon in enumerate((0.0, 10.0, 40.0)):
        shown = live.refit(scene, epsilon)
        assert np.allclose(outcome.confidence[:, place], shown.adversarial_confidence[:, scene.label], atol=1e-5)
    assert np.allclose(outcome.confidence[:, 0], scene.clean_confidence[:, scene.label], atol=1e-5)


def test_an_attack_that_a_rule_stops_is_over_and_shows_its_result(models: tuple[LoadedModel, ...]) -> None:
    given = setup(models, preset("bim", steps=50, stop_rmse=0.1))
    *steps, done = live.attack(given, 0.2)
    assert isinstance(done, Done)
    assert done.complete
    assert len(steps) < 50
    assert np.array_equal(done.value.scene.points, done.value.states[-1].adversarial[0].numpy())
    assert done.value.scene.provenance()["complete"] is True
    again = list(live.attack(given, 0.2, states=done.value.states))
    assert len(again) == 1, "nothing is left to do"


def test_asked_for_gradients_a_scene_tells_those_of_its_loss(models: tuple[LoadedModel, ...]) -> None:
    given = setup(models, preset("pgd", steps=3))
    assert attacked(given, 0.1).scene.gradient is None
    given = replace(given, colouring="gradient")
    clean, scene = live.begin(given), attacked(given, 0.1).scene
    for shown in (clean, scene, live.refit(scene, 0.05), live.show(scene, attacked(given, 0.1).states[1])):
        points = torch.from_numpy(shown.points)[None].requires_grad_()
        logits = models[0].module(points).logits
        torch.nn.functional.cross_entropy(logits, shown.state.label).backward()
        assert shown.gradient == pytest.approx(points.grad[0].norm(dim=1).numpy(), abs=1e-5)


def test_of_a_pointnet_most_points_have_no_gradient() -> None:
    model = load_model(builtin_models()["pointnet-simple"])
    given = live.Setup(
        (model,), 0, preset("square"), Cloud(make_shape("chair", [1, 1]), "chair", 4), colouring="gradient"
    )
    gradient = live.begin(given).gradient
    assert gradient is not None
    assert 0.3 < (gradient == 0).mean() < 1


def test_a_model_without_gradients_is_attacked_by_queries_and_has_a_gradient_at_no_point() -> None:
    class Detached(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Little(3, "BN3")

        def forward(self, clouds: torch.Tensor) -> torch.Tensor:
            return self.inner(clouds).detach()

    torch.manual_seed(0)
    foreign = replace(model("foreign", 0), module=Adapter(Detached(), Call("BN3")))
    given = replace(setup((foreign,), preset("square", steps=3)), colouring="gradient")
    scene = attacked(given, 0.1).scene
    assert scene.gradient is not None
    assert not scene.gradient.any()
    with pytest.raises(ModelError, match="No gradient of this model reaches the points"):
        attacked(replace(given, attack=preset("fgsm")), 0.1)


def test_traces_are_loss_and_rmse_of_each_state(models: tuple[LoadedModel, ...]) -> None:
    states = attacked(setup(models, preset("bim", steps=4)), 0.1).states
    loss, rmse = live.traces(states)
    assert loss.tolist() == [pytest.approx(float(state.evaluation.loss)) for state in states if state.evaluation]
    expected = [float((state.current - state.clean).pow(2).mean().sqrt()) for state in states]
    assert rmse.tolist() == pytest.approx(expected, abs=1e-6)
    assert rmse[0] == 0
    assert np.isnan(live.traces((replace(states[2], evaluation=None),))[0]).all()
