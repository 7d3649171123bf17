"""The list of models: those that come with the program follow the dataset, a person's own stay as they are."""

from dataclasses import replace

import torch

from app.store import Store
from core.models import build
from core.models.checkpoints import WEIGHTS, LoadedModel, ModelCard


def model(name: str, classes: tuple[str, ...] = ("a", "b"), shipped: bool = True) -> LoadedModel:
    card = ModelCard(
        name=name, title=name, architecture="pointnet", classes=classes, regime="simple", points=8, dataset="toys",
        fingerprint="0", up_axis="z", seed=0, epochs=1,
    )  # fmt: skip
    torch.manual_seed(0)
    return LoadedModel(build("pointnet", len(classes)), card, "0", WEIGHTS / name if shipped else None)


def test_the_first_is_attacked_and_three_give_their_verdicts() -> None:
    store, told = Store(), []
    store.modelsChanged.connect(lambda: told.append(store.primary))
    store.set_shipped(tuple(model(name) for name in ("simple", "adv.", "defense", "pgd")))
    assert told == ["simple"], "one change is told once"
    assert [shown.name for shown in store.verdict_models] == ["simple", "adv.", "defense"]


def test_those_of_another_dataset_take_their_place_and_ones_own_stay() -> None:
    store = Store()
    store.set_shipped((model("simple"), model("adv.")))
    store.add_model(model("mine", shipped=False))
    store.add_model(model("hidden", shipped=False))
    store.set_shown("hidden", False)
    store.set_shipped((model("simple", ("c", "d")),))
    assert [known.name for known in store.models] == ["simple", "mine", "hidden"]
    assert store.shown == {"simple", "mine"}
    assert store.primary == "simple"


def test_ones_own_model_stays_the_attacked_one_where_it_fits() -> None:
    store = Store()
    store.set_shipped((model("simple"),))
    store.add_model(model("mine", ("c", "d"), shipped=False), primary=True)
    store.set_shipped((model("simple", ("c", "d")),))
    assert store.primary == "mine"


def test_a_name_that_is_taken_is_numbered_and_stays_hidden() -> None:
    store = Store()
    store.add_model(replace(model("simple", shipped=False)))
    store.add_model(model("other", shipped=False), primary=True)
    store.set_shown("simple", False)
    store.set_shipped((model("simple"),))
    assert [known.name for known in store.models] == ["simple", "simple 2", "other"]
    assert store.shown == {"simple", "other"}
