"""Measures how the models that come with the program tell that clouds stand another way than they expect.

    python packaging/measure_turns.py [--data-root DIR] [--clouds N]

It turns N test clouds of each model's dataset in all 24 right-angled ways and prints a line of a table for each model;
without --data-root for the models whose dataset is built in, with it for those whose dataset is in DIR.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from cyclopts import App
from platformdirs import user_cache_path

from core.clouds.frames import AXES, right_angled, rotated
from core.commands.console import follow
from core.datasets import REGISTRY, Split, choose_rows, open_dataset
from core.evaluation.orientation import HINT_GAIN, SAMPLE, expected_up
from core.models.checkpoints import LoadedModel, builtin_models, load_model
from core.models.predict import predict
from core.models.typical import margin

app = App(help=__doc__, help_format="plaintext")

COLUMNS = (
    "model",
    "own test clouds marked",
    "accuracy of these",
    "of the others",
    "known with another axis up",
    "marked",
    "marked of those not known",
    "verdict after auto, one cloud",
    "by margin alone",
    f"auto right, {SAMPLE} clouds",
    "hint for upright",
    "hint for others",
    "hint, up axis given",
    "hint, turned about it",
)
DRAWS = 500


@app.default
def main(*, data_root: Path | None = None, clouds: int = 240) -> None:
    """Print the table."""
    print("| " + " | ".join(COLUMNS) + " |\n|" + "---|" * len(COLUMNS))
    for name, path in builtin_models().items():
        model = load_model(path)
        if REGISTRY[model.card.dataset].needs_root != (data_root is not None):
            continue
        opening = open_dataset(model.card.dataset, data_root, Path(user_cache_path("pointward")))
        dataset, _ = follow(lambda _, opening=opening: opening, f"opening {model.card.dataset}")
        shares = measure(model, dataset.split("test"), clouds)
        print("| " + " | ".join([f"`{name}`", *(f"{100 * share:.1f}" for share in shares)]) + " |", flush=True)


def measure(model: LoadedModel, test: Split, clouds: int) -> list[float]:
    """The shares of ``COLUMNS``, 0 to 1."""
    typical, points, expected = model.typical, model.card.points, expected_up(model.card)
    assert typical is not None
    answers = predict(model.module, np.array(test.points[:, :points]))
    marked, right = typical.unlike(answers.confidence, answers.latent), answers.prediction == test.labels
    turns = right_angled(expected)
    rotations = [turn.rotation(expected) for turn in turns]
    rows = choose_rows(test.labels, clouds)
    likeness, margins, unlike, known = (np.empty((len(rows), len(turns))) for _ in range(4))
    for place, row in enumerate(rows):
        cloud = np.array(test.points[row, :points])
        answers = predict(model.module, np.stack([rotated(cloud, rotation) for rotation in rotations]), len(turns))
        likeness[place], margins[place] = typical.likeness(answers), margin(answers.logits)
        unlike[place] = typical.unlike(answers.confidence, answers.latent)
        known[place] = answers.prediction == test.labels[row]
    ups = np.array([turn.up for turn in turns])
    other, every = ups != expected, np.arange(len(rows))
    gain = {up: likeness[:, ups != up].max(axis=1) - likeness[:, ups == up].max(axis=1) for up in AXES}
    upright = likeness[:, ~other]  # the first as it is, the others turned about the up axis
    further = upright.max(axis=1, keepdims=True) - upright
    rng = np.random.default_rng(0)
    draws = [rng.choice(len(rows), SAMPLE, replace=False) for _ in range(DRAWS)]
    return [
        marked.mean(),
        right[marked].mean(),
        right[~marked].mean(),
        known[:, other].mean(),
        unlike[:, other].mean(),
        unlike[:, other][known[:, other] == 0].mean(),
        known[every, likeness.argmax(axis=1)].mean(),
        known[every, margins.argmax(axis=1)].mean(),
        np.mean([likeness[draw].mean(axis=0).argmax() == 0 for draw in draws]),
        (gain[expected] > HINT_GAIN).mean(),
        np.mean([gain[up] > HINT_GAIN for up in AXES if up != expected]),
        (further[:, 0] > HINT_GAIN).mean(),
        (further[:, 1:] > HINT_GAIN).mean(),
    ]


if __name__ == "__main__":
    app()
