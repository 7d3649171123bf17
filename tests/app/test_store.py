"""The list of models: shipped ones change with the dataset, loaded ones stay."""

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


def test_the_first_shipped_model_is_attacked_and_three_are_shown() -> None:
    store, primaries = Store(), []
    store.modelsChanged.connect(lambda: primaries.append(store.primary))
    store.set_shipped(tuple(model(name) for name in ("simple", "adv.", "defense", "pgd")))
    assert primaries == ["simple"], "one signal for one change"
    assert [shown.name for shown in store.verdict_models] == ["simple", "adv.", "defense"]


def test_shipped_models_of_another_dataset_replace_shipped_ones_and_loaded_models_stay() -> None:
    store = Store()
    store.set_shipped((model("simple"), model("adv.")))
    store.add_model(model("mine", shipped=False))
    store.add_model(model("hidden", shipped=False))
    store.set_shown("hidden", False)
    store.set_shipped((model("simple", ("c", "d")),))
    assert [known.name for known in store.models] == ["simple", "mine", "hidden"]
    assert store.shown == {"simple", "mine"}
    assert store.primary == "simple"


def test_a_loaded_model_stays_the_attacked_one_if_its_classes_fit() -> None:
    store = Store()
    store.set_shipped((model("simple"),))
    store.add_model(model("mine", ("c", "d"), shipped=False), primary=True)
    store.set_shipped((model("simple", ("c", "d")),))
    assert store.primary == "mine"


def test_a_name_already_in_use_gets_a_number_and_a_hidden_model_stays_hidden() -> None:
    store = Store()
    store.add_model(replace(model("simple", shipped=False)))
    store.add_model(model("other", shipped=False), primary=True)
    store.set_shown("simple", False)
    store.set_shipped((model("simple"),))
    assert [known.name for known in store.models] == ["simple", "simple 2", "other"]
    assert store.shown == {"simple", "other"}


def test_a_title_already_in_use_names_the_dataset_and_then_gets_a_number() -> None:
    store = Store()
    for name, dataset in (("a", "shapes16"), ("b", "modelnet16"), ("c", "modelnet16"), ("d", None)):
        made = model(name, shipped=False)
        store.add_model(replace(made, card=made.card.model_copy(update={"title": "simple", "dataset": dataset})))
    titles = [known.card.title for known in store.models]
    assert titles == ["simple", "simple · modelnet16", "simple · modelnet16 2", "simple 2"]


def test_a_model_gets_another_title_and_keeps_its_place() -> None:
    store = Store()
    for name in ("a", "b"):
        store.add_model(model(name, shipped=False))
    store.rename_model("a", "mine")
    assert [known.card.title for known in store.models] == ["mine", "b"]
    assert (store.primary, store.shown) == ("a", {"a", "b"})
    store.rename_model("b", "mine")
    assert [known.card.title for known in store.models] == ["mine", "mine 2"]


def test_an_unloaded_model_is_gone_and_another_is_attacked() -> None:
    store, changes = Store(), []
    for name in ("a", "b", "c"):
        store.add_model(model(name, shipped=False))
    store.modelsChanged.connect(lambda: changes.append(1))
    store.remove_model("b")
    assert ([known.name for known in store.models], store.primary, store.shown) == (["a", "c"], "a", {"a", "c"})
    store.remove_model("a")
    assert (store.primary, store.shown) == ("c", {"c"})
    store.remove_model("c")
    assert (store.models, store.primary) == ((), "")
    assert len(changes) == 3


def test_the_next_attacked_model_has_the_same_classes_if_there_is_one() -> None:
    store = Store()
    for name, classes in (("a", ("c", "d")), ("b", ("a", "b")), ("c", ("a", "b"))):
        store.add_model(model(name, classes, shipped=False))
    store.set_primary("b")
    store.remove_model("b")
    assert store.primary == "c"


def test_a_choice_of_a_model_that_is_gone_changes_nothing() -> None:
    store = Store()
    store.add_model(model("a", shipped=False))
    store.set_primary("gone")
    store.rename_model("gone", "mine")
    store.remove_model("gone")
    assert ([known.card.title for known in store.models], store.primary) == (["a"], "a")


def test_a_model_in_the_place_of_another_is_attacked_and_shown_as_that_was() -> None:
    store = Store()
    store.set_shipped((model("a"), model("b"), model("c")))
    store.set_shown("b", False)
    for name in ("a", "b"):
        before = next(known for known in store.models if known.name == name)
        store.replace_model(before, replace(before, card=before.card.model_copy(update={"name": f"{name}+sor"})))
    assert [known.name for known in store.models] == ["a+sor", "b+sor", "c"]
    assert store.primary == "a+sor"
    assert store.shown == {"a+sor", "c"}
