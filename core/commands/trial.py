"""The parameters of commands that try a model on clouds: the attack, the model, the dataset, and how it is measured."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter, Token
from pydantic import ValidationError

from core.attacks import PRESETS, Attack, preset
from core.clouds.frames import AS_IT_IS, STANDARD_UP, Orientation, axis_named, frame_record, rotated
from core.commands.checks import check_attack, check_dataset, check_radii, check_root, is_model, require, validated
from core.commands.console import UsageError, note
from core.commands.orientation import AS_SUPPLIED, OrientationChoice, look_for_turn
from core.commands.shared import Count, DataRoot, Device, Flat, ModelName, Seed, find_dataset
from core.datasets import Dataset, check_turnable
from core.datasets.matching import listed, matched, parse_names
from core.defenses import names
from core.defenses.base import Defense
from core.evaluation.auto import AUTO, AnyAttack, AutoAttack, other_shipped_models
from core.evaluation.orientation import expected_up, sample_clouds
from core.models import Classifier
from core.models.checkpoints import LoadedModel, load_model, resolve_model
from core.options import explain, partial
from core.runtime.devices import choose_device
from core.training import dataset_of_weights

AttackChanges = partial("AttackChanges", *{row.kind: None for row in PRESETS.values()})
DETAILS = frozenset({"weights", "fingerprint", "expected_up", "given_up", "turn"})
"""Hashes, and the axes of which the sentence on the frame tells."""
AttackName = Annotated[str, validated(check_attack)]


@Flat
@dataclass(frozen=True)
class AttackChoice:
    """An attack preset, and the options that differ from it.

    Parameters
    ----------
    attack
        Attack by name: fgsm, pgd, apgd-ce ...; `pointward attacks` lists all.
    """

    attack: AttackName = "fgsm"
    changes: Annotated[AttackChanges | None, Flat] = None  # type: ignore[valid-type]

    def build_any(self) -> AnyAttack:
        """The attack on many clouds, which may be ``auto``."""
        if self.attack != AUTO:
            return self.build()
        values: dict[str, Any] = self.changes.model_dump(exclude_none=True) if self.changes is not None else {}
        if unknown := values.keys() - AutoAttack.model_fields:
            raise UsageError(f"auto takes --epsilon alone, and no --{min(unknown).replace('_', '-')}.")
        return AutoAttack.model_validate(values)

    def build(self, targeted: bool = False) -> Attack:
        """The attack on one cloud; ``targeted`` if the command line names the class to move towards.

        Raises
        ------
        UsageError
            If the options do not fit the attack, or it is ``auto``.
        """
        if self.attack == AUTO:
            raise UsageError("auto is several attacks, for many clouds: `pointward evaluate` takes it.")
        values = self.changes.model_dump(exclude_none=True) if self.changes is not None else {}
        if targeted:
            values["goal"] = "targeted"
        elif values.get("goal") == "targeted":
            raise UsageError("A targeted attack needs a target: `pointward attack` takes --target CLASS.")
        try:
            return preset(self.attack, **values)
        except ValidationError as error:
            raise UsageError(explain(error)) from None
        except ValueError as error:
            raise UsageError(str(error)) from None

    def details(self, attack: AnyAttack) -> set[str]:
        """Names of the entries of a result that few people ask for: options that are as usual, and ``DETAILS``."""
        usual = (AutoAttack() if self.attack == AUTO else preset(self.attack)).model_dump()
        unchanged = {name for name, value in attack.model_dump().items() if usual.get(name) == value}
        return unchanged - {"epsilon", "steps"} | DETAILS


FGSM = AttackChoice()


def with_class_names(model: LoadedModel, dataset: Dataset) -> LoadedModel:
    """If a model's outputs have no names, name them after the dataset's classes, provided that there are as many.

    A note tells the person about it. Any other model is returned as it is.
    """
    classes = dataset.card.classes
    if not model.card.unnamed or len(classes) != len(model.card.classes):
        return model
    note(f"Nobody has named the {len(classes)} outputs of {model.name}: taken for {listed(classes, 3)} in that order.")
    return replace(model, card=model.card.model_copy(update={"classes": classes}))


def split_defense(model: str, defense: str | None = None) -> tuple[str, Defense | None]:
    """The name of a model, and its defence: the one typed after the name as in "modelnet16-pgd+sor", or ``defense``.

    Raises
    ------
    UsageError
        If there are both.
    """
    name, typed = names.split(model, is_model)
    if typed and defense:
        raise UsageError(f"{model} names a defence already: leave out --defense.")
    text = typed or defense
    return name, names.parse(text) if text else None


def with_defense(model: LoadedModel, defense: Defense | None) -> LoadedModel:
    """The model behind the defence, if there is one."""
    return model if defense is None else names.protected(model, defense)


def open_in_frame(
    name: str,
    root: Path | None,
    choice: OrientationChoice,
    model: LoadedModel,
    orientation: Orientation = AS_IT_IS,
) -> tuple[Dataset, dict[str, Any]]:
    """Open a dataset in the frame that a model expects.

    Returns
    -------
    dataset, frame
        The dataset; and the record of which axis the model expects up and which one the files have
        (``frame_record``), with a hint if the files seem to stand otherwise. Of images the record is empty.

    Parameters
    ----------
    orientation
        Of the files, if ``choice`` does not give another.

    Raises
    ------
    ModelError
        If the model takes no samples such as the dataset has.
    """
    if choice != AS_SUPPLIED:
        check_turnable(name)
        orientation = choice.resolve(model, lambda: sample_clouds(find_dataset(name, root), model.card.points))
    expected = expected_up(model.card) if orientation.given else STANDARD_UP
    data = find_dataset(name, root, orientation=orientation, expected=expected)
    card = data.card
    model.card.require_samples(card.name, card.image)
    if card.image is not None:
        return data, {}
    frame = frame_record(model.card.up_axis, card.name, card.orientation, known=card.up_axis, found=choice.automatic)
    unknown_up = card.given_up is None and axis_named(card.up_axis) is None
    frame["hint"] = None
    if choice.may_have_hint and (unknown_up or choice.up is not None):
        clouds = sample_clouds(data, model.card.points)
        if orientation.given:
            clouds = [rotated(points, orientation.rotation(expected).T) for points in clouds]
        frame["hint"] = look_for_turn(model, "The folder", clouds, orientation)
    return data, frame


def points_of_each(model: LoadedModel, points: int | None) -> int:
    """Points of each cloud: as many as a person said, else as the model was trained with; 0 of images.

    Raises
    ------
    UsageError
        If a person said how many, and the model takes images.
    """
    if points is not None and model.card.image is not None:
        raise UsageError(f"--points is for clouds, and {model.name} takes images: leave it out.")
    return model.card.points if points is None else points


@Parameter(n_tokens=1)
def _class_names(type_: object, tokens: Sequence[Token]) -> dict[str, str]:
    return parse_names(tokens[0].value)


@Flat
@dataclass(frozen=True)
class Measurement:
    """How a model is measured on test clouds.

    Parameters
    ----------
    points
        Points of each cloud; the default is what the model was trained with.
    fresh_draws
        Fresh draws that judge a model with a random defence; the default is 10.
    seed
        Source of random restarts and draws.
    """

    points: Count = None
    fresh_draws: Count = None
    seed: Seed = 0

    def options(self, model: LoadedModel) -> dict[str, int]:
        """The fields of ``EvaluationOptions`` that these set; those left out keep their defaults."""
        values = {"points": points_of_each(model, self.points), "fresh_draws": self.fresh_draws, "seed": self.seed}
        return {name: value for name, value in values.items() if value is not None}


MEASUREMENT = Measurement()


@Flat
@dataclass(frozen=True)
class Trial:
    """A model, the dataset whose test clouds it is tried on, and the attack on them.

    Parameters
    ----------
    model
        A built-in or imported model, a run folder, or the file of a model; behind a defence as modelnet16-pgd+sor.
    dataset
        Dataset whose test clouds are used; the default is the one the model was trained on. It may have some of the
        model's classes alone.
    classes
        What the model calls classes that the dataset calls otherwise, as seat=chair,couch=sofa.
    """

    model: ModelName
    _: KW_ONLY
    dataset: Annotated[str | None, validated(check_dataset)] = None
    data_root: DataRoot = None
    classes: Annotated[dict[str, str] | None, Parameter(converter=_class_names, accepts_keys=False)] = None
    orientation: OrientationChoice = AS_SUPPLIED
    choice: AttackChoice = FGSM
    device: Device = "auto"

    def surrogates(self, model: LoadedModel) -> list[Classifier]:
        """Other models whose clouds the attack tries on ``model``."""
        return other_shipped_models(model) if self.choice.attack == AUTO else []

    def open(self, defense: str | None = None) -> tuple[LoadedModel, Dataset, AnyAttack, dict[str, Any]]:
        """Load the model and open the dataset.

        Returns
        -------
        model, dataset, attack, frame
            The model, behind its defence if it has one; the dataset, with the model's classes; the attack; and the
            record of which axis the model expects up and which one the files have (``frame_record``).
        """
        attack = self.choice.build_any()
        model_name, model_defense = split_defense(self.model, defense)
        if self.dataset is not None:
            check_root(self.dataset, self.data_root)
        path = resolve_model(model_name)
        model = load_model(path, choose_device(self.device))
        name, root, orientation = self.dataset, self.data_root, AS_IT_IS
        if name is None:
            name, training_root, orientation = dataset_of_weights(path, model.card)
            root = root or training_root
        data, frame = open_in_frame(name, root, self.orientation, model, orientation)
        if data.card.image is None:
            require(check_radii, attack)
        if data.card.name == model.card.dataset and data.card.fingerprint != model.card.fingerprint:
            note(f"{model.name} was trained on another version of {data.card.name} than this one.")
        model = with_class_names(model, data)
        return with_defense(model, model_defense), matched(data, model.card.classes, self.classes), attack, frame
