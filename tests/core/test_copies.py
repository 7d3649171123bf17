"""Copies of training shapes among the test shapes: found, counted on the card, and left out on request."""

import json
from pathlib import Path

import numpy as np
import pytest

from core.datasets import Dataset
from core.datasets.copies import EXACT, TOLERANCE, nearest_copies, order_statistics
from core.evaluation.accuracy import EvaluationOptions, chosen_clouds
from core.evaluation.judge import evaluate_accuracy
from core.events import result
from tests.core.test_datasets import opened, shared
from tests.core.toys import settled_pointnet, toy_split


def cloud(seed: int, n: int = 500) -> np.ndarray:
    """A cloud (n, 3) that is no other's copy, though all are samples of one distribution."""
    return np.random.default_rng(seed).normal(size=(n, 3)).astype(np.float32)


def copies_among(train: list[np.ndarray], test: list[np.ndarray]) -> dict[int, float]:
    statistics = np.array([order_statistics(points) for points in (*train, *test)])
    return nearest_copies(statistics, {"train": len(train), "test": len(test)})


def folder_of(root: Path, shapes: dict[str, np.ndarray]) -> Path:
    """A dataset in which each of ``shapes`` is at its place, SPLIT/CLASS/FILE.npy."""
    for place, points in shapes.items():
        path = root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, points)
    return root


class TestOrderStatistics:
    def test_they_are_the_sorted_coordinates_of_the_normalised_cloud_at_even_ranks(self) -> None:
        points = np.array([[0, 0, -2], [0, 0, 2], [0, 0, 1], [0, 0, -1]], dtype=np.float32) + 7
        found = order_statistics(points).reshape(8, -1)
        np.testing.assert_allclose(found[[0, 1]], 0, atol=1e-6)
        assert np.unique(found[2].round(6)).tolist() == [-1, -0.5, 0.5, 1]
        np.testing.assert_allclose(found[3], found[2] / np.sqrt(3), atol=1e-6)  # along (1, 1, 1)
        assert np.unique(found[7].round(6)).tolist() == [0.5, 1]  # distances from the centre

    def test_neither_order_nor_position_nor_size_matters(self) -> None:
        points = cloud(0)
        other = 3 * np.random.default_rng(1).permutation(points) + np.float32(5)
        np.testing.assert_allclose(order_statistics(other), order_statistics(points), atol=5e-6)

    def test_they_change_by_no_more_than_the_points_move(self) -> None:
        rng, points = np.random.default_rng(0), cloud(0)
        points -= points.mean(axis=0)
        points /= np.linalg.norm(points, axis=1).max()
        moves = rng.normal(size=points.shape)
        moves *= 1e-3 / np.linalg.norm(moves, axis=1, keepdims=True)
        change = np.abs(order_statistics(points + moves) - order_statistics(points)).max()
        assert 0 < change < 2.1e-3  # 1e-3 for the points, at most as much for the centre and the radius


class TestNearestCopies:
    def test_equal_and_nearly_equal_clouds_are_found_and_samples_of_one_distribution_are_not(self) -> None:
        train = [cloud(seed) for seed in range(20)]
        rounded = train[7].astype(np.float16).astype(np.float32)
        detail = train[9].copy()
        detail[:50] += 4e-4 * np.abs(detail).max()
        test = [cloud(100), np.random.default_rng(0).permutation(train[4]), cloud(101), rounded, detail]
        found = copies_among(train, test)
        assert list(found) == [1, 3, 4]
        assert found[1] <= EXACT < found[3] < found[4] <= TOLERANCE

    def test_a_mirrored_or_turned_cloud_is_no_copy(self) -> None:
        corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=np.float32)
        dented = np.vstack([corners, corners, [[0.9, 0.5, 0.3], [-0.9, -0.5, -0.3]]]).astype(np.float32)
        mirrored = dented * np.array([-1, 1, 1], dtype=np.float32)  # the same numbers along each axis
        assert np.array_equal(np.sort(dented, axis=0), np.sort(mirrored, axis=0))
        assert not copies_among([dented], [mirrored, dented[:, [1, 0, 2]]])
        assert list(copies_among([dented], [mirrored, dented])) == [1]

    def test_an_empty_split_has_none(self) -> None:
        assert copies_among([cloud(0)], []) == {}
        assert copies_among([], [cloud(0)]) == {}

    def test_other_splits_play_no_part(self) -> None:
        statistics = np.array([order_statistics(cloud(seed)) for seed in (0, 1, 1, 2, 0)])
        assert list(nearest_copies(statistics, {"train": 1, "val": 1, "test": 3})) == [2]


class TestCard:
    @pytest.fixture
    def dataset(self, tmp_path: Path) -> Dataset:
        """Of five test shapes two are training shapes: one in another order, one rounded; one is a copy of another."""
        shapes = {f"train/cup/{seed}.npy": cloud(seed) for seed in range(6)}
        shapes |= {f"test/cup/{seed}.npy": cloud(seed) for seed in (10, 11)}
        shapes["test/cup/12.npy"] = np.random.default_rng(1).permutation(cloud(3))
        shapes["test/cup/13.npy"] = cloud(5).astype(np.float16).astype(np.float32)
        shapes["test/cup/14.npy"] = cloud(10)
        return opened("folder", folder_of(tmp_path / "mine", shapes), tmp_path / "cache")[0]

    def test_copies_are_counted_when_the_cache_is_made_and_are_known_when_it_is_opened_again(
        self, dataset: Dataset, tmp_path: Path
    ) -> None:
        again = opened("folder", tmp_path / "mine", tmp_path / "cache")[0]
        for one in (dataset, again):
            assert (one.card.copies, one.card.exact_copies) == (2, 1)
            assert one.split("test").copies.tolist() == [2, 3]
            assert one.split("train").copies.tolist() == []

    def test_they_are_found_though_each_cloud_is_stored_with_points_of_its_own_choice(self, tmp_path: Path) -> None:
        shapes = {"train/cup/1.npy": cloud(0, 5000), "test/cup/2.npy": cloud(0, 5000), "test/cup/3.npy": cloud(1, 5000)}
        dataset, _ = opened("folder", folder_of(tmp_path / "mine", shapes), tmp_path / "cache")
        assert dataset.card.exact_copies == dataset.card.copies == 1
        stored = [np.sort(split.points[0], axis=0) for split in dataset.splits.values()]
        assert not np.array_equal(*stored)  # 2,048 of 5,000 points, by the name of the shape

    def test_a_cache_with_other_copies_on_its_card_is_made_anew(self, dataset: Dataset, tmp_path: Path) -> None:
        (folder,) = (tmp_path / "cache").iterdir()
        facts = json.loads((folder / "card.json").read_text())
        (folder / "card.json").write_text(json.dumps(facts | {"copies": {"0": 0.0}}))
        again, notes = opened("folder", tmp_path / "mine", tmp_path / "cache")
        assert notes == ["The cache of Folder mine is made anew: the copies on its card are not those that were found."]
        assert again.card == dataset.card

    def test_an_older_cache_which_does_not_know_them_is_made_anew(self, dataset: Dataset, tmp_path: Path) -> None:
        (folder,) = (tmp_path / "cache").iterdir()
        facts = json.loads((folder / "card.json").read_text())
        older = {name: value for name, value in facts.items() if not name.startswith("copies")} | {"format": 1}
        (folder / "card.json").write_text(json.dumps(older))
        again, notes = opened("folder", tmp_path / "mine", tmp_path / "cache")
        assert notes == ["The cache of Folder mine is made anew: it is of another version."]
        assert again.card == dataset.card

    @pytest.mark.long
    def test_those_of_modelnet16_are_known(self, tmp_path: Path) -> None:
        """Ten are exact, as the list beside the data says; six differ from a training shape in a detail."""
        archive = shared("modelnet40_1024.npz")
        dataset, _ = opened("modelnet16", archive, tmp_path / "cache")
        assert (dataset.card.copies, dataset.card.exact_copies) == (16, 10)
        groups = json.loads(archive.with_name("modelnet40_duplicates.json").read_text())["exact_duplicate_groups"]
        train, test = (dataset.split(name).names for name in ("train", "test"))
        listed = set()
        for group in groups:
            names = [place.partition("/")[2] for place in group]
            if any(f"train/{name}" in group and name in train for name in names):
                listed |= {name for name in names if f"test/{name}" in group and name in test}
        assert len(listed) == 10
        assert listed < {test[row] for row in dataset.split("test").copies}


class TestLeavingOut:
    def test_copies_are_left_out_on_request_and_counted(self) -> None:
        split = toy_split(12)
        object.__setattr__(split, "copies", np.array([1, 6]))
        asked = EvaluationOptions(points=64, without_copies=True)
        assert chosen_clouds(split, asked).tolist() == [0, 2, 3, 4, 5, 7, 8, 9, 10, 11]
        few = chosen_clouds(split, asked.model_copy(update={"clouds": 6}))
        assert len(few) == 6
        assert not {1, 6} & set(few.tolist())
        assert len(chosen_clouds(split, EvaluationOptions(points=64))) == 12
        model = settled_pointnet(64).float()
        left, whole = (
            result(evaluate_accuracy(model, split, None, EvaluationOptions(points=64, without_copies=without)))
            for without in (True, False)
        )
        assert (left.summary()["n"], left.summary()["copies_left_out"]) == (10, 2)
        assert (whole.summary()["n"], whole.summary()["copies_left_out"]) == (12, 0)
        np.testing.assert_array_equal(left.clean.prediction, np.delete(whole.clean.prediction, [1, 6]))

    def test_a_split_of_copies_alone_is_refused(self) -> None:
        split = toy_split(2)
        object.__setattr__(split, "copies", np.array([0, 1]))
        with pytest.raises(ValueError, match="all 2 clouds of the split are copies of training clouds"):
            chosen_clouds(split, EvaluationOptions(points=64, without_copies=True))
