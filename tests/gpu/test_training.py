"""Trainings on the device: every regime of the first paper in each precision, and what becomes of their runs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core.events import Cancel, Epoch, result
from core.models.checkpoints import BEST, load_model, load_training
from core.models.predict import predict
from core.results.records import read_jsonl
from core.training import train
from core.training.runs import METRICS
from tests.core.toys import toy_dataset, toy_options, toy_split
from tests.gpu import DEVICE

REGIMES = ("simple", "adversarial", "defense")
PRECISIONS = {"32-true": 0.005, "tf32": 0.02, "bf16-mixed": 0.05}
"""And by how much, as a share, losses may differ from those of the CPU in single precision."""
STILL = {"epochs": 1, "learning_rate": 1e-6, "model_options": {"dropout": 0.0}}
"""Changes after which the weights hardly move, or differences would grow from step to step, and dropout, whose random
numbers are the device's own, plays no part."""


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, float]]:
    """What the CPU measures of each regime in single precision."""
    folder = tmp_path_factory.mktemp("cpu")
    return {regime: metrics(folder / regime, regime=regime, device="cpu", **STILL)[0] for regime in REGIMES}


def metrics(folder: Path, **changes: Any) -> list[dict[str, float]]:
    """Train on the toys; what was measured in each epoch."""
    result(train(toy_dataset(), toy_options(**changes), folder))
    return read_jsonl(folder / METRICS)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("regime", REGIMES)
def test_losses_are_those_of_the_cpu(
    regime: str, precision: str, tmp_path: Path, expected: dict[str, dict[str, float]]
) -> None:
    [found] = metrics(tmp_path / "run", regime=regime, precision=precision, device=DEVICE, **STILL)
    names = [name for name in found if "loss" in name]
    assert len(names) == {"simple": 1, "adversarial": 2, "defense": 4}[regime]
    for name in names:
        assert found[name] == pytest.approx(expected[regime][name], rel=PRECISIONS[precision]), name


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("regime", REGIMES)
def test_a_regime_learns_in_each_precision(regime: str, precision: str, tmp_path: Path) -> None:
    history = metrics(tmp_path / "run", regime=regime, precision=precision, epochs=6, device=DEVICE)
    assert history[-1]["loss_clean"] < 0.7 * history[0]["loss_clean"]
    assert all(np.isfinite(value) for line in history for value in line.values())
    assert torch.get_float32_matmul_precision() == "highest", "tf32 is over with the step"

    here, there = (load_model(tmp_path / "run" / BEST, device) for device in ("cpu", DEVICE))
    assert {tensor.dtype for tensor in here.module.parameters()} == {torch.float32}
    points = toy_split(12, 32).points
    np.testing.assert_allclose(
        predict(there.module, points).logits, predict(here.module, points).logits, rtol=1e-2, atol=1e-2
    )


def test_a_training_that_was_stopped_goes_on_on_the_device(tmp_path: Path) -> None:
    options = {"regime": "defense", "epochs": 4, "averaging": 0.9, "device": DEVICE}
    result(train(toy_dataset(), toy_options(**options), tmp_path / "whole"))
    cancel = Cancel()
    for event in train(toy_dataset(), toy_options(**options), tmp_path / "halves", cancel):
        if isinstance(event, Epoch) and event.index == 2:
            cancel.request()
    result(train(toy_dataset(), toy_options(**options), tmp_path / "halves", resume=True))
    whole, halves = (load_training(tmp_path / name / "last.safetensors") for name in ("whole", "halves"))
    assert whole[0].epochs == halves[0].epochs == 4
    for name, tensor in whole[1].items():
        assert tensor.device.type == halves[1][name].device.type == "cpu"
        torch.testing.assert_close(halves[1][name], tensor, rtol=0.05, atol=0.05)
