"""The weights that a training begins from, where it does not begin with random ones."""

from core.datasets import Card
from core.models.cards import ModelError
from core.models.checkpoints import LoadedModel, load_model, read_card, resolve_model
from core.training.options import TrainOptions


def initial_model(options: TrainOptions, dataset: Card) -> LoadedModel | None:
    """The model of ``options.initial``, None where that is empty.

    Raises
    ------
    ModelError
        If there is no such model, it is of another project, or what it is does not agree with what is to be trained.
    """
    if options.initial is None:
        return None
    path = resolve_model(options.initial)
    card = read_card(path)
    theirs, ours = f"{card.architecture} {card.options}", f"{options.model} {options.model_options}"
    if card.source is not None:
        wrong = "it is a model of another project"
    elif theirs != ours:
        wrong = f"it is a {theirs}, and the training is of a {ours}"
    elif card.classes != dataset.classes:
        wrong = f"its classes are not those of {dataset.name}"
    else:
        return load_model(path)
    raise ModelError(f"A training can't begin from {options.initial}: {wrong}.")
