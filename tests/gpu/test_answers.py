"""Answers, attacks, evaluation, maps and what the studio computes: on the device as on the CPU, within rounding.

Two devices add in different orders. Where two points of a channel's maximum are nearly equal, or a coordinate of a
gradient is nearly zero, they may decide differently, so perturbations agree in nearly all coordinates and no more.
"""

from typing import Any

import numpy as np
import pytest
import torch

from core import live
from core.attacks import State, preset
from core.clouds import Cloud
from core.datasets import Split
from core.evaluation.accuracy import AccuracyReport, EvaluationOptions
from core.evaluation.judge import evaluate_accuracy
from core.evaluation.latents import LatentMap, LatentOptions, latent_map
from core.evaluation.tsne import TsneOptions
from core.events import result
from core.models.checkpoints import LoadedModel
from core.models.predict import predict
from tests.core.toys import attacked
from tests.gpu.conftest import POINTS, Pair

EPSILON = 0.05
ATTACKS: dict[str, dict[str, Any]] = {
    "fgsm": {},
    "fgsm raw": {"direction": "raw"},
    "fgsm per point": {"direction": "per-point"},
    "fgsm l2": {"direction": "l2"},
    "bim": {"steps": 5},
    "mi": {"steps": 5},
    "pgd": {"steps": 5, "restarts": 1},
    "pgd targeted": {"steps": 5, "goal": "targeted"},
}


def test_a_model_answers_the_same(pairs: list[Pair], shapes: Split) -> None:
    for here, there in pairs:
        expected, found = (predict(model.module, shapes.points) for model in (here, there))
        np.testing.assert_allclose(found.logits, expected.logits, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(found.latent, expected.latent, rtol=1e-3, atol=1e-3)
        assert (found.prediction == expected.prediction).mean() >= 0.98


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_finds_what_it_finds_on_the_cpu(
    name: str, pairs: list[Pair], shapes: Split, device: torch.device
) -> None:
    attack = preset(name.split()[0], epsilon=EPSILON, **ATTACKS[name])
    wanted = (shapes.labels + 1) % 16 if attack.goal == "targeted" else shapes.labels
    x, y = torch.from_numpy(shapes.points), torch.from_numpy(wanted)
    expected: State = attacked(attack, pairs[0].here.module, x, y)
    found: State = attacked(attack, pairs[0].there.module, x.to(device), y.to(device))
    assert found.adversarial.device.type == device.type
    moved, moved_here = (state.adversarial.cpu() - x for state in (found, expected))
    if attack.constraint == "linf":
        assert moved.abs().max() <= EPSILON + 1e-6
    agreeing = ((moved - moved_here).abs() <= 1e-3 * EPSILON + 1e-2 * moved_here.abs()).double().mean()
    assert agreeing >= (0.95 if attack.total_steps == 1 else 0.6), "later steps go on from what differs"
    assert found.best is not None
    assert expected.best is not None
    assert float(found.best.loss.mean()) == pytest.approx(float(expected.best.loss.mean()), rel=0.05)
    fooled, fooled_here = (
        state.best.prediction.cpu() != torch.from_numpy(shapes.labels) for state in (found, expected)
    )
    assert (fooled == fooled_here).double().mean() >= 0.9


def test_random_starts_are_the_same(pairs: list[Pair], shapes: Split, device: torch.device) -> None:
    attack = preset("pgd", epsilon=EPSILON, steps=1, restarts=1, step_size=0.0)
    x, y = torch.from_numpy(shapes.points[:8]), torch.from_numpy(shapes.labels[:8])
    here = attacked(attack, pairs[0].here.module, x, y, seed=5)
    there = attacked(attack, pairs[0].there.module, x.to(device), y.to(device), seed=5)
    torch.testing.assert_close(there.current.cpu(), here.current)
    assert (here.current - x).abs().max() > 0.9 * EPSILON


@pytest.mark.parametrize("stop_on_success", [False, True])
def test_an_evaluation_counts_the_same(pairs: list[Pair], shapes: Split, stop_on_success: bool) -> None:
    attack = preset("pgd", epsilon=EPSILON, steps=5, restarts=0)
    options = EvaluationOptions(points=POINTS, stop_on_success=stop_on_success)
    for here, there in pairs:
        expected, found = (_report(model, shapes, attack, options) for model in (here, there))
        assert found.clean.accuracy.value == pytest.approx(expected.clean.accuracy.value, abs=0.02)
        assert found.adversarial is not None
        assert expected.adversarial is not None
        assert found.adversarial.accuracy.value == pytest.approx(expected.adversarial.accuracy.value, abs=0.07)
        assert found.adversarial.linf.max() <= EPSILON + 1e-6
        np.testing.assert_allclose(found.clean.confidence, expected.clean.confidence, atol=1e-2)


def _report(model: LoadedModel, shapes: Split, attack: Any, options: EvaluationOptions) -> AccuracyReport:
    report: AccuracyReport = result(evaluate_accuracy(model.module, shapes, attack, options))
    return report


def test_a_map_is_made_of_the_same_latents(pairs: list[Pair], shapes: Split) -> None:
    attack = preset("fgsm", epsilon=EPSILON)
    options, fit = LatentOptions(clouds=len(shapes), points=POINTS), TsneOptions(perplexity=10, iterations=50)
    maps: list[LatentMap] = [
        result(latent_map(model.module, shapes, attack, options, fit)) for model in (pairs[0].here, pairs[0].there)
    ]
    clean = ~maps[0].adversarial
    np.testing.assert_allclose(maps[1].latents[clean], maps[0].latents[clean], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(maps[1].latents, maps[0].latents, atol=0.1)
    assert np.isfinite(maps[1].map.xy).all()
    assert maps[1].accuracy == pytest.approx(maps[0].accuracy, abs=0.05)


def test_the_studio_computes_the_same_for_every_model(pairs: list[Pair], shapes: Split) -> None:
    label = 4
    row = int(np.flatnonzero(shapes.labels == label)[0])
    cloud = Cloud(shapes.points[row], shapes.names[row], label)
    attack = preset("pgd", epsilon=EPSILON, steps=4, restarts=0)
    grid = np.linspace(0, 0.1, 5)
    scenes, outcomes, attacked_outcomes = [], [], []
    for side in ("here", "there"):
        setup = live.Setup(tuple(getattr(pair, side) for pair in pairs), 0, attack, cloud)
        found: live.AttackResult = result(live.attack(setup, EPSILON))
        scenes.append(found.scene)
        outcomes.append(result(live.rescaled_outcome(found.scene, grid)))
        attacked_outcomes.append(result(live.attacked_outcome(found.scene, grid)))
        smaller = live.refit(found.scene, EPSILON / 2)
        assert smaller.distances.linf <= EPSILON / 2 + 1e-6
        assert live.advance(live.begin(setup)).step == 1
    here, there = scenes
    np.testing.assert_allclose(there.clean_confidence, here.clean_confidence, atol=1e-2)
    np.testing.assert_allclose(there.adversarial_confidence, here.adversarial_confidence, atol=0.15)
    assert there.distances.linf == pytest.approx(here.distances.linf, abs=1e-6)
    assert there.loss == pytest.approx(here.loss, rel=0.1, abs=0.05)
    np.testing.assert_allclose(outcomes[1].confidence, outcomes[0].confidence, atol=0.15)
    np.testing.assert_allclose(attacked_outcomes[1].confidence, attacked_outcomes[0].confidence, atol=0.15)
