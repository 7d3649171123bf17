"""Measures what is typical of the training data of the models that come with the program, and adds it to their files.

    python packaging/measure_typical.py [DATA_ROOT]

Without DATA_ROOT it does so for the models whose dataset is built in; with it for those whose dataset is there. Their
weights stay as they are; the checksums in resources/weights/index.json and the readable cards follow.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from platformdirs import user_cache_path

from core.commands.console import follow
from core.datasets import REGISTRY, open_dataset
from core.models.checkpoints import builtin_models, read_card
from core.training.publish import install_typical


def main(root: Path | None) -> None:
    for name, path in builtin_models(zoo=True).items():
        dataset = read_card(path).dataset
        if REGISTRY[dataset].needs_root == (root is not None):
            opening = open_dataset(dataset, root, user_cache_path("pointward"))
            data, _ = follow(lambda _, opening=opening: opening, f"opening {dataset}")
            print(follow(lambda _, name=name, data=data: install_typical(name, data), f"measuring {name}")[0])


if __name__ == "__main__":
    if len(sys.argv) > 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]) if len(sys.argv) == 2 else None)
