"""Trains the autoencoders that come with the program, for AdvPC, and puts them among its weights.

    python packaging/train_autoencoder.py train DATASET FOLDER [--data-root DIR] [--epochs N] [--seed N]
    python packaging/train_autoencoder.py add DATASET FOLDER [--data-root DIR] [--epochs N] [--seed N]
    python packaging/train_autoencoder.py save DATASET FOLDER FILE [--data-root DIR] [--epochs N] [--seed N]

``train`` trains one on the train split of DATASET; the same command again goes on after the last epoch in FOLDER.
``add`` rounds it to float16, measures it on the test split, and puts it into resources/weights with a card beside it;
``save`` writes it to a file of one's own, for the option --autoencoder.
"""

import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from cyclopts import App
from platformdirs import user_cache_path

from core.commands.console import follow
from core.datasets import Dataset, open_dataset
from core.events import Epoch, result
from core.models.autoencoder import Autoencoder
from core.models.autoencoder_files import AutoencoderCard, add_autoencoder, save_autoencoder
from core.models.checkpoints import builtin_models, load_model
from core.results.records import PACKAGES, versions
from core.runtime.files import atomic_path
from core.training.autoencoder import AutoencoderTraining, chamfer_of, train_autoencoder

app = App(help=__doc__, help_format="plaintext")


@app.command
def train(dataset: str, folder: Path, *, data_root: Path | None = None, epochs: int = 40, seed: int = 0) -> None:
    """Train an autoencoder on the train split of DATASET; its state after each epoch is kept in FOLDER."""
    opened = _open(dataset, data_root)
    for event in train_autoencoder(opened, AutoencoderTraining(epochs=epochs, seed=seed), folder):
        if isinstance(event, Epoch):
            print(event.index, dict(event.metrics), flush=True)


@app.command
def add(dataset: str, folder: Path, *, data_root: Path | None = None, epochs: int = 40, seed: int = 0) -> None:
    """Put the trained autoencoder in FOLDER among those that come with the program."""
    model, card = _trained(_open(dataset, data_root), folder, AutoencoderTraining(epochs=epochs, seed=seed))
    path = add_autoencoder(f"autoencoder-{dataset}", model, card)
    with atomic_path(path.with_suffix(".md")) as part:
        part.write_text(_readable(card), encoding="utf-8")
    print(path)


@app.command
def save(
    dataset: str, folder: Path, file: Path, *, data_root: Path | None = None, epochs: int = 40, seed: int = 0
) -> None:
    """Write the trained autoencoder in FOLDER to FILE."""
    model, card = _trained(_open(dataset, data_root), folder, AutoencoderTraining(epochs=epochs, seed=seed))
    save_autoencoder(file, model, card)


def _open(dataset: str, data_root: Path | None) -> Dataset:
    opening = open_dataset(dataset, data_root, Path(user_cache_path("pointward")))
    found: Dataset = follow(lambda _: opening, f"opening {dataset}")[0]
    return found


def _trained(dataset: Dataset, folder: Path, options: AutoencoderTraining) -> tuple[Autoencoder, AutoencoderCard]:
    """The autoencoder of a finished training, rounded to float16, and its card with measurements on the test split."""
    model: Autoencoder = result(train_autoencoder(dataset, options, folder))
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(weight.half())
    card, test = dataset.card, dataset.split("test")
    metrics = {"test_clouds": len(test), "test_chamfer": chamfer_of(model, test.points, np.arange(len(test)), 1024)}
    for name, path in builtin_models(card.name).items():
        metrics |= _accuracies(name, path, model, dataset)
    words = ["python", "packaging/train_autoencoder.py", "train", card.name, "FOLDER", "--epochs", str(options.epochs)]
    return model, AutoencoderCard(
        dataset=card.name,
        fingerprint=card.fingerprint,
        classes=card.classes,
        up_axis=card.up_axis,
        options=options.model,
        epochs=options.epochs,
        seed=options.seed,
        command=shlex.join(words),
        metrics=metrics,
        versions=versions(PACKAGES),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _accuracies(name: str, path: Path, model: Autoencoder, dataset: Dataset) -> dict[str, float]:
    """Accuracies of a classifier on the first 1,024 points of test clouds and on their reconstructions."""
    classifier, test = load_model(path).module, dataset.split("test")
    right = np.zeros(2)
    with torch.no_grad():
        for rows in np.array_split(np.arange(len(test)), -(-len(test) // 64)):
            clouds, label = torch.from_numpy(np.array(test.points[rows, :1024])), torch.from_numpy(test.labels[rows])
            for place, each in enumerate((clouds, model(clouds))):
                right[place] += int((classifier(each).logits.argmax(1) == label).sum())
    clean, reconstructed = right / len(test)
    return {f"accuracy_of_{name}_clean": float(clean), f"accuracy_of_{name}_reconstructed": float(reconstructed)}


def _readable(card: AutoencoderCard) -> str:
    rows = {
        "Architecture": f"PointNet encoder, decoder of linear layers, {dict(card.options)}",
        "Training": f"{card.epochs} epochs on the Chamfer distance, seed {card.seed}",
        "Command": f"`{card.command}`",
        "Dataset": f"{card.dataset}, fingerprint `{card.fingerprint}`, {card.up_axis} up",
        "Classes": ", ".join(card.classes),
        "Made": f"{card.created} with " + ", ".join(f"{name} {version}" for name, version in card.versions.items()),
        **{name.replace("_", " ").capitalize(): f"{value:.4g}" for name, value in card.metrics.items()},
        "Measured": "as float16; the Chamfer distance is the sum of two mean square distances, in square radii",
    }
    lines = ["# Autoencoder", "", "| | |", "|---|---|", *(f"| {key} | {value} |" for key, value in rows.items())]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    app()
