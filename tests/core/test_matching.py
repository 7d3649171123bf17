"""The classes of a dataset among those of a model."""

import numpy as np
import pytest

from core.datasets import DatasetError
from core.datasets.matching import class_index, label_map, matched, parse_names, presence
from tests.core.toys import CLASSES, toy_dataset

OUTPUTS = ("airplane", "ball", "chair", "cigar", "night_stand", "plate")


def test_some_of_the_classes_in_any_order_get_the_numbers_of_the_models() -> None:
    assert label_map(("plate", "ball"), OUTPUTS).tolist() == [5, 1]
    assert label_map(OUTPUTS, OUTPUTS).tolist() == [0, 1, 2, 3, 4, 5]


def test_names_that_differ_are_matched() -> None:
    assert label_map(("seat", "ball"), OUTPUTS, {"seat": "chair"}).tolist() == [2, 1]
    assert label_map(("seat", "chair"), OUTPUTS, {"seat": "chair"}).tolist() == [2, 2], "two of the dataset's for one"


@pytest.mark.parametrize("name", ["night_stand", "Night Stand", "night-stand", " NIGHT  STAND"])
def test_capitals_spaces_and_hyphens_do_not_matter(name: str) -> None:
    assert class_index(name, OUTPUTS) == 4


def test_an_exact_name_comes_before_a_similar_one_and_an_ambiguous_one_is_unknown() -> None:
    assert class_index("A", ("a", "A")) == 1
    assert class_index("a b", ("a_b", "a-b")) is None
    assert class_index(None, OUTPUTS) is None


@pytest.mark.parametrize(
    ("classes", "names", "said"),
    [
        (("ball", "seat", "thing"), {}, "The model knows no class seat, thing; its classes are airplane, ball, chair"),
        (("ball", "seat"), {}, "--classes seat=airplane"),
        (("ball",), {"seat": "chair"}, "The dataset has no class seat; its classes are ball"),
        (("ball",), {"ball": "sphere"}, "The model knows no class sphere; its classes are airplane"),
        (tuple(f"class{k}" for k in range(30)), {}, "and 18 more; its classes are"),
    ],
)
def test_classes_that_are_unknown_are_listed_in_one_sentence(
    classes: tuple[str, ...], names: dict[str, str], said: str
) -> None:
    with pytest.raises(DatasetError, match=said.replace("(", r"\(")) as caught:
        label_map(classes, OUTPUTS, names)
    assert "\n" not in str(caught.value)


def test_a_matched_dataset_has_the_models_classes_and_its_own_clouds() -> None:
    dataset = toy_dataset()
    other = matched(dataset, OUTPUTS)
    names = np.array(CLASSES)[dataset.split("test").labels]
    assert other.card.classes == OUTPUTS
    assert np.array_equal(np.array(OUTPUTS)[other.split("test").labels], names)
    assert other.split("test").points is dataset.split("test").points
    assert other.card.fingerprint == dataset.card.fingerprint
    assert other.cloud("test", 1).class_name == dataset.cloud("test", 1).class_name
    assert matched(dataset, CLASSES) is dataset
    assert presence(other.split("test").labels, OUTPUTS) == "3 of the model's 6 classes present"


def test_a_list_of_names_is_parsed_or_refused() -> None:
    assert parse_names("seat=chair, couch=sofa") == {"seat": "chair", "couch": "sofa"}
    for wrong in ("", "seat", "seat=", "=chair", "seat=chair,", "seat=chair,seat=sofa"):
        with pytest.raises(ValueError, match="seat=chair,couch=sofa"):
            parse_names(wrong)
