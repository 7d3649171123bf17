"""From a finished run to a model that comes with the program."""

from collections.abc import Iterator
from pathlib import Path

import torch

from core.attacks import preset
from core.datasets import Dataset
from core.evaluation.accuracy import AccuracyReport, EvaluationOptions, evaluate_accuracy
from core.events import Done, Event, forward
from core.models.checkpoints import ModelCard, load_model, resolve_model, save_builtin
from core.runtime.files import atomic_path

ATTACKS = {"fgsm": preset("fgsm"), "pgd-20": preset("pgd", epsilon=0.05, steps=20, restarts=0)}
"""Under which shipped models are measured."""


def install_weights(run: Path, dataset: Dataset, name: str, title: str) -> Iterator[Event]:
    """Round a run's best weights to float16, measure them on the test split, and put them among the built-in models.

    Writes the weights, a readable card beside them and the checksum in the index; a model of the same name is replaced.

    Yields
    ------
    Progress of the measurement, then Done with the path of the weights.
    """
    loaded = load_model(resolve_model(run))
    with torch.no_grad():
        for weight in loaded.module.parameters():
            weight.copy_(weight.half())
    test = dataset.split("test")
    points = min(loaded.card.points, test.points.shape[1])
    options = EvaluationOptions(points=points, stop_on_success=True)
    metrics: dict[str, float] = {}
    for kind, attack in ATTACKS.items():
        report: AccuracyReport = (yield from forward(evaluate_accuracy(loaded.module, test, attack, options))).value
        clean, moved = report.sides
        metrics |= {"test_clouds": len(report.row), "test_clean": clean.accuracy.value}
        metrics[f"test_{kind}_{attack.epsilon:g}"] = moved.accuracy.value
    card = loaded.card.model_copy(update={"name": name, "title": title, "metrics": metrics})
    path = save_builtin(loaded.module, card)
    with atomic_path(path.with_suffix(".md")) as part:
        part.write_text(_readable(card), encoding="utf-8")
    yield Done(path)


def _readable(card: ModelCard) -> str:
    rows = {
        "Architecture": f"{card.architecture} {card.options}",
        "Training": f"{card.regime}, {card.epochs} epochs, {card.points} points a cloud, seed {card.seed}",
        "Command": f"`{card.command}`",
        "Dataset": f"{card.dataset}, fingerprint `{card.fingerprint}`, {card.up_axis} up",
        "Classes": ", ".join(card.classes),
        "Made": f"{card.created} with " + ", ".join(f"{name} {version}" for name, version in card.versions.items()),
        **{name.replace("_", " ").capitalize(): f"{value:.4g}" for name, value in card.metrics.items()},
    }
    rows |= {"PGD": "20 steps from the clean cloud"}
    lines = [f"# {card.title}", "", "| | |", "|---|---|", *(f"| {key} | {value} |" for key, value in rows.items())]
    return "\n".join(lines) + "\n"
