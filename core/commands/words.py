"""Command lines that do what was chosen elsewhere, such as in the window: the reverse of parsing.

All raise ``ValueError``, with a sentence for a person, where no command line means the same.
"""

import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from core.attacks import preset
from core.clouds.frames import STANDARD_UP
from core.commands.transfer import name_in_experiment
from core.datasets import Card
from core.evaluation.auto import AnyAttack, AutoAttack
from core.evaluation.comparison import ComparisonOptions
from core.evaluation.latents import LatentOptions
from core.evaluation.orientation import expected_up
from core.evaluation.tsne import TsneOptions
from core.live import Scene
from core.models.cards import ModelCard
from core.models.checkpoints import BEST, WEIGHTS, LoadedModel
from core.options import Options
from core.runtime.files import readable
from core.studies.transferability.experiment import Experiment
from core.studies.transferability.options import TransferOptions
from core.training import TrainOptions

MAP = "latents.pdf"
"""File of a copied ``pointward tsne``, in the folder in which it is run."""


def option_words(
    options: Options, usual: Options, *, always: Collection[str] = (), without: Collection[str] = ()
) -> list[str]:
    """The words that make ``options`` out of ``usual``, which are of one kind.

    Parameters
    ----------
    always, without
        Fields that are written also if they are as usual, and fields that are not written.
    """
    return list(_differences(options.model_dump(exclude=set(without)), usual.model_dump(), always))


def _differences(
    values: Mapping[str, Any], usual: Mapping[str, Any], always: Collection[str] = (), prefix: str = ""
) -> Iterator[str]:
    for field, value in values.items():
        name = prefix + (field if prefix else field.replace("_", "-"))  # a key of a table is typed as it is
        if field not in always and value == usual.get(field):
            continue
        if isinstance(value, dict):
            yield from _differences(value, usual[field], prefix=f"{name}.")
        elif value is None:
            raise ValueError(f"A command cannot say that {field.replace('_', ' ')} is empty: give it a value first.")
        elif isinstance(value, bool) and not prefix:
            yield f"--{name}" if value else f"--no-{name}"
        else:
            text = str(value)
            yield from [f"--{name}={text}"] if text.startswith("-") else [f"--{name}", text]  # no option of its own


def attack_words(name: str, attack: AnyAttack) -> list[str]:
    """The attack ``attack``, as changes to the preset of this name, or ``auto``."""
    if isinstance(attack, AutoAttack):
        return ["--attack", name, *option_words(attack, AutoAttack(), always=("epsilon",))]
    usual, words = preset(name), ["--attack", name]
    direction = getattr(attack, "direction", None)
    if direction != getattr(usual, "direction", None):  # which another constraint follows, unless that is given
        usual = preset(name, direction=direction)
        words += ["--direction", str(direction)]
    return words + option_words(attack, usual, always=("epsilon",))


def model_word(path: Path | None) -> str:
    """A model by its name, if it came with the program, else by the folder of its run or its file."""
    if path is None:
        raise ValueError("The model is in no file, so no command can name it: save it first.")
    if path.parent == WEIGHTS:
        return path.stem
    return str(path.parent.absolute() if path.name == BEST else path.absolute())


def dataset_words(card: Card, root: Path | None, model: ModelCard | None = None) -> list[str]:
    """A dataset that was opened from ``root``; for a command that turns its clouds as ``model`` expects them."""
    expected = expected_up(model) if model is not None and card.orientation.given else STANDARD_UP
    if card.orientation.given and card.up_axis != expected:
        command, other_way = "a command", ""
        if model is not None:
            command = f"a command for {readable(model.title)}"
            other_way = f", or choose a model that expects {card.up_axis} up"
        raise ValueError(
            f"The clouds are turned here to have {card.up_axis} up, and {command} would turn them to have {expected} "
            f"up: open the folder as it is{other_way}."
        )
    folder = [] if root is None else ["--data-root", str(root.absolute())]
    return ["--dataset", card.name, *folder, *card.orientation.words().split()]


def attack_line(scene: Scene, name: str, origin: Sequence[str]) -> str:
    """``pointward attack``: the attack of a scene, the preset ``name`` with changes, on the cloud ``origin``."""
    setup = scene.setup
    model, defense = _model_and_defense(setup.models[setup.primary])
    words = [*origin, "--points", str(len(setup.cloud.points)), "--seed", str(setup.seed)]
    words += [*attack_words(name, setup.attack.at(scene.epsilon)), "--model", model, *defense]
    if setup.cloud.label is not None:
        words += ["--true-class", setup.classes[setup.cloud.label]]
    if setup.target is not None:
        words += ["--target", setup.classes[setup.target]]
    return _line("attack", words)


def train_line(options: TrainOptions, card: Card, root: Path | None, folder: Path) -> str:
    """``pointward train``: a new run in ``folder``."""
    usual = TrainOptions(model=options.model)  # whose own options are those of this model
    words = option_words(options, usual, always=("model", "regime"))
    return _line("train", [*dataset_words(card, root), "--out", str(folder), *words])


def evaluate_line(
    model: LoadedModel, card: Card, root: Path | None, name: str, attack: AnyAttack, options: ComparisonOptions
) -> str:
    """``pointward evaluate``: what a comparison measures of one of its models, without the sweep over epsilon."""
    usual = ComparisonOptions(clouds=None)
    if options.split != "test":
        raise ValueError("A command measures test clouds: choose the split test first.")
    if options.batch_size != usual.batch_size:
        raise ValueError(f"A command measures {usual.batch_size} clouds in one pass: set the batch size to that first.")
    words = option_words(options, usual, always=("points",), without=("split", "batch_size", "budgets", "sweep_to"))
    return _line("evaluate", [*_trial(model, card, root, name, attack), *words])


def tsne_line(
    model: LoadedModel,
    card: Card,
    root: Path | None,
    name: str,
    attack: AnyAttack,
    clouds: LatentOptions,
    options: TsneOptions,
) -> str:
    """``pointward tsne``: a map of a model's latents, written to ``MAP``."""
    usual = TsneOptions()
    words = [*option_words(clouds, LatentOptions()), *option_words(options, usual, without=("learning_rate",))]
    if options.learning_rate != usual.learning_rate:
        words += ["--tsne-learning-rate", str(options.learning_rate)]
    return _line("tsne", [*_trial(model, card, root, name, attack), "--out", MAP, *words])


def transfer_line(experiment: Experiment, card: Card) -> str:
    """``pointward transfer``: an experiment, which is begun in its folder or goes on there."""
    words = {name: model_word(path) for name, path in experiment.models.items()}
    if odd := next((word for word in words.values() if "," in word), None):
        raise ValueError(f"A command separates models by commas, and {readable(odd)} has one: rename it first.")
    called = {name: name_in_experiment(word) for name, word in words.items()}
    if len(set(called.values())) < len(called):
        raise ValueError("Two of the models would have one name in a command: rename the file or folder of one.")
    if experiment.folder.exists() and (name := next((name for name, other in called.items() if other != name), None)):
        raise ValueError(f"A command would call {name} of this experiment {called[name]}: press New first.")
    options = experiment.options
    return _line(
        "transfer",
        [
            *("--out", str(experiment.folder)),
            *("--surrogates", ",".join(words[name] for name in experiment.surrogates)),
            *("--victims", ",".join(words[name] for name in experiment.victims)),
            *("--attacks", ",".join(experiment.chosen_attacks)),
            *("--protocol", options.protocol),
            *dataset_words(card, experiment.dataset.root),
            *option_words(options, TransferOptions(), always=("epsilon",), without=("protocol",)),
        ],
    )


def _trial(model: LoadedModel, card: Card, root: Path | None, name: str, attack: AnyAttack) -> list[str]:
    """The words that the commands have in common that try a model on test clouds."""
    if getattr(attack, "goal", None) == "targeted":
        raise ValueError("A command makes untargeted attacks on many clouds: set the goal to untargeted first.")
    word, defense = _model_and_defense(model)
    return [word, *defense, *dataset_words(card, root, model.card), *attack_words(name, attack)]


def _model_and_defense(model: LoadedModel) -> tuple[str, list[str]]:
    return model_word(model.path), ["--defense", model.defense] if model.defense else []


def _line(command: str, words: Sequence[str]) -> str:
    return shlex.join(["pointward", command, *words])
