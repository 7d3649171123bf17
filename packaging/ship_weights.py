"""Puts the best weights of a finished run among the models that come with the program.

    python packaging/ship_weights.py RUN NAME TITLE

RUN may also be a model that is there already, to measure it anew for its card. The weights are rounded to
float16, measured on the test split after rounding, and entered into resources/weights/index.json with their checksum; a
model of the same name is replaced.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from platformdirs import user_cache_path

from core.commands.console import follow
from core.datasets import open_dataset
from core.models.checkpoints import load_model, resolve_model
from core.training import dataset_of_weights
from core.training.publish import install_weights


def main(run: str, name: str, title: str) -> None:
    path = resolve_model(run)
    dataset_name, root, orientation = dataset_of_weights(path, load_model(path).card)
    opening = open_dataset(dataset_name, root, user_cache_path("pointward"), orientation=orientation)
    dataset, _ = follow(lambda _: opening, f"opening {dataset_name}")
    print(follow(lambda _: install_weights(Path(run), dataset, name, title), f"measuring {name}")[0])


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
