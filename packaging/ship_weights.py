"""Puts the best weights of finished runs among the models that come with the program, and measures these.

    python packaging/ship_weights.py add RUN NAME TITLE [--data-root DIR]
    python packaging/ship_weights.py measure [MODEL ...] [--data-root DIR]

``add`` takes the folder of a run: the weights are rounded to float16, measured on the test split after rounding, and
entered into resources/weights/index.json with their checksum; a model of the same name is replaced. ``measure`` does
the same with models that are there already: their weights stay as they are, their cards are written anew. Without a
MODEL these are all whose dataset is built in; with --data-root, all whose dataset is in DIR.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cyclopts import App
from platformdirs import user_cache_path

from core.commands.console import follow
from core.datasets import REGISTRY, open_dataset
from core.models.checkpoints import builtin_models, load_model, read_card, resolve_model
from core.training import dataset_of_weights
from core.training.publish import install_weights

app = App(help=__doc__, help_format="plaintext")


@app.command
def add(run: Path, name: str, title: str, *, data_root: Path | None = None) -> None:
    """Add the best weights of RUN as the model NAME, shown to people as TITLE."""
    _install(run, name, title, data_root)


@app.command
def measure(*models: str, data_root: Path | None = None) -> None:
    """Measure models that come with the program, and write their cards anew."""
    for name, path in builtin_models().items():
        card = read_card(path)
        needed = REGISTRY[card.dataset].needs_root
        if name in models or (not models and needed == (data_root is not None)):
            _install(path, name, card.title, data_root)


def _install(run: Path, name: str, title: str, data_root: Path | None) -> None:
    path = resolve_model(run)
    dataset_name, root, orientation = dataset_of_weights(path, load_model(path).card)
    cache = Path(user_cache_path("pointward"))
    opening = open_dataset(dataset_name, data_root or root, cache, orientation=orientation)
    dataset, _ = follow(lambda _: opening, f"opening {dataset_name}")
    print(follow(lambda _: install_weights(run, dataset, name, title), f"measuring {name}")[0])


if __name__ == "__main__":
    app()
