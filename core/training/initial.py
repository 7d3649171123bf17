"""The model whose weights a training begins with, if it does not begin with random ones."""

from typing import Any

import torch

from core.datasets import Card
from core.models import build
from core.models.cards import ModelError
from core.models.checkpoints import LoadedModel, load_model, read_card, resolve_model
from core.training.options import TrainOptions


def initial_model(options: TrainOptions, dataset: Card) -> LoadedModel | None:
    """The model of ``options.initial_weights``; None if that is empty.

    Raises
    ------
    ModelError
        If there is no such model, it is one of another project, or its classes or the shapes of its weights differ from
        those of the training.
    """
    if options.initial_weights is None:
        return None
    path = resolve_model(options.initial_weights)
    card = read_card(path)
    classes = len(dataset.classes)
    initial, wanted = f"{card.architecture} {card.options}", f"{options.model} {options.model_options}"
    if card.source is not None:
        problem = "it is a model of another project"
    elif card.classes != dataset.classes:
        problem = f"its classes are not those of {dataset.name}"
    elif _shapes(card.architecture, classes, card.options) != _shapes(options.model, classes, options.model_options):
        problem = f"it is a {initial}, and the training is of a {wanted}"
    else:
        return load_model(path)
    raise ModelError(f"A training can't begin from {options.initial_weights}: {problem}.")


def _shapes(architecture: str, classes: int, options: dict[str, Any]) -> dict[str, torch.Size]:
    """The shape of each weight and running statistic: a dropout rate, for one, may differ."""
    with torch.device("meta"):
        return {name: value.shape for name, value in build(architecture, classes, options).state_dict().items()}
