"""What the commands share: the app they belong to, the parameters of several, and how what these name is opened."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter, Token, validators
from platformdirs import user_cache_path
from pydantic import ValidationError

from core.attacks import PRESETS, Attack, preset
from core.clouds.frames import AS_IT_IS, STANDARD_UP, Axis, Orientation, axis_named, frame_record
from core.commands.checks import (
    check_attack,
    check_dataset,
    check_device,
    check_figure,
    check_folder,
    check_model,
    check_table,
    check_there,
    is_model,
    validated,
)
from core.commands.console import Terminal, UsageError, follow, note
from core.commands.orientation import AS_SUPPLIED, OrientationChoice, look_for_turn
from core.datasets import REGISTRY, Dataset, check_turnable, open_dataset
from core.datasets.matching import listed, matched, parse_names
from core.defenses import DEFENSES, names
from core.defenses.base import Defense
from core.evaluation.auto import AUTO, AnyAttack, AutoAttack, shipped_beside
from core.evaluation.orientation import expected_up, sample
from core.events import Cancel, Event
from core.models import Classifier
from core.models.checkpoints import LoadedModel, load_model, resolve_model
from core.options import explain, partial
from core.results.records import versions
from core.runtime.devices import DeviceName, choose_device
from core.runtime.threads import MOST_THREADS, THREADS, set_threads
from core.training import dataset_of_weights

FAILED, WRONG_USE, DEFECT, STOPPED, CLOSED_OUTPUT = 1, 2, 70, 130, 141
EXIT_CODES = """Exit codes:
  0    done
  1    something in a file or on the machine was not as it should be
  2    wrong use, found before any work: an unknown name, a wrong value, a file
       that is not there, or a place that can't be written
  70   a defect of the program
  130  stopped by Ctrl-C; what was finished is kept
  141  nobody reads the output any longer, as behind head"""

cli = App(
    name="pointward",
    help="Attack, defend and measure point-cloud classifiers. Without a command the studio opens.",
    help_epilogue=EXIT_CODES,
    version=lambda: versions(["pointward"]).get("pointward", "not installed, run from its source"),
    version_flags=["--version"],
    help_format="plaintext",
    suppress_keyboard_interrupt=False,
    console=Terminal(emoji=False, highlight=False),
)

cli.meta.suppress_keyboard_interrupt = False  # what happens then is for ``run`` to say

Flat = Parameter(name="*")
AttackChanges = partial("AttackChanges", *{row.kind: None for row in PRESETS.values()})
AttackName = Annotated[str, validated(check_attack)]
ModelName = Annotated[str, validated(check_model)]
DefenseName = Annotated[
    str | None,
    validated(
        names.parse,
        help=f"Input defence before the model: {', '.join(DEFENSES)}; with settings as sor:k=2,alpha=1.1.",
    ),
]
DatasetName = Annotated[str, validated(check_dataset)]
Count = Annotated[int | None, Parameter(validator=validators.Number(gte=1))]
FigureFile = Annotated[Path | None, validated(check_figure)]
TableFile = Annotated[Path | None, validated(check_table)]
Folder = Annotated[Path, validated(check_folder)]
DataRoot = Annotated[
    Path | None,
    validated(check_there, help="Where the dataset's files are, for those that are not built in."),
]
Device = Annotated[DeviceName, validated(check_device, help="Where to compute.")]
Seed = Annotated[int, Parameter(validator=validators.Number(gte=0, lt=2**31))]
AllowMissing = Annotated[
    bool, Parameter(negative="", help="Go on where some files of a dataset's official list are missing.")
]
Json = Annotated[bool, Parameter(name="--json", negative="", help="Print the result as one JSON object.")]
Threads = Annotated[
    int | None,
    Parameter(
        validator=validators.Number(gte=1, lte=MOST_THREADS),
        help=f"Threads, or worker processes, that compute at a time; the default is {THREADS} or one for each core.",
    ),
]


def parse(words: Iterable[str]) -> int:
    """Carry out one command line; 0 or the exit code of a command that was stopped."""
    return int(cli.meta(words, **_RAISING) or 0)


@cli.meta.default
def _begin(*words: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)], threads: Threads = None) -> Any:
    """Settle what holds for every command, then go on with the command itself."""
    if threads is not None:
        os.environ[THREADS] = str(threads)
    try:
        set_threads()
    except ValueError as error:
        raise UsageError(str(error)) from None
    return cli(words, **_RAISING)


_RAISING: dict[str, Any] = {"exit_on_error": False, "print_error": False, "result_action": "return_value"}


def cache_folder() -> Path:
    """Where converted datasets are kept."""
    return user_cache_path("pointward")


def check_root(name: str, root: Path | None) -> None:
    """A dataset that needs files is told where they are, and no other is.

    Raises
    ------
    UsageError
    """
    spec = REGISTRY.get(name)
    if spec is not None and spec.needs_root and root is None:
        raise UsageError(f"{name} needs --data-root; accepted are {spec.accepted}.")
    if spec is not None and root is not None and not spec.needs_root:
        raise UsageError(f"{name} is built in and takes no --data-root.")


def find_dataset(
    name: str,
    root: Path | None,
    allow_missing: bool = False,
    orientation: Orientation = AS_IT_IS,
    expected: Axis = STANDARD_UP,
) -> Dataset:
    """A dataset by name, opened with a bar where that takes a while; turned, where its orientation is given."""
    check_root(name, root)

    def opening(cancel: Cancel) -> Iterator[Event]:
        for event in open_dataset(
            name, root, cache_folder(), allow_missing=allow_missing, orientation=orientation, expected=expected
        ):
            if cancel.requested:  # half a dataset is of no use
                raise KeyboardInterrupt
            yield event

    dataset: Dataset = follow(opening, f"opening {name}")[0]
    return dataset


@Flat
@dataclass(frozen=True)
class AttackChoice:
    """An attack preset and what is changed of it.

    Parameters
    ----------
    attack
        Attack by name: fgsm, pgd, apgd-ce ...; `pointward attacks` lists all.
    """

    attack: AttackName = "fgsm"
    changes: Annotated[AttackChanges | None, Flat] = None  # type: ignore[valid-type]

    def build_any(self) -> AnyAttack:
        """The attack for many clouds, which may be ``auto``."""
        if self.attack != AUTO:
            return self.build()
        values: dict[str, Any] = self.changes.model_dump(exclude_none=True) if self.changes is not None else {}
        if foreign := values.keys() - AutoAttack.model_fields:
            raise UsageError(f"auto takes --epsilon alone, and no --{min(foreign).replace('_', '-')}.")
        return AutoAttack.model_validate(values)

    def build(self, targeted: bool = False) -> Attack:
        """The attack, ``targeted`` where the command line names the class to move towards."""
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


FGSM = AttackChoice()


def named_after(model: LoadedModel, dataset: Dataset) -> LoadedModel:
    """A model whose outputs have no names, with those of the dataset's classes if there are as many; said in a note."""
    classes = dataset.card.classes
    if not model.card.unnamed or len(classes) != len(model.card.classes):
        return model
    note(f"Nobody has named the {len(classes)} outputs of {model.name}: taken for {listed(classes, 3)} in that order.")
    return replace(model, card=model.card.model_copy(update={"classes": classes}))


def undefended(model: str, defense: str | None = None) -> tuple[str, Defense | None]:
    """The name of a model without the defence typed after it; and the defence, by that or by --defense.

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


def behind(defense: Defense | None, model: LoadedModel) -> LoadedModel:
    """The model behind the defence, if there is one."""
    return model if defense is None else names.protected(model, defense)


@Parameter(n_tokens=1)
def _class_names(type_: object, tokens: Sequence[Token]) -> dict[str, str]:
    return parse_names(tokens[0].value)


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

    def others(self, model: LoadedModel) -> list[Classifier]:
        """Other models whose clouds the attack tries on ``model``."""
        return shipped_beside(model) if self.choice.attack == AUTO else []

    def open(self, defense: str | None = None) -> tuple[LoadedModel, Dataset, AnyAttack, dict[str, Any]]:
        """The three, the dataset with the model's classes, and which frame the model expects and which was given."""
        attack = self.choice.build_any()
        bare, before = undefended(self.model, defense)
        if self.dataset is not None:
            check_root(self.dataset, self.data_root)
        path = resolve_model(bare)
        model = load_model(path, choose_device(self.device))
        name, root, stands = self.dataset, self.data_root, AS_IT_IS
        if name is None:
            name, remembered, stands = dataset_of_weights(path, model.card)
            root = root or remembered
        if self.orientation != AS_SUPPLIED:
            check_turnable(name)
            stands = self.orientation.resolve(model, lambda: sample(find_dataset(name, root), model.card.points))
        expected = expected_up(model.card) if stands.given else STANDARD_UP
        data = find_dataset(name, root, orientation=stands, expected=expected)
        if data.card.name == model.card.dataset and data.card.fingerprint != model.card.fingerprint:
            note(f"{model.name} was trained on another version of {data.card.name} than this one.")
        frame = frame_record(
            model.card.up_axis,
            data.card.name,
            data.card.orientation,
            known=data.card.up_axis,
            found=self.orientation.automatic,
        )
        model = named_after(model, data)
        unsaid = data.card.given_up is None and axis_named(data.card.up_axis) is None
        frame["hint"] = look_for_turn(model, "The folder", sample(data, model.card.points)) if unsaid else None
        return behind(before, model), matched(data, model.card.classes, self.classes), attack, frame
