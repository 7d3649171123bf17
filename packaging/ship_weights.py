"""Puts the best weights of finished runs among the models that come with the program, and measures these.

    python packaging/ship_weights.py add RUN NAME TITLE [--zoo] [--data-root DIR]
    python packaging/ship_weights.py measure [MODEL ...] [--data-root DIR]
    python packaging/ship_weights.py auto MODEL SET ... [--data-root DIR]

``add`` takes the folder of a run: the weights are rounded to float16, measured on the test split after rounding, and
entered into resources/weights/index.json with their checksum; a model of the same name is replaced. With ``--zoo`` it
is of the transfer study's zoo, where its name has to be DATASET-MEMBER: the window does not load it. ``measure`` does
the same with models that are there already: their weights stay as they are, their cards are written anew. Without a
MODEL these are all whose dataset is built in; with --data-root, all whose dataset is in DIR. ``auto`` enters the
accuracies of sets into a model's card that ``pointward attack --dataset --model MODEL --attack auto --out SET`` made.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cyclopts import App
from platformdirs import user_cache_path

from core.commands.console import follow
from core.datasets import REGISTRY, Dataset, open_dataset
from core.models.checkpoints import builtin_models, load_model, read_card, resolve_model
from core.training import dataset_of_weights
from core.training.publish import install_auto, install_weights

app = App(help=__doc__, help_format="plaintext")


@app.command
def add(run: Path, name: str, title: str, *, zoo: bool = False, data_root: Path | None = None) -> None:
    """Add the best weights of RUN as the model NAME, shown to people as TITLE."""
    _install(run, name, title, data_root, zoo=zoo)


@app.command
def measure(*models: str, data_root: Path | None = None) -> None:
    """Measure models that come with the program, and write their cards anew."""
    for name, path in builtin_models(zoo=True).items():
        card = read_card(path)
        needed = REGISTRY[card.dataset].needs_root
        if name in models or (not models and needed == (data_root is not None)):
            _install(path, name, card.title, data_root, zoo=name not in builtin_models())


@app.command
def auto(model: str, *sets: Path, data_root: Path | None = None) -> None:
    """Enter what auto leaves of MODEL's accuracy into its card."""
    print(install_auto(model, sets, _dataset(resolve_model(model), data_root)))


def _install(run: Path, name: str, title: str, data_root: Path | None, *, zoo: bool = False) -> None:
    dataset = _dataset(resolve_model(run), data_root)
    print(follow(lambda _: install_weights(run, dataset, name, title, zoo=zoo), f"measuring {name}")[0])


def _dataset(path: Path, data_root: Path | None) -> Dataset:
    """That of a model's training."""
    dataset_name, root, orientation = dataset_of_weights(path, load_model(path).card)
    cache = Path(user_cache_path("pointward"))
    opening = open_dataset(dataset_name, data_root or root, cache, orientation=orientation)
    dataset: Dataset = follow(lambda _: opening, f"opening {dataset_name}")[0]
    return dataset


if __name__ == "__main__":
    app()
