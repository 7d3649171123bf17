"""What the commands share: the app they belong to, the parameters of several, and how what these name is opened."""

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter, validators
from platformdirs import user_cache_path

from core.attacks import Attack, preset
from core.commands.console import CONSOLE, UserError, follow
from core.datasets import Dataset, open_dataset
from core.events import Cancel, Event
from core.models.checkpoints import LoadedModel, load_model, resolve_model
from core.options import partial
from core.results.records import versions
from core.runtime.devices import DeviceName, choose_device
from core.training import dataset_of_weights

cli = App(
    name="pointward",
    help="Attack, defend and measure point-cloud classifiers. Without a command the studio opens.",
    version=lambda: versions(["pointward"]).get("pointward", "not installed, run from its source"),
    version_flags=["--version"],
    help_format="plaintext",
)

STOPPED = 130
"""Exit code of what Ctrl-C ended, as shells have it."""
Flat = Parameter(name="*")
AttackChanges = partial(Attack)
DataRoot = Annotated[Path | None, Parameter(help="Where the dataset's files are, for those that are not built in.")]
Device = Annotated[DeviceName, Parameter(help="Where to compute.")]
Seed = Annotated[int, Parameter(validator=validators.Number(gte=0, lt=2**31))]
AllowMissing = Annotated[
    bool, Parameter(negative="", help="Go on where some files of a dataset's official list are missing.")
]
Json = Annotated[bool, Parameter(name="--json", negative="", help="Print the result as one JSON object.")]


def cache_folder() -> Path:
    """Where converted datasets are kept."""
    return user_cache_path("pointward")


def find_dataset(name: str, root: Path | None, allow_missing: bool = False) -> Dataset:
    """A dataset by name, opened with a bar where that takes a while."""

    def opening(cancel: Cancel) -> Iterator[Event]:
        for event in open_dataset(name, root, cache_folder(), allow_missing=allow_missing):
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
        Attack preset: fgsm, bim, mi or pgd.
    """

    attack: str = "fgsm"
    changes: Annotated[AttackChanges | None, Flat] = None  # type: ignore[valid-type]

    def build(self, targeted: bool = False) -> Attack:
        """The attack, ``targeted`` where the command line names the class to move towards."""
        values = self.changes.model_dump(exclude_none=True) if self.changes is not None else {}
        if targeted:
            values["objective"] = "targeted"
        elif values.get("objective") == "targeted":
            raise UserError("A targeted attack needs a target: `pointward attack` takes --target CLASS.")
        return preset(self.attack, **values)


FGSM = AttackChoice()


@Flat
@dataclass(frozen=True)
class Trial:
    """A model, the dataset whose test clouds it is tried on, and the attack on them.

    Parameters
    ----------
    model
        A built-in model, a run folder or a .safetensors file.
    dataset
        Dataset whose test clouds are used; the default is the one the model was trained on.
    """

    model: str
    _: KW_ONLY
    dataset: str | None = None
    data_root: DataRoot = None
    choice: AttackChoice = FGSM
    device: Device = "auto"

    def open(self) -> tuple[LoadedModel, Dataset, Attack]:
        """The three, after checking that the model knows the classes of the dataset."""
        path = resolve_model(self.model)
        model = load_model(path, choose_device(self.device))
        name, root = self.dataset, self.data_root
        if name is None:
            name, remembered = dataset_of_weights(path, model.card)
            root = root or remembered
        data = find_dataset(name, root)
        if data.card.name == model.card.dataset and data.card.fingerprint != model.card.fingerprint:
            CONSOLE.print(f"{model.name} was trained on another version of {data.card.name} than this one.")
        if tuple(data.card.classes) != tuple(model.card.classes):
            raise UserError(f"{model.name} knows other classes than {data.card.name}; test it on {model.card.dataset}.")
        return model, data, self.choice.build()
