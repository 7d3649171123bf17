import shutil
from copy import deepcopy
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from pydantic import ValidationError
from torch import nn
from torch.optim.swa_utils import update_bn

from core.attacks import Direction, preset
from core.datasets import Dataset, Split
from core.defenses.knn import Smoothing
from core.defenses.names import protected
from core.evaluation.accuracy import EvaluationOptions
from core.evaluation.judge import evaluate_accuracy
from core.events import Done, Epoch, Note, Progress, result
from core.models import ARCHITECTURES, Output, build
from core.models.cards import Source
from core.models.checkpoints import BEST, LAST, load_model, load_training, read_card, resolve_model, save_model
from core.models.discriminator import ADVERSARIAL, REAL, build_discriminator
from core.results.records import read_json, read_jsonl
from core.training import REGIMES, TrainOptions, command, dataset_of_weights, train
from core.training.learner import DomainBatch, Learner, divergence
from core.training.options import ATTACK_OPTIMISERS, RegimeName
from core.training.regimes import perturbed
from core.training.typical import add_typical
from tests.core.toys import CLASSES, attacked, settled_pointnet, toy_batch, toy_dataset, toy_options, toy_run

TIMES = {"seconds", "clouds_per_second"}


@pytest.mark.parametrize(
    ("regime", "count"),
    [
        ("simple", 5),
        ("defense", 3),
        ("pgd", 5),
        pytest.param("adversarial", 3, marks=pytest.mark.long),
        pytest.param("trades", 5, marks=pytest.mark.long),
        pytest.param("defense-pgd", 3, marks=pytest.mark.long),
    ],
)
def test_each_regime_learns_the_toys_and_reports_its_metrics(tmp_path: Path, regime: str, count: int) -> None:
    dataset = toy_dataset(96, 30)
    steps = 2 if toy_options(regime=regime).attack.steps > 1 else None
    options = toy_options(regime=regime, epochs=count, batch_size=12, attack_steps=steps)
    events = list(train(dataset, options, tmp_path / "run"))
    assert isinstance(events[0], Note)
    epochs = [event for event in events if isinstance(event, Epoch)]
    assert [event.index for event in epochs] == list(range(1, count + 1))
    expected = {"validation_clean", "validation_adversarial", "learning_rate", *TIMES}
    expected |= {"loss_clean", "accuracy_clean"} if regime != "pgd" else set()
    expected |= {"loss_adversarial"} if regime not in ("simple", "trades") else set()
    expected |= {"accuracy_adversarial"} if regime != "simple" else set()
    expected |= {"disagreement"} if regime == "trades" else set()
    expected |= {"feature_loss", "discriminator_loss", "discriminator_accuracy"} if "defense" in regime else set()
    assert epochs[-1].metrics.keys() == expected
    assert all(epochs[-1].metrics[loss] < epochs[0].metrics[loss] for loss in expected & {"loss_clean"})

    done = events[-1]
    assert isinstance(done, Done)
    assert done.complete
    model = load_model(resolve_model(tmp_path / "run"))
    report = result(evaluate_accuracy(model.module, dataset.split("test"), None, EvaluationOptions(points=64)))
    assert report.clean.accuracy.value > 0.9
    assert (model.card.regime, model.card.classes, model.card.epochs) == (regime, CLASSES, done.value.best_epoch)
    assert read_json(tmp_path / "run/options.json")["complete"] is True


def test_progress_counts_clouds_evenly_up_to_the_end(tmp_path: Path) -> None:
    events = [
        event for event in train(toy_dataset(), toy_options(epochs=2), tmp_path / "run") if isinstance(event, Progress)
    ]
    counts = [event.done for event in events]
    assert counts == sorted(counts)
    assert {event.total for event in events} == {2 * 60}
    assert counts[-1] == 120
    assert events[0].text == "epoch 1/2"


@pytest.fixture(scope="module")
def defended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a finished run with a discriminator."""
    folder = tmp_path_factory.mktemp("defended") / "run"
    toy_run(folder, regime="defense", epochs=2)
    return folder


class TestDiscriminatorOfRun:
    """What an attack that is adaptive to Defense-PointNet reads."""

    @pytest.fixture
    def folder(self, tmp_path: Path, defended: Path) -> Path:
        return Path(shutil.copytree(defended, tmp_path / "run"))

    def test_comes_back_with_the_best_weights(self, folder: Path) -> None:
        loaded, last = load_model(resolve_model(folder)), load_training(folder / LAST)[2]
        assert loaded.discriminator is not None
        assert loaded.discriminator(torch.zeros(5, 1024)).shape == (5, 2)
        assert not any(name.startswith("discriminator") for name in loaded.module.state_dict())
        if loaded.card.epochs == 2:
            for name, value in loaded.discriminator.state_dict().items():
                assert torch.equal(value, last[f"discriminator/{name}"])

    def test_stays_when_what_is_typical_is_added(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("core.training.typical.FEWEST", 1)
        before = load_model(folder / BEST).discriminator
        assert before is not None
        result(add_typical(folder / BEST, toy_dataset(), toy_options(regime="defense"), "cpu"))
        after = load_model(folder / BEST)
        assert after.typical is not None
        assert after.discriminator is not None
        for name, value in before.state_dict().items():
            assert torch.equal(after.discriminator.state_dict()[name], value)

    def test_of_an_earlier_version_is_that_of_the_last_epoch_of_the_same_run(self, folder: Path) -> None:
        loaded, last = load_model(folder / BEST), load_training(folder / LAST)[2]
        save_model(folder / BEST, loaded.module, loaded.card)
        found = load_model(folder / BEST).discriminator
        assert found is not None
        for name, value in found.state_dict().items():
            assert torch.equal(value, last[f"discriminator/{name}"])
        save_model(folder / BEST, loaded.module, loaded.card.model_copy(update={"seed": 7}))
        assert load_model(folder / BEST).discriminator is None
        save_model(folder / "alone.safetensors", loaded.module, loaded.card)
        assert load_model(folder / "alone.safetensors").discriminator is None

    @pytest.mark.parametrize("size", [(2, 100), (1024,)])
    def test_a_damaged_one_is_one_sentence(self, folder: Path, size: tuple[int, ...]) -> None:
        loaded = load_model(folder / BEST)
        wrong = nn.Sequential(nn.Linear(1, 1))
        wrong[0].weight = nn.Parameter(torch.zeros(size))
        save_model(folder / BEST, loaded.module, loaded.card, discriminator=wrong)
        with pytest.raises(ValueError, match="the discriminator that it holds is damaged"):
            load_model(folder / BEST)

    def test_is_fooled_by_an_attack_with_its_weight_behind_a_defence_too(self, folder: Path) -> None:
        loaded = load_model(folder / BEST)
        x, y = toy_batch()
        for model in (loaded, protected(loaded, Smoothing())):
            clean = {}
            for weight in (0.0, 100.0):
                attack = preset("pgd", discriminator_weight=weight, keep="last", restarts=0, epsilon=0.1)
                state = attacked(attack, model.module, x, y)
                assert state.evaluation is not None
                assert loaded.discriminator is not None
                clean[weight] = loaded.discriminator(state.evaluation.latent).softmax(1)[:, REAL].mean().item()
            assert clean[100.0] > clean[0.0]


class TestLosses:
    """Which loss reaches which part, by doing the same step by hand."""

    @pytest.fixture
    def learner(self) -> Learner:
        torch.manual_seed(0)
        model = build("pointnet", 3)
        chosen = toy_options(regime="defense", feature_weight=0.7)
        return Learner(Fabric(accelerator="cpu", devices=1), model, build_discriminator(model, 16), chosen)

    @pytest.mark.parametrize("domain", [REAL, ADVERSARIAL])
    def test_a_step_is_exactly_the_three_losses_each_on_its_own_part(self, learner: Learner, domain: int) -> None:
        x, y = toy_batch()
        model, discriminator = deepcopy(learner.model), deepcopy(learner.discriminator)
        assert discriminator is not None
        assert learner.discriminator is not None
        torch.manual_seed(1)
        learner.learn(y, DomainBatch(x, domain))

        torch.manual_seed(1)
        logits, latent = model(x)
        verdict = discriminator(latent)
        extractor = [p for name, p in model.named_parameters() if not name.startswith("classifier")]
        classifier = list(model.classifier.parameters())
        classifier_loss = F.cross_entropy(logits, y)
        feature_loss = F.cross_entropy(verdict, torch.zeros_like(y))
        discriminator_loss = F.cross_entropy(verdict, torch.full_like(y, domain))
        for loss, part in (
            (classifier_loss + 0.7 * feature_loss, extractor),
            (classifier_loss, classifier),
            (discriminator_loss, list(discriminator.parameters())),
        ):
            for parameter, gradient in zip(part, torch.autograd.grad(loss, part, retain_graph=True), strict=True):
                parameter.grad = gradient
        torch.optim.Adam([*extractor, *classifier, *discriminator.parameters()], 1e-3).step()
        for trained, byhand in ((learner.model, model), (learner.discriminator, discriminator)):
            for name, value in trained.state_dict().items():
                torch.testing.assert_close(value, byhand.state_dict()[name], rtol=1e-5, atol=1e-7)

    def test_the_discriminator_does_not_feel_the_feature_loss(self, learner: Learner) -> None:
        x, y = toy_batch()
        other = Learner(
            Fabric(accelerator="cpu", devices=1),
            deepcopy(learner.model),
            deepcopy(learner.discriminator),
            toy_options(regime="defense", feature_weight=0.0),
        )
        for each in (learner, other):
            torch.manual_seed(1)
            each.learn(y, DomainBatch(x, ADVERSARIAL))
        assert learner.discriminator is not None
        assert other.discriminator is not None
        for mine, theirs in zip(learner.discriminator.parameters(), other.discriminator.parameters(), strict=True):
            assert torch.equal(mine, theirs)
        assert not torch.equal(learner.model.second.linear.weight, other.model.second.linear.weight)
        assert torch.equal(learner.model.classifier[0].weight, other.model.classifier[0].weight)

    def test_a_joint_or_concatenated_update_is_one_step_on_the_mean_of_both_batches(self, learner: Learner) -> None:
        x, y = toy_batch()
        steps = {"alternate": 2, "joint": 1, "concatenated": 1}
        for updates, count in steps.items():
            model = deepcopy(learner.model)
            fabric = Fabric(accelerator="cpu", devices=1)
            each = Learner(fabric, model, None, toy_options(regime="adversarial", updates=updates))
            REGIMES["adversarial"].learn(each, x, y)
            assert {int(value) for name, value in each.state().items() if name.endswith("/step")} == {count}
            assert each.metrics.keys() == {"loss_clean", "accuracy_clean", "loss_adversarial", "accuracy_adversarial"}

    def test_concatenated_feeds_are_normalised_together_and_each_half_has_its_own_losses(self) -> None:
        x, y = toy_batch()
        moved = x + 0.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
        torch.manual_seed(0)
        model = build("pointnet", 3, {"dropout": 0.0}).train()
        discriminator = build_discriminator(model, 8)
        byhand, judge = deepcopy(model), deepcopy(discriminator)
        options = toy_options(regime="defense", updates="concatenated", feature_weight=0.5)
        learner = Learner(Fabric(accelerator="cpu", devices=1), model, discriminator, options)
        learner.learn(y, DomainBatch(x, REAL), DomainBatch(moved, ADVERSARIAL))

        logits, latent = byhand(torch.cat([x, moved]))
        clean, adversarial = F.cross_entropy(logits[: len(x)], y), F.cross_entropy(logits[len(x) :], y)
        to_fool = F.cross_entropy(judge(latent), torch.zeros(2 * len(x), dtype=torch.long))
        of_judge = F.cross_entropy(judge(latent.detach()), torch.tensor([0] * len(x) + [1] * len(x)))
        expected = {"loss_clean": clean, "loss_adversarial": adversarial, "feature_loss": to_fool}
        for name, value in (expected | {"discriminator_loss": of_judge}).items():
            assert learner.metrics[name] == pytest.approx(float(value.detach()), rel=1e-5)
        extractor = [p for name, p in byhand.named_parameters() if not name.startswith("classifier")]
        head = list(byhand.classifier.parameters())
        loss = (clean + adversarial) / 2
        gradients = torch.autograd.grad(loss + 0.5 * to_fool, extractor, retain_graph=True)
        for parameter, gradient in zip(extractor, gradients, strict=True):
            parameter.grad = gradient
        for parameter, gradient in zip(head, torch.autograd.grad(loss, head), strict=True):
            parameter.grad = gradient
        of_judge.backward()
        torch.optim.Adam([*extractor, *head, *judge.parameters()], options.learning_rate).step()
        for trained, wanted in ((model, byhand), (discriminator, judge)):
            for name, value in wanted.state_dict().items():
                torch.testing.assert_close(trained.state_dict()[name], value, rtol=1e-5, atol=1e-7)

    def test_the_batch_statistics_of_concatenated_feeds_are_those_of_all_clouds(self) -> None:
        x, y = toy_batch()
        torch.manual_seed(0)
        model = build("pointnet", 3).train()
        layer = deepcopy(model.input_transform.points[0])  # linear in the coordinates, then batch norm
        learner = Learner(Fabric(accelerator="cpu", devices=1), model, None, toy_options(updates="concatenated"))
        learner.learn(y, DomainBatch(x, REAL), DomainBatch(3 * x + 1, ADVERSARIAL))
        with torch.no_grad():
            expected = 0.1 * layer.linear(torch.cat([x, 3 * x + 1])).mean((0, 1))  # momentum 0.1, from zero
        found = model.input_transform.points[0].norm
        torch.testing.assert_close(found.running_mean, expected, rtol=1e-5, atol=1e-7)
        assert int(found.num_batches_tracked) == 1

    def test_the_feature_weight_can_rise_over_the_run(self, learner: Learner) -> None:
        ramped = Learner(
            Fabric(accelerator="cpu", devices=1),
            deepcopy(learner.model),
            deepcopy(learner.discriminator),
            toy_options(regime="defense", feature_ramp=True),
        )
        weights = []
        for ramped.progress in (0.0, 0.1, 0.5, 1.0):
            weights.append(ramped.feature_weight)
        assert weights[0] == 0.0
        assert weights == sorted(weights)
        assert weights[-1] == pytest.approx(1.0, abs=1e-3)

    def test_the_transform_penalty_pulls_the_feature_transform_towards_orthogonality(self) -> None:
        x, y = toy_batch(4, 16)
        norms = []
        for weight in (0.0, 100.0):
            torch.manual_seed(0)
            model = build("pointnet", 3, {"feature_transform": True})
            learner = Learner(Fabric(accelerator="cpu", devices=1), model, None, toy_options(transform_penalty=weight))
            for _ in range(4):
                torch.manual_seed(1)
                learner.learn(y, DomainBatch(x, REAL))
            norms.append(float(model.penalty.detach()))
        assert norms[1] < norms[0]

    def test_trades_is_the_clean_loss_and_the_weighted_divergence(self) -> None:
        x, y = toy_batch()
        moved = x + 0.05 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
        torch.manual_seed(0)
        model = build("pointnet", 3, {"dropout": 0.0}).train()
        byhand = deepcopy(model)
        learner = Learner(Fabric(accelerator="cpu", devices=1), model, None, toy_options(trades_weight=2.0))
        learner.trades_step(y, x, moved)
        clean, other = byhand(x).logits, byhand(moved).logits
        chances = clean.softmax(1)
        gap = (chances * (chances / other.softmax(1)).log()).sum(1).mean()
        (F.cross_entropy(clean, y) + 1e-3 * byhand.penalty + 2.0 * gap).backward()
        for mine, theirs in zip(model.parameters(), byhand.parameters(), strict=True):
            torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-3, atol=1e-5)
        assert learner.metrics["disagreement"] == pytest.approx(float(gap.detach()), rel=1e-4)

    def test_the_average_follows_the_weights_and_is_the_result(self) -> None:
        x, y = toy_batch()
        torch.manual_seed(0)
        model = build("pointnet", 3)
        learner = Learner(Fabric(accelerator="cpu", devices=1), model, None, toy_options(averaging=0.5))
        byhand = {name: value.clone() for name, value in model.state_dict().items()}
        for step in range(1, 4):
            learner.learn(y, DomainBatch(x, REAL))
            decay = min(0.5, (1 + step) / (10 + step))
            for name, value in model.state_dict().items():
                if value.is_floating_point():
                    byhand[name] = decay * byhand[name] + (1 - decay) * value
        for name, value in learner.evaluated_model.state_dict().items():
            if value.is_floating_point():
                torch.testing.assert_close(value, byhand[name])
            else:
                assert torch.equal(value, model.state_dict()[name])
        assert all(value.grad is None for value in learner.evaluated_model.parameters())

    def test_without_averaging_the_model_is_the_result(self, learner: Learner) -> None:
        assert learner.evaluated_model is learner.model
        x, y = toy_batch()
        learner.learn(y, DomainBatch(x, REAL))
        before = deepcopy(learner.model.state_dict())
        learner.reestimate_batch_norm()
        assert all(torch.equal(value, before[name]) for name, value in learner.model.state_dict().items())

    def test_the_batch_norm_of_the_average_settles_on_the_last_clouds_of_the_epoch(self) -> None:
        torch.manual_seed(0)
        model = build("pointnet", 3, {"dropout": 0.0})
        chosen = toy_options(averaging=0.9, batch_size=512, weight_perturbation=0.01)
        learner = Learner(Fabric(accelerator="cpu", devices=1), model, None, chosen)
        batches = [toy_batch(seed=seed) for seed in range(3)]
        for x, y in batches:
            learner.learn(y, DomainBatch(x, REAL))
        byhand = deepcopy(learner.evaluated_model)
        update_bn([x for x, _ in batches[-2:]], byhand)  # 2 batches of 512 are as many as it looks at
        before = deepcopy(learner.evaluated_model.state_dict())
        learner.reestimate_batch_norm()
        for name, value in learner.evaluated_model.state_dict().items():
            torch.testing.assert_close(value, byhand.state_dict()[name])
            statistic = name.rpartition(".")[2] in ("running_mean", "running_var", "num_batches_tracked")
            assert torch.equal(value, before[name]) is not statistic
        learner.begin_epoch(2)
        learner.learn(batches[0][1], DomainBatch(batches[0][0], REAL))
        byhand = deepcopy(learner.evaluated_model)
        update_bn([batches[0][0]], byhand)
        learner.reestimate_batch_norm()
        assert torch.equal(learner.evaluated_model.pool.norm.running_mean, byhand.pool.norm.running_mean)

    @pytest.mark.parametrize("regime", ["pgd", "trades"])
    def test_the_gradient_is_taken_beside_the_weights_and_the_step_from_them(self, regime: str) -> None:
        x, y = toy_batch()
        moved = x + 0.05 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
        torch.manual_seed(0)
        model = build("pointnet", 3, {"dropout": 0.0}).train()
        byhand, beside = deepcopy(model), deepcopy(model)

        def loss(network: nn.Module) -> torch.Tensor:
            if regime == "pgd":
                return F.cross_entropy(network(moved).logits, y)
            clean, other = network(x).logits, network(moved).logits
            return F.cross_entropy(clean, y) + 3.0 * divergence(clean, other).mean()

        at_weights = loss(byhand)
        at_weights.backward()
        with torch.no_grad():
            for weight, mine in zip(beside.parameters(), byhand.parameters(), strict=True):
                if weight.dim() > 1:
                    weight += 0.01 * weight.norm() * mine.grad / mine.grad.norm()
        beside.zero_grad()
        loss(beside).backward()

        chosen = toy_options(regime=regime, weight_perturbation=0.01)
        learner = Learner(Fabric(accelerator="cpu", devices=1), model, None, chosen)
        if regime == "pgd":
            learner.learn(y, DomainBatch(moved, ADVERSARIAL))
            assert learner.metrics["loss_adversarial"] == pytest.approx(float(at_weights.detach()), rel=1e-5)
        else:
            learner.trades_step(y, x, moved)
        for mine, other, there in zip(model.parameters(), byhand.parameters(), beside.parameters(), strict=True):
            torch.testing.assert_close(mine.grad, there.grad, rtol=1e-3, atol=1e-5)
            other.grad = mine.grad
        torch.optim.Adam(byhand.parameters(), 1e-3).step()
        for name, value in model.state_dict().items():
            torch.testing.assert_close(value, byhand.state_dict()[name], rtol=1e-5, atol=1e-7)
        assert int(model.pool.norm.num_batches_tracked) == (1 if regime == "pgd" else 2)

    @pytest.mark.parametrize("regime", REGIMES)
    def test_every_regime_learns_beside_the_weights_otherwise_than_at_them(self, learner: Learner, regime: str) -> None:
        x, y = toy_batch()
        found = []
        for length in (0.0, 0.01):
            chosen = toy_options(regime=regime, weight_perturbation=length, attack_steps=1)
            judge = deepcopy(learner.discriminator) if REGIMES[regime].discriminator else None
            each = Learner(Fabric(accelerator="cpu", devices=1), deepcopy(learner.model), judge, chosen)
            torch.manual_seed(1)
            REGIMES[regime].learn(each, x, y)
            found.append(each)
        assert found[0].metrics.keys() == found[1].metrics.keys()
        assert not torch.equal(found[0].model.pool.linear.weight, found[1].model.pool.linear.weight)

    @pytest.mark.parametrize("regime", ["pgd", "defense-pgd"])
    @pytest.mark.parametrize("random_start", [True, False])
    def test_the_attack_of_many_steps_starts_at_random_or_at_the_clean_cloud(
        self, regime: str, random_start: bool
    ) -> None:
        x, y = toy_batch()
        torch.manual_seed(0)
        model = build("pointnet", 3, {"dropout": 0.0})
        judge = build_discriminator(model, 16) if REGIMES[regime].discriminator else None
        chosen, found = toy_options(regime=regime, attack_steps=2, attack_random_start=random_start), []
        for seed in (0, 1):
            each = Learner(Fabric(accelerator="cpu", devices=1), deepcopy(model), deepcopy(judge), chosen)
            torch.manual_seed(seed)
            REGIMES[regime].learn(each, x, y)
            found.append(each.model.pool.linear.weight)
        assert torch.equal(*found) is not random_start

    @pytest.mark.parametrize("regime", get_args(RegimeName))
    def test_the_options_that_it_says_are_unused_change_nothing_and_the_others_do(self, regime: str) -> None:
        x, y = toy_batch()
        torch.manual_seed(0)
        model = build("pointnet", 3, {"dropout": 0.0})
        changes = {
            "epsilon_ramp": 2,
            "attack_mode": "train",
            "attack_random_start": False,
            "updates": "joint",
            "trades_weight": 1.0,
            "discriminator_width": 8,
            "feature_weight": 0.5,
            "feature_ramp": True,
        }

        def learned(**options: Any) -> torch.Tensor:
            chosen = toy_options(regime=regime, attack_steps=2, **options)
            torch.manual_seed(1)
            width = chosen.discriminator_width
            judge = build_discriminator(model, width) if REGIMES[regime].discriminator else None
            each = Learner(Fabric(accelerator="cpu", devices=1), deepcopy(model), judge, chosen)
            torch.manual_seed(1)
            REGIMES[regime].learn(each, x, y)
            return each.model.pool.linear.weight

        usual = learned()
        unchanged = {name for name, value in changes.items() if torch.equal(learned(**{name: value}), usual)}
        assert unchanged == toy_options(regime=regime).unused()

    def test_the_budget_can_grow_over_the_first_epochs(self, learner: Learner) -> None:
        chosen = toy_options(epochs=10, epsilon=0.2, epsilon_ramp=4)
        ramped = Learner(Fabric(accelerator="cpu", devices=1), deepcopy(learner.model), None, chosen)
        budgets = []
        for ramped.progress in (0.0, 0.2, 0.4, 1.0):
            budgets.append(ramped.attack.epsilon)
        assert budgets == pytest.approx([0.0, 0.1, 0.2, 0.2])


class TestInnerAttack:
    def test_from_a_random_start_stays_in_the_budget_and_takes_its_seed_from_pytorch(self) -> None:
        x, y = toy_batch()
        model, attack = build("pointnet", 3).train(), toy_options(attack_steps=3).attack
        found = []
        for seed in (0, 0, 1):
            torch.manual_seed(seed)
            found.append(perturbed(model, x, y, attack, random_start=True))
        assert torch.equal(found[0], found[1])
        assert not torch.equal(found[0], found[2])
        assert all((moved - x).abs().max() <= 0.05 + 1e-6 for moved in found)

    def test_one_step_of_trades_starts_away_from_the_clean_cloud(self) -> None:
        """At the clean cloud itself the divergence has no slope but rounding."""
        x, y = toy_batch()
        model, attack = settled_pointnet(64).float(), toy_options(attack_steps=1, epsilon=0.02).attack
        clean = model(x).logits.detach()

        def gap(output: Output, _: torch.Tensor) -> torch.Tensor:
            return divergence(clean, output.logits)

        torch.manual_seed(0)
        moved, stuck = (perturbed(model, x, y, attack, value=gap, random_start=start) for start in (True, False))
        reached = [float(divergence(clean, model(cloud).logits).sum().detach()) for cloud in (moved, stuck)]
        assert reached[0] > reached[1]

    def test_raises_the_loss_it_is_given(self) -> None:
        x, y = toy_batch()
        model, attack = settled_pointnet(64).float(), toy_options(attack_steps=5).attack

        def first_logit(output: Output, _: torch.Tensor) -> torch.Tensor:
            return output.logits[:, 0]

        moved = perturbed(model, x, y, attack, value=first_logit)
        assert (model(moved).logits[:, 0] > model(x).logits[:, 0]).all()

    def test_the_regimes_of_many_steps_take_seven_unless_told_otherwise(self) -> None:
        steps = {regime: toy_options(regime=regime).attack.steps for regime in REGIMES}
        assert steps == {"simple": 1, "adversarial": 1, "defense": 1, "pgd": 7, "trades": 7, "defense-pgd": 7}
        assert toy_options(regime="pgd", attack_steps=3).attack.steps == 3

    @pytest.mark.parametrize("mode", ["eval", "train"])
    def test_leaves_weights_statistics_gradients_and_mode_as_they_were(self, mode: str) -> None:
        x, y = toy_batch()
        model = build("pointnet", 3).train()
        before, clean = deepcopy(model.state_dict()), x.clone()
        moved = perturbed(model, x, y, toy_options(attack_steps=2).attack, mode)
        assert torch.equal(x, clean)
        assert not torch.equal(moved, x)
        assert (moved - x).abs().max() <= 0.05 + 1e-6
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
        assert all(parameter.grad is None for parameter in model.parameters())
        assert all(module.training for module in model.modules())

    @pytest.mark.parametrize(
        ("direction", "steps", "optimiser"),
        [
            ("sign", 1, "gd"),
            ("raw", 1, "gd"),
            ("per-point", 3, "gd"),
            *(("sign", 4, optimiser) for optimiser in ATTACK_OPTIMISERS),
        ],
    )
    def test_is_the_attack_of_the_options_at_its_last_iterate(self, direction: str, steps: int, optimiser: str) -> None:
        x, y = toy_batch()
        chosen = toy_options(direction=direction, attack_steps=steps, attack_optimiser=optimiser)
        model = build("pointnet", 3).train()
        state = result(chosen.attack.run(model, x, y))
        torch.testing.assert_close(perturbed(model, x, y, chosen.attack), state.current)

    def test_with_batch_statistics_follows_the_gradient_of_the_training_mode(self) -> None:
        x, y = toy_batch()
        model = build("pointnet", 3, {"dropout": 0.0}).train()
        points = x.clone().requires_grad_()
        gradient = torch.autograd.grad(F.cross_entropy(deepcopy(model)(points).logits, y, reduction="sum"), points)[0]
        moved = perturbed(model, x, y, toy_options().attack, "train")
        torch.testing.assert_close(moved, x + 0.05 * gradient.sign())


def test_the_best_weights_are_those_of_the_best_validated_epoch(tmp_path: Path) -> None:
    done = toy_run(tmp_path / "run", regime="adversarial", epochs=4)
    lines = read_jsonl(tmp_path / "run/metrics.jsonl")
    scores = [line["validation_clean"] + line["validation_adversarial"] for line in lines]
    assert done.best_epoch == int(np.argmax(scores)) + 1
    model = load_model(resolve_model(tmp_path / "run"))
    dataset = toy_dataset()
    _, held = dataset.validation(0.1, 0)
    whole = dataset.split("train")
    split = Split(whole.points[held], whole.labels[held], [whole.names[row] for row in held])
    report = result(evaluate_accuracy(model.module, split, toy_options().attack, EvaluationOptions(points=32)))
    assert report.clean.accuracy.value == lines[done.best_epoch - 1]["validation_clean"]
    assert report.adversarial.accuracy.value == lines[done.best_epoch - 1]["validation_adversarial"]


def test_a_regime_of_many_steps_is_validated_by_an_attack_that_it_does_not_learn_from(tmp_path: Path) -> None:
    done = toy_run(tmp_path / "run", regime="pgd", epochs=1, attack_steps=1)
    dataset = toy_dataset()
    held = dataset.validation(0.1, 0)[1]
    whole = dataset.split("train")
    split = Split(whole.points[held], whole.labels[held], [whole.names[row] for row in held])
    attack = preset("apgd-ce", steps=10, epsilon=0.05)
    model = load_model(resolve_model(tmp_path / "run")).module
    report = result(evaluate_accuracy(model, split, attack, EvaluationOptions(points=32)))
    assert report.adversarial.accuracy.value == done.metrics["validation_adversarial"]


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a finished run on the toys."""
    folder = tmp_path_factory.mktemp("known") / "run"
    toy_run(folder, epochs=1)
    return folder


class TestInitialWeights:
    def test_a_training_begins_from_them_and_says_so(self, tmp_path: Path, known: Path) -> None:
        before = load_model(resolve_model(known))
        toy_run(tmp_path / "run", epochs=1, initial_weights=str(known), learning_rate=1e-8)
        after = load_model(resolve_model(tmp_path / "run"))
        for weight, other in zip(before.module.parameters(), after.module.parameters(), strict=True):
            torch.testing.assert_close(weight, other, rtol=0, atol=1e-6)
        assert after.card.initial == before.sha256 == read_json(tmp_path / "run/options.json")["weights"]
        assert f"--initial-weights {known}" in after.card.command

    def test_an_option_that_no_weight_depends_on_may_be_another(self, tmp_path: Path, known: Path) -> None:
        toy_run(tmp_path / "run", epochs=1, initial_weights=str(known), model_options={"dropout": 0.0})
        assert load_model(resolve_model(tmp_path / "run")).card.options["dropout"] == 0.0

    def test_what_does_not_agree_is_refused_before_anything_is_written(self, tmp_path: Path, known: Path) -> None:
        with pytest.raises(ValueError, match="There is no model 'nothing'"):
            toy_run(tmp_path / "run", initial_weights="nothing")
        with pytest.raises(ValueError, match="can't begin from pointnet-simple: its classes are not those of toys"):
            toy_run(tmp_path / "run", initial_weights="pointnet-simple")
        with pytest.raises(ValueError, match=r"'feature_transform': False.*, and the training is of a pointnet {'feat"):
            toy_run(tmp_path / "run", initial_weights=str(known), model_options={"feature_transform": True})
        loaded = load_model(resolve_model(known))
        source = Source(file="theirs.pth", sha256="0", kind="weights")
        save_model(tmp_path / "theirs.safetensors", loaded.module, loaded.card.model_copy(update={"source": source}))
        with pytest.raises(ValueError, match="it is a model of another project"):
            toy_run(tmp_path / "run", initial_weights=str(tmp_path / "theirs.safetensors"))
        assert not (tmp_path / "run").exists()

    def test_a_run_that_finished_no_epoch_needs_the_same_again(self, tmp_path: Path, known: Path) -> None:
        mine, whole, folder = tmp_path / "mine.safetensors", tmp_path / "whole", tmp_path / "run"
        mine.write_bytes(resolve_model(known).read_bytes())
        toy_run(whole, epochs=1, initial_weights=str(mine))
        stream = train(toy_dataset(), toy_options(epochs=1, initial_weights=str(mine)), folder)
        next(stream)
        stream.close()  # type: ignore[attr-defined]
        other = load_model(mine)
        save_model(mine, other.module, other.card.model_copy(update={"title": "another"}))
        with pytest.raises(ValueError, match=r"was begun from another .* than is there now, so it can't go on"):
            toy_run(folder, resume=True, epochs=1)
        mine.write_bytes(resolve_model(known).read_bytes())
        toy_run(folder, resume=True, epochs=1)
        mine.unlink()
        ours, theirs = (load_training(each / "last.safetensors")[1] for each in (folder, whole))
        assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
        assert toy_run(folder, resume=True, epochs=2).epochs == 2


def test_fewer_clouds_can_be_learned_from_in_the_proportions_of_the_classes(tmp_path: Path) -> None:
    first, *_, last = train(toy_dataset(), toy_options(clouds=12, epochs=1), tmp_path / "run")
    assert isinstance(first, Note)
    assert "12 clouds to learn from, 6 to validate" in first.text
    assert isinstance(last, Done)
    assert last.complete


def test_tf32_is_switched_on_for_the_steps_alone_and_changes_nothing_on_a_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    switch = torch.set_float32_matmul_precision
    monkeypatch.setattr(torch, "set_float32_matmul_precision", lambda value: (seen.append(value), switch(value)))
    tf32 = toy_run(tmp_path / "tf32", epochs=1, precision="tf32")
    assert set(seen) == {"high", "highest"}
    assert torch.get_float32_matmul_precision() == "highest"
    plain = toy_run(tmp_path / "plain", epochs=1)
    timed = ("seconds", "clouds_per_second")
    metrics = [{name: value for name, value in run.metrics.items() if name not in timed} for run in (tf32, plain)]
    assert metrics[0] == metrics[1]


def test_half_precision_training_runs(tmp_path: Path) -> None:
    assert toy_run(tmp_path / "run", epochs=1, precision="bf16-mixed", regime="defense").epochs == 1


def test_the_card_tells_where_a_model_comes_from(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    result(train(toy_dataset(), toy_options(epochs=1), folder, data_root=tmp_path))
    card = read_card(resolve_model(folder))
    assert (card.name, card.dataset, card.points, card.seed, card.up_axis) == ("run", "toys", 32, 0, "z")
    assert (
        card.command
        == "pointward train --dataset toys --epochs 1 --batch-size 16 --points 32 --epsilon 0.05 --device cpu"
    )
    assert dataset_of_weights(resolve_model(folder), card)[:2] == ("toys", tmp_path)
    assert dataset_of_weights(tmp_path / "elsewhere.safetensors", card)[:2] == ("toys", None)


class TestOptions:
    def test_the_learning_rate_falls_along_a_cosine_to_a_hundredth(self) -> None:
        chosen = TrainOptions(schedule="cosine", epochs=5)
        rates = [chosen.learning_rate_at(epoch) for epoch in range(1, 6)]
        assert rates[0] == 1e-3
        assert rates[2] == pytest.approx(1e-3 * (0.01 + 0.99 / 2))
        assert rates[4] == pytest.approx(1e-5)
        assert rates == sorted(rates, reverse=True)
        assert TrainOptions(schedule="cosine", epochs=1).learning_rate_at(1) == 1e-3
        assert chosen.unused() - TrainOptions().unused() == {"decay", "decay_every"}

    def test_the_learning_rate_halves_every_twenty_epochs(self) -> None:
        rates = [TrainOptions().learning_rate_at(epoch) for epoch in (1, 20, 21, 40, 41)]
        assert rates == [1e-3, 1e-3, 5e-4, 5e-4, 2.5e-4]

    def test_every_architecture_and_regime_can_be_chosen(self) -> None:
        assert [TrainOptions(model=name).model for name in ARCHITECTURES] == list(ARCHITECTURES)
        with pytest.raises(ValueError, match="there is no such name; there are pointnet, dgcnn"):
            TrainOptions(model="vgg")
        assert set(get_args(RegimeName)) == set(REGIMES)

    def test_options_of_the_architecture_are_completed_and_checked(self) -> None:
        assert TrainOptions(model_options={"dropout": 0.5}).model_options == {
            "dropout": 0.5,
            "feature_transform": False,
        }
        with pytest.raises(ValidationError, match="dropout"):
            TrainOptions(model_options={"dropout": 2})
        with pytest.raises(ValidationError, match="model"):
            TrainOptions.model_validate({"model": "resnet"})

    def test_every_option_has_a_sentence_and_survives_json(self) -> None:
        assert all((field.description or "").endswith(".") for field in TrainOptions.model_fields.values())
        chosen = toy_options(regime="defense", attack_step_size=0.02)
        assert TrainOptions.model_validate_json(chosen.model_dump_json()) == chosen

    def test_the_attack_follows_the_options(self) -> None:
        chosen = toy_options(direction="per-point", epsilon=0.2, attack_steps=7).attack
        assert (chosen.direction, chosen.constraint, chosen.epsilon, chosen.steps) == (
            "per-point",
            "per-point-l2",
            0.2,
            7,
        )

    @pytest.mark.parametrize("direction", get_args(Direction))
    def test_the_attack_of_validation_has_the_same_budget(self, direction: str) -> None:
        chosen = toy_options(regime="trades", direction=direction, attack_steps=3)
        validated = chosen.attack_of_validation
        assert (validated.epsilon, validated.constraint) == (chosen.attack.epsilon, chosen.attack.constraint)
        assert (validated.steps, validated.optimiser) == (10, "apgd")
        assert toy_options(regime="trades", validation_attack="training").attack_of_validation.steps == 7
        assert toy_options(regime="defense").attack_of_validation == toy_options(regime="defense").attack
        assert toy_options(regime="defense", validation_attack="apgd-ce").attack_of_validation.steps == 10

    def test_too_many_points_are_refused_before_anything_is_written(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="toys stores 64 points of each cloud, so 65 different ones"):
            toy_run(tmp_path / "run", points=65)
        assert not (tmp_path / "run").exists()

    def test_the_command_is_what_differs_from_the_defaults(self) -> None:
        chosen = TrainOptions(regime="defense", feature_ramp=True, model_options={"dropout": 0.5})
        assert command(chosen, "toys") == (
            "pointward train --dataset toys --model-options.feature_transform False --model-options.dropout 0.5 "
            "--regime defense --feature-ramp"
        )


def test_what_could_not_be_kept_is_refused_before_it_is_trained(tmp_path: Path) -> None:
    whole = toy_dataset()
    alone = Dataset(whole.card.model_copy(update={"classes": CLASSES[:1]}), whole.splits)
    with pytest.raises(ValueError, match="one class alone"):
        list(train(alone, toy_options(), tmp_path / "alone"))
    few = whole.split("train")
    rows = [int(np.flatnonzero(few.labels == label)[0]) for label in range(len(CLASSES))]
    few = Split(few.points[rows], few.labels[rows], [few.names[row] for row in rows])
    with pytest.raises(ValueError, match="3 are left to learn from and 0 to validate"):
        list(train(Dataset(whole.card, {**whole.splits, "train": few}), toy_options(), tmp_path / "few"))
    assert not any(tmp_path.iterdir())
