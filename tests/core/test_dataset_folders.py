"""Folders that datasets are read from and converted into: rights, names, other processes, and what a kill leaves."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from core.clouds.files import write_cloud
from core.datasets import Dataset, DatasetError, open_dataset
from core.events import Note, result
from core.runtime.files import atomic_path
from tests.core.leftovers import leftover_name, unprivileged


def filled(root: Path, *names: str) -> Path:
    """A folder of clouds, each of its own."""
    for seed, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        points = np.random.default_rng(seed).normal(size=(50, 3)).astype(np.float32)
        np.save(root / name, points)
    return root


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return filled(tmp_path / "mine", *(f"{name}/{number}.npy" for name in ("cup", "vase") for number in range(5)))


def opened(root: Path, cache: Path) -> Dataset:
    dataset: Dataset = result(open_dataset("folder", root, cache))
    return dataset


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_killed_conversions_left_is_removed_and_what_is_being_made_is_not(small: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    opened(small, cache)
    (folder,) = cache.iterdir()
    with atomic_path(cache / "another") as another:  # by this process, which lives
        another.mkdir()
        for name in (folder.name, "another"):
            (cache / leftover_name(name)).mkdir()
        opened(small, cache)
        assert names_in(cache) == sorted([another.name, folder.name])

        shutil.rmtree(folder)
        foreign = [leftover_name(name, host="00000000") for name in (folder.name, "another")]  # of another machine
        for name in foreign:
            (cache / name).mkdir()
        opened(small, cache)
        assert names_in(cache) == sorted([another.name, foreign[1], folder.name]), "the lock was for one cache"


def test_a_conversion_that_another_process_is_making_is_waited_for_and_used(small: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    making = open_dataset("folder", small, cache)
    next(making)
    waiting = open_dataset("folder", small, cache)
    note = next(waiting)
    assert isinstance(note, Note)
    assert note.text.startswith("Folder mine is being converted by another job")
    next(waiting)
    made = result(making)
    assert result(waiting).card == made.card
    assert len(names_in(cache)) == 1


def test_a_relative_and_an_absolute_root_share_a_cache(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = opened(small, tmp_path / "cache")
    monkeypatch.chdir(small.parent)
    events = list(open_dataset("folder", Path(small.name), tmp_path / "cache"))
    assert len(events) == 1, "it was converted again"
    assert events[0].value.card == first.card  # type: ignore[attr-defined]
    assert len(names_in(tmp_path / "cache")) == 1


class TestRights:
    def test_a_class_folder_that_cannot_be_read_is_an_error_not_an_absence(self) -> None:
        with unprivileged() as folder:
            root = filled(folder / "mine", "cup/1.npy", "cup/2.npy", "vase/1.npy", "vase/2.npy")
            (root / "vase").chmod(0)
            with pytest.raises(DatasetError, match=r"vase cannot be read \(Permission denied\); allow reading it"):
                opened(root, folder / "cache")

    def test_so_is_a_split_of_modelnet40(self) -> None:
        with unprivileged() as folder:
            for name in ("cup/train/1.off", "cup/test/1.off", "vase/train/1.off", "vase/test/1.off"):
                (folder / "off" / name).parent.mkdir(parents=True)
                (folder / "off" / name).write_text("OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n")
            (folder / "off" / "vase" / "test").chmod(0)
            with pytest.raises(DatasetError, match="test cannot be read"):
                result(open_dataset("modelnet40", folder / "off", folder / "cache"))

    def test_a_file_that_cannot_be_read_is_named_and_not_the_cache(self) -> None:
        with unprivileged() as folder:
            root = filled(folder / "mine", "cup/1.npy", "cup/2.npy")
            (root / "cup" / "2.npy").chmod(0)
            with pytest.raises(ValueError, match=r"cup/2\.npy.*Permission denied"):
                opened(root, folder / "cache")
            assert not names_in(folder / "cache")


class TestNamesThatAreNotUtf8:
    @pytest.fixture
    def strange(self, tmp_path: Path) -> Path:
        """A folder of such a name, with a class and a file of such names."""
        root = tmp_path / os.fsdecode(b"m\xf6bel")
        return filled(
            root, os.fsdecode(b"st\xfchle/1.npy"), os.fsdecode(b"st\xfchle/na\xefv.npy"), "cup/1.npy", "cup/2.npy"
        )

    def test_are_shown_escaped_and_work(self, strange: Path, tmp_path: Path) -> None:
        dataset = opened(strange, tmp_path / "cache")
        assert dataset.card.classes == ("cup", r"st\xfchle")
        names = [name for split in dataset.splits.values() for name in split.names]
        assert sorted(names) == ["cup_1", "cup_2", r"st\xfchle_1", r"st\xfchle_na\xefv"]
        assert dataset.card.title == r"Folder m\xf6bel"
        assert dataset.card.source.endswith(r"m\xf6bel")
        assert len(list(open_dataset("folder", strange, tmp_path / "cache"))) == 1, "it was converted again"

    def test_a_file_that_cannot_be_used_is_named_so_that_it_can_be_printed(self, strange: Path, tmp_path: Path) -> None:
        bad = strange / os.fsdecode(b"st\xfchle/na\xefv.npy")
        bad.write_bytes(b"no cloud")
        with pytest.raises(ValueError, match=r"na\\xefv\.npy") as error:
            opened(strange, tmp_path / "cache")
        assert str(error.value).encode()

    def test_a_cloud_can_be_read_and_written(self, tmp_path: Path) -> None:
        from core.clouds.files import read_cloud

        path = tmp_path / os.fsdecode(b"\xe9t\xe9.ply")
        write_cloud(path, np.eye(3, dtype=np.float32))
        assert read_cloud(path, None).name == r"\xe9t\xe9"
