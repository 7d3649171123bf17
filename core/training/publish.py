"""Makes a built-in model, which comes with the program, from a finished run."""

import platform
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from core.attacks import preset
from core.datasets import Dataset
from core.evaluation.accuracy import AccuracyReport, CleanCache, EvaluationOptions
from core.evaluation.auto import AUTO
from core.evaluation.judge import evaluate_accuracy
from core.evaluation.make import read_set
from core.events import Done, Event, forward
from core.models.cards import ModelCard
from core.models.checkpoints import LoadedModel, load_model, read_card, resolve_model, save_builtin
from core.models.typical import Typical
from core.runtime.files import FormatError, atomic_path
from core.training.options import TrainOptions
from core.training.record import run_exists, stored_options
from core.training.typical import measure_typical

ATTACKS = (
    ("fgsm", preset("fgsm", epsilon=0.05)),
    ("fgsm", preset("fgsm", epsilon=0.1)),
    ("pgd-20", preset("pgd", epsilon=0.05, steps=20, restarts=0)),
)
"""Attacks under which built-in models are measured, and their names among the metrics."""
POINTS = 1024
"""Points of the clouds on which they are measured, whatever the number in their training; those of the transfer study's
zoo on as many as there."""

_AUTO_METRIC = "test_auto_"


def install_weights(run: Path, dataset: Dataset, name: str, title: str, *, zoo: bool = False) -> Iterator[Event]:
    """Round a run's best weights to float16, measure them on the test split, and put them among the built-in models.

    Writes the weights, a readable card beside them and the checksum in the index; a model of the same name is replaced.
    With ``zoo`` it is of the transfer study's zoo, see ``builtin_models``.

    Yields
    ------
    Progress of the measurement, then Done with the path of the weights.
    """
    loaded = load_model(resolve_model(run))
    with torch.no_grad():
        for weight in loaded.module.parameters():
            weight.copy_(weight.half())
    test = dataset.split("test")
    points = loaded.card.points if zoo else POINTS
    options = EvaluationOptions(points=min(points, test.points.shape[1]), stop_on_success=True)
    metrics: dict[str, float] = {
        "test_clouds": len(test),
        "test_points": options.points,
        "test_copies_of_train": len(test.copies),
    }
    auto = {key: value for key, value in loaded.card.metrics.items() if key.startswith(_AUTO_METRIC)}
    without_copies: dict[str, float] = {}
    cache = CleanCache()
    for kind, attack in ATTACKS:
        evaluated = yield from forward(evaluate_accuracy(loaded.module, test, attack, options, clean_cache=cache))
        report: AccuracyReport = evaluated.value
        metrics |= _accuracies(report, f"{kind}_{attack.epsilon:g}", "")
        if len(test.copies):
            unseen = report.subset(np.delete(np.arange(len(test)), test.copies))
            without_copies |= _accuracies(unseen, f"{kind}_{attack.epsilon:g}", "_without_copies")
    card = loaded.card.model_copy(update={"name": name, "title": title, "metrics": metrics | without_copies | auto})
    typical = yield from forward(measure_typical(loaded.module, dataset, _training_options(loaded)))
    yield Done(_install(loaded.module, card, typical.value, zoo=zoo))


def install_auto(name: str, folders: Sequence[Path], dataset: Dataset) -> Path:
    """Put what ``auto`` leaves of a built-in model's accuracy into its file and card.

    Parameters
    ----------
    folders : complete sets of all test clouds, which ``pointward attack --attack auto`` made on this model.
    dataset : that of the sets.

    Returns
    -------
    The path of the weights, which are those they were.

    Raises
    ------
    FormatError
        If a set is not complete, of another attack, of another model, of other clouds, or of another number of points
        than the other accuracies of the card.
    """
    loaded = load_model(resolve_model(name))
    test = dataset.split("test")
    every, others = np.arange(len(test)), np.delete(np.arange(len(test)), test.copies)
    metrics = dict(loaded.card.metrics)
    for folder in folders:
        attacked, record = read_set(folder)
        expected = (AUTO, loaded.sha256, dataset.card.fingerprint, True)
        if (record.preset, record.weights, record.fingerprint, record.complete) != expected:
            raise FormatError(folder, f"it is no complete set of auto on {name} and these test clouds", "make it anew")
        if not np.array_equal(attacked.row, every):
            raise FormatError(folder, "it lacks test clouds", "make it without --clouds")
        points = record.evaluation.get("points")
        if points != (expected_points := metrics.get("test_points", points)):
            raise FormatError(
                folder,
                f"its clouds have {points} points, and the card's accuracies are of {expected_points:g}",
                f"make it with --points {expected_points:g}",
            )
        epsilon = f"{record.attack['epsilon']:g}"
        for rows, suffix in ((every, ""), (others, "_without_copies"))[: 1 + bool(len(test.copies))]:
            metrics[f"{_AUTO_METRIC}{epsilon}{suffix}"] = float(1 - attacked.success[rows].mean())
    return _install(loaded.module, loaded.card.model_copy(update={"metrics": metrics}), loaded.typical)


def install_typical(name: str, dataset: Dataset) -> Iterator[Event]:
    """Measure what is typical of the training data of a built-in model, and put it into its file and card.

    Yields
    ------
    Progress, then Done with the path of the weights, which are not changed.
    """
    loaded = load_model(resolve_model(name))
    typical = yield from forward(measure_typical(loaded.module, dataset, _training_options(loaded)))
    yield Done(_install(loaded.module, loaded.card, typical.value))


def _training_options(loaded: LoadedModel) -> TrainOptions:
    """Options with which ``training_rows`` gives the training and validation clouds of the model."""
    folder = loaded.path.parent if loaded.path else None
    if folder is not None and run_exists(folder):
        return stored_options(folder)
    return TrainOptions(seed=loaded.card.seed, points=loaded.card.points)  # a built-in model has the default split


def _install(module: nn.Module, card: ModelCard, typical: Typical | None, *, zoo: bool = False) -> Path:
    """Write the weights and the card of a built-in model; the path of the weights."""
    path = save_builtin(module, card, typical, zoo=zoo)
    with atomic_path(path.with_suffix(".md")) as part:
        part.write_text(_markdown(read_card(path)), encoding="utf-8")
    return path


def _accuracies(report: AccuracyReport, attack: str, suffix: str) -> dict[str, float]:
    clean, adversarial = report.sides
    return {f"test_clean{suffix}": clean.accuracy.value, f"test_{attack}{suffix}": adversarial.accuracy.value}


def _markdown(card: ModelCard) -> str:
    """The card as the text of a Markdown file."""
    rows = {
        "Architecture": f"{card.architecture} {card.options}",
        "Training": f"{card.regime}, {card.epochs} epochs, {card.points} points a cloud, seed {card.seed}",
        "Command": f"`{card.command}`",
        **({"Begun from": f"weights with the SHA-256 `{card.initial}`"} if card.initial else {}),
        "Dataset": f"{card.dataset}, fingerprint `{card.fingerprint}`, {card.up_axis} up",
        "Classes": ", ".join(card.classes),
        "Made": f"{card.created} with " + ", ".join(f"{name} {version}" for name, version in card.versions.items()),
        **{name.replace("_", " ").capitalize(): f"{value:.4g}" for name, value in card.metrics.items()},
    }
    auto = any(name.startswith(_AUTO_METRIC) for name in card.metrics)
    rows["Measured"] = (
        "by `python packaging/ship_weights.py`, as float16: accuracies from 0 to 1; each attack is made on the model "
        "itself, with the epsilon in its row; PGD takes 20 steps from the clean cloud; "
        + ("auto's clouds were made by `pointward attack --dataset`; " if auto else "")
        + f"{platform.system()} {platform.machine()}, CPU"
    )
    if (limits := card.typical) is not None:
        rows["Typical"] = (
            f"of {limits.clouds} validation clouds of {limits.points} points, one in a hundred has a confidence below "
            f"{limits.confidence:.4g}, and one in a hundred a latent more than {limits.distance:.4g} standard "
            "deviations from every class of the training clouds"
        )
    lines = [f"# {card.title}", "", "| | |", "|---|---|", *(f"| {key} | {value} |" for key, value in rows.items())]
    return "\n".join(lines) + "\n"
