"""The models of the transfer study, surrogates and victims, and how they are trained.

As in the paper each surrogate is of another family; victims are larger models of the same families, models of families
that no surrogate has, and models that were trained on adversarial clouds. All have one recipe, so that they differ in
the architecture alone, and the last ones in their regime.

There is a zoo of clouds, and one of images, whose families are those of the paper: small networks for the dataset
``digits``.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from core.datasets import REGISTRY, Dataset, digits
from core.events import Cancel, Done, Event, forward
from core.models.checkpoints import BEST, builtin_models
from core.options import partial
from core.training import RunResult, TrainOptions, run_exists, train

RECIPE: dict[str, Any] = {
    "epochs": 10,
    "points": 512,
    "batch_size": 32,
    "learning_rate": 1e-3,
    "schedule": "cosine",
    "scaling": 0.2,
}
"""Options of every training that are not the defaults."""
ON_PGD_CLOUDS: dict[str, Any] = {
    "regime": "pgd",
    "epsilon": 0.05,
    "attack_steps": 5,
    "attack_optimiser": "na-gd",
    "attack_random_start": False,
}
"""The same of those on PGD clouds."""

Role = Literal["surrogate", "victim"]
TrainingChanges = partial("TrainingChanges", TrainOptions, without=("model", "model_options", "regime"))
"""What a person changes of every training; the three left out are what the models of the zoo differ in."""


@dataclass(frozen=True)
class Member:
    """A model of the zoo."""

    role: Role
    cost: float
    """Seconds of one core for an epoch of 1,000 clouds, about; for the order and the progress."""
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Options of its training beside those of the recipe."""
    recipe: Mapping[str, Any] = field(default_factory=lambda: RECIPE)

    def options(self, changes: Mapping[str, Any]) -> TrainOptions:
        """Options of its training; ``changes`` are those of the person, and come last."""
        return TrainOptions.model_validate({**self.recipe, **self.changes, **changes})


MEMBERS: Mapping[str, Member] = {
    "pointnet": Member("surrogate", 3, {"model": "pointnet"}),
    "pointnet2-ssg": Member("surrogate", 69, {"model": "pointnet2-ssg"}),
    "dgcnn": Member("surrogate", 37, {"model": "dgcnn"}),
    "pct": Member("surrogate", 127, {"model": "pct"}),
    "pointnet-transform": Member("victim", 6, {"model": "pointnet", "model_options": {"feature_transform": True}}),
    "pointnet2-msg": Member("victim", 288, {"model": "pointnet2-msg"}),
    "gdanet": Member("victim", 89, {"model": "gdanet"}),
    "pointconv": Member("victim", 125, {"model": "pointconv"}),
    "curvenet": Member("victim", 55, {"model": "curvenet"}),
    "pointmlp-elite": Member("victim", 39, {"model": "pointmlp-elite"}),
    "pointnet-pgd": Member("victim", 11, {"model": "pointnet", **ON_PGD_CLOUDS}),
    "pointnet-defense": Member("victim", 8, {"model": "pointnet", "regime": "defense"}),
    "dgcnn-pgd": Member("victim", 175, {"model": "dgcnn", **ON_PGD_CLOUDS}),
}
"""Those of clouds by name, in the order of the tables."""

IMAGE_RECIPE: dict[str, Any] = {
    "epochs": 15,
    "batch_size": 32,
    "learning_rate": 3e-3,
    "schedule": "cosine",
    "weight_decay": 1e-4,
    "averaging": 0.99,
    "validation": 0.2,
}
"""The recipe of images. The best epoch is the first with the most correct validation images, and of a tenth of them all
soon are correct: hence twice as many, and averaged weights, which are good from early on."""
ON_PGD_IMAGES: dict[str, Any] = {"regime": "pgd", "epsilon": 0.1, "attack_steps": 5}
"""What those on PGD images have beside it."""


def _image_member(role: Role, cost: float, model: str, **changes: Any) -> Member:
    return Member(role, cost, {"model": model, **changes}, IMAGE_RECIPE)


IMAGE_MEMBERS: Mapping[str, Member] = {
    "vgg-small": _image_member("surrogate", 0.3, "vgg-small"),
    "resnet-small": _image_member("surrogate", 0.3, "resnet-small"),
    "inception-small": _image_member("surrogate", 0.5, "inception-small"),
    "densenet-small": _image_member("surrogate", 0.7, "densenet-small"),
    "vgg-deep": _image_member("victim", 0.4, "vgg-deep"),
    "resnet-deep": _image_member("victim", 0.6, "resnet-deep"),
    "densenet-deep": _image_member("victim", 1.2, "densenet-deep"),
    "inception-resnet": _image_member("victim", 1.0, "inception-resnet"),
    "xception": _image_member("victim", 0.6, "xception"),
    "nasnet": _image_member("victim", 1.8, "nasnet"),
    "inception-small-pgd": _image_member("victim", 2.6, "inception-small", **ON_PGD_IMAGES),
    "inception-resnet-pgd": _image_member("victim", 3.7, "inception-resnet", **ON_PGD_IMAGES),
    "resnext-small-pgd": _image_member("victim", 2.1, "resnext-small", **ON_PGD_IMAGES),
}
"""Those of ``digits``, in the paper's order and of its families. The last three stand for its adversarially trained
InceptionV3, InceptionResNetV2 and ResNeXt-101, of which the third denoises its maps, and this one does not."""


def members_of(dataset: str) -> Mapping[str, Member]:
    """The zoo of a dataset by name; of images there is one for digits alone."""
    if dataset == digits.NAME:
        return IMAGE_MEMBERS
    return {} if dataset in REGISTRY and REGISTRY[dataset].modality == "images" else MEMBERS


def member_file(name: str, dataset: str, folder: Path | None = None) -> Path | None:
    """The weights of a member: of its run in a folder of ``train_zoo``, or those that are installed for a dataset.

    None if there are none.
    """
    if folder is not None:
        path = folder / name / BEST
        return path if path.is_file() else None
    return builtin_models(dataset, zoo=True).get(f"{dataset}-{name}")


def train_zoo(
    dataset: Dataset,
    names: Sequence[str],
    changes: Mapping[str, Any],
    folder: Path,
    cancel: Cancel | None = None,
    *,
    data_root: Path | None = None,
) -> Iterator[Event]:
    """Train models of the zoo one after another, the cheapest first, each in the run folder of its name.

    A run that is finished is left as it is, and one that was ended early goes on: killed and called again, it ends with
    the same weights.

    Parameters
    ----------
    names : of ``members_of`` the dataset.
    changes : options of every training that differ from the recipe.

    Yields
    ------
    Note, Progress over all trainings, Epoch; at last Done with the ``RunResult`` of each model by name, of those that
    were trained or found.
    """
    members = members_of(dataset.card.name)
    chosen = sorted(names, key=lambda name: members[name].cost)
    options = {name: members[name].options(changes) for name in chosen}
    weights = {name: max(1, round(1000 * members[name].cost * options[name].epochs)) for name in chosen}
    total, before = sum(weights.values()), 0
    results: dict[str, RunResult] = {}
    for name in chosen:
        run = folder / name
        end = yield from forward(
            train(dataset, options[name], run, cancel, resume=run_exists(run), data_root=data_root),
            before=before,
            weight=weights[name],
            total=total,
            text=name,
        )
        if end.value is not None:
            results[name] = end.value
        if not end.complete:
            yield Done(results, complete=False)
            return
        before += weights[name]
    yield Done(results)
