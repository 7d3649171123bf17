"""Datasets: every official layout, exact splits, one sentence for what is missing, a cache that is never trusted."""

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pytest

from core.clouds import Cloud
from core.clouds.files import FormatError, write_cloud
from core.datasets import REGISTRY, Dataset, DatasetError, open_dataset, shapes16
from core.datasets.modelnet40 import MODELNET16
from core.events import Done, Note, Progress

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
SYNSETS = "Airplane\t02691156\nBag\t02773838\nCap\t02954340\nTable\t04379243\n"


def shared(name: str) -> Path:
    """Real data beside the checkout, which may not be copied into it."""
    if not (SHARED / name).exists():
        pytest.skip(f"data absent: {name}")
    return SHARED / name


def opened(name: str, root: Path | None, cache: Path, **options) -> tuple[Dataset, list[str]]:
    """A dataset, and the notes on the way to it."""
    events = list(open_dataset(name, root, cache, **options))
    assert isinstance(events[-1], Done)
    return events[-1].value, [event.text for event in events if isinstance(event, Note)]


def refused(name: str, root: Path | None, cache: Path, **options) -> str:
    with pytest.raises((DatasetError, FormatError)) as caught:
        opened(name, root, cache, **options)
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    return sentence


@pytest.fixture
def roomy_cache(tmp_path) -> Iterator[Path]:
    """For the real sets: pytest keeps the folders of its last runs, and these are of hundreds of megabytes."""
    yield tmp_path / "cache"
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)


def some_points(n: int, seed: int = 0, offset: float = 5.0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=(n, 3)) * 3 + offset).astype(np.float32)


def assert_sound(dataset: Dataset) -> None:
    """What is promised of every dataset."""
    card = dataset.card
    assert {"train", "test"} <= set(dataset.splits)
    assert card.splits == {name: len(split) for name, split in dataset.splits.items()}
    for split in dataset.splits.values():
        assert split.points.shape == (len(split), card.points, 3)
        assert split.points.dtype == np.float32
        assert split.labels.dtype == np.int64
        assert len(split.names) == len(split)
        if len(split):
            assert 0 <= split.labels.min() <= split.labels.max() < len(card.classes)
            some = split.points[:: max(1, len(split) // 200)].astype(np.float64)
            np.testing.assert_allclose(np.linalg.norm(some, axis=2).max(axis=1), 1, atol=2e-4)
            np.testing.assert_allclose(some.mean(axis=1), 0, atol=2e-4)


def class_counts(dataset: Dataset, split: str) -> dict[str, int]:
    return {dataset.card.classes[label]: n for label, n in Counter(dataset.split(split).labels.tolist()).items()}


# The registry


def test_every_dataset_has_a_line_and_says_what_root_it_needs(tmp_path):
    assert list(REGISTRY) == ["shapes16", "modelnet40", "modelnet16", "shapenetpart", "folder", "digits", "images"]
    assert not REGISTRY["shapes16"].needs_root
    for name, spec in REGISTRY.items():
        assert spec.summary.endswith(".")
        if spec.needs_root:
            assert refused(name, None, tmp_path) == f"{name} needs a root; accepted are {spec.accepted}."
            assert refused(name, tmp_path / "none", tmp_path).startswith(
                f"{tmp_path / 'none'} does not exist; accepted"
            )


def test_a_dataset_that_does_not_exist_is_answered_with_those_that_do(tmp_path):
    known = "shapes16, modelnet40, modelnet16, shapenetpart, folder, digits, images"
    assert refused("modelnet10", None, tmp_path) == f"There is no dataset 'modelnet10'; there are {known}."


def test_the_built_in_dataset_takes_no_root(tmp_path):
    assert refused("shapes16", tmp_path, tmp_path) == "shapes16 is built in and takes no root."


# shapes16


def test_the_built_in_dataset_is_opened_by_class_with_numbered_names(tmp_path, monkeypatch):
    monkeypatch.setattr(shapes16, "COUNTS", dict.fromkeys(shapes16.CATEGORIES, (2, 1)))
    monkeypatch.setattr(shapes16, "generate", partial(shapes16.generate, jobs=1))
    dataset, notes = opened("shapes16", None, tmp_path)
    assert notes == []
    assert_sound(dataset)
    assert dataset.card.splits == {"train": 32, "test": 16}
    assert dataset.card.points == 2048
    assert dataset.split("train").names[:3] == ["airplane_0001", "airplane_0002", "bag_0001"]
    assert dataset.split("test").names[:2] == ["airplane_0003", "bag_0003"]
    np.testing.assert_array_equal(dataset.split("test").labels, np.arange(16))
    again, _ = opened("shapes16", None, tmp_path / "again")
    assert again.card.fingerprint == dataset.card.fingerprint
    assert len(list(open_dataset("shapes16", None, tmp_path))) == 1


# ModelNet40 and its 16 classes


@pytest.mark.long
def test_all_of_modelnet40_is_opened_in_its_official_split(roomy_cache):
    dataset, notes = opened("modelnet40", shared("modelnet40_1024.npz"), roomy_cache)
    assert notes == []
    assert_sound(dataset)
    assert dataset.card.splits == {"train": 9843, "test": 2468}
    assert len(dataset.card.classes) == 40
    assert dataset.card.points == 1024
    assert dataset.split("test").names[0] == "airplane_0627"
    with np.load(shared("modelnet40_1024.npz"), allow_pickle=False) as archive:
        row = archive["name"].tolist().index("airplane_0627")
        theirs = archive["points"][row].astype(np.float64)
    theirs = theirs - theirs.mean(axis=0)
    theirs /= np.linalg.norm(theirs, axis=1).max()
    ours = dataset.split("test").points[0]
    np.testing.assert_allclose(np.sort(ours, axis=0), np.sort(theirs, axis=0), atol=1e-6)


@pytest.mark.long
def test_modelnet16_has_its_classes_in_alphabetical_order_and_the_published_numbers(roomy_cache):
    dataset, notes = opened("modelnet16", shared("modelnet40_1024.npz"), roomy_cache)
    assert notes == []
    assert_sound(dataset)
    assert dataset.card.splits == {"train": 6228, "test": 1360}
    assert dataset.card.classes == MODELNET16 == tuple(sorted(MODELNET16))
    for split in dataset.splits.values():
        assert all(
            name.startswith(dataset.card.classes[label]) for name, label in zip(split.names, split.labels, strict=True)
        )


def npz_archive(path: Path, **changes: np.ndarray) -> Path:
    fields = {
        "points": np.stack([some_points(20, seed) for seed in range(6)]).astype(np.float16),
        "label": np.array([1, 0, 1, 0, 2, 2], dtype=np.int16),
        "split": np.array([1, 0, 0, 1, 0, 0], dtype=np.int8),
        "name": np.array(["bed_2", "airplane_1", "bed_1", "airplane_2", "cup_1", "cup_2"]),
        "classes": np.array(["airplane", "bed", "cup"]),
    }
    np.savez_compressed(path, **(fields | changes))
    return path


def hdf5_archive(root: Path) -> Path:
    """The layout of modelnet40_ply_hdf5_2048, in which only the first file has an index of names."""
    root.mkdir()
    classes = ["airplane", "bed"]
    (root / "shape_names.txt").write_text("\n".join(classes) + "\n")
    for split, parts in {"train": 2, "test": 1}.items():
        files = [f"ply_data_{split}{part}.h5" for part in range(parts)]
        (root / f"{split}_files.txt").write_text("".join(f"data/modelnet40_ply_hdf5_2048/{file}\n" for file in files))
        for part, file in enumerate(files):
            with h5py.File(root / file, "w") as target:
                target["data"] = np.stack([some_points(30, 10 * part + row) for row in range(3)])
                target["label"] = np.array([[1], [0], [1]], dtype=np.uint8)
    index = ["bed/bed_0007.ply", "airplane/airplane_0003.ply", "bed/bed_0001.ply"]
    (root / "ply_data_train_0_id2file.json").write_text(json.dumps(index))
    return root


def resampled_archive(root: Path) -> Path:
    """The layout of modelnet40_normal_resampled."""
    lists = {"train": ["night_stand_0001", "bed_0001", "bed_0002"], "test": ["bed_0003"]}
    root.mkdir()
    (root / "modelnet40_shape_names.txt").write_text("bed\nnight_stand\n")
    for split, names in lists.items():
        (root / f"modelnet40_{split}.txt").write_text("\n".join(names) + "\n")
        for name in names:
            folder = root / name.rpartition("_")[0]
            folder.mkdir(exist_ok=True)
            np.savetxt(folder / f"{name}.txt", np.hstack([some_points(50), some_points(50)]), fmt="%.6f", delimiter=",")
    return root


def off_archive(root: Path) -> Path:
    """The layout of the original meshes."""
    for place in ("bed/train/bed_0001", "bed/test/bed_0002", "tv_stand/train/tv_stand_0001"):
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        vertices = "".join(f"{x} {y} {z}\n" for x, y, z in some_points(4))
        (root / f"{place}.off").write_text(f"OFF4 4 6\n{vertices}3 0 1 2\n3 0 1 3\n3 0 2 3\n3 1 2 3\n")
    return root


def test_the_hdf5_layout_is_read_with_its_names(tmp_path):
    dataset, notes = opened("modelnet40", hdf5_archive(tmp_path / "hdf5"), tmp_path / "cache")
    assert_sound(dataset)
    assert dataset.card.points == 30
    assert dataset.card.up_axis == "y"
    assert class_counts(dataset, "train") == {"airplane": 2, "bed": 4}
    assert dataset.split("train").names[:2] == ["airplane_0003", "airplane_train1_0001"]
    assert notes == ["ModelNet40 has 6 train / 3 test shapes here; the official split has 9,843 train / 2,468 test."]


def test_the_resampled_layout_is_read_by_its_lists(tmp_path):
    dataset, _ = opened("modelnet40", resampled_archive(tmp_path / "txt"), tmp_path / "cache")
    assert_sound(dataset)
    assert dataset.card.points == 2048
    assert dataset.card.classes == ("bed", "night_stand")
    assert dataset.split("train").names == ["bed_0001", "bed_0002", "night_stand_0001"]
    assert dataset.split("test").names == ["bed_0003"]


def test_the_original_meshes_are_sampled_the_same_every_time(tmp_path):
    root = off_archive(tmp_path / "off")
    dataset, _ = opened("modelnet40", root, tmp_path / "cache")
    assert_sound(dataset)
    assert dataset.card.up_axis == "z"
    assert "by area" in dataset.card.sampling
    assert class_counts(dataset, "train") == {"bed": 1, "tv_stand": 1}
    again, _ = opened("modelnet40", root, tmp_path / "other")
    assert again.card.fingerprint == dataset.card.fingerprint


def test_missing_files_of_modelnet40_are_counted_and_named_and_may_be_allowed(tmp_path):
    root, cache = resampled_archive(tmp_path / "txt"), tmp_path / "cache"
    (root / "bed" / "bed_0002.txt").unlink()
    assert refused("modelnet40", root, cache) == (
        f"1 of the 4 entries in the lists of {root} have no file (bed/bed_0002.txt); "
        "put them there, or allow missing files to go on with those that are there."
    )
    dataset, notes = opened("modelnet40", root, cache, allow_missing=True)
    assert dataset.card.splits == {"train": 2, "test": 1}
    assert notes[0] == f"1 of the 4 entries in the lists of {root} have no file (bed/bed_0002.txt)."
    root = hdf5_archive(tmp_path / "hdf5")
    (root / "ply_data_train1.h5").unlink()
    assert "1 of the 3 entries" in refused("modelnet40", root, cache)
    assert opened("modelnet40", root, cache, allow_missing=True)[0].card.splits == {"train": 3, "test": 3}


def test_what_is_not_modelnet40_is_refused_with_what_is_accepted(tmp_path):
    cache, empty = tmp_path / "cache", tmp_path / "empty"
    empty.mkdir()
    assert refused("modelnet40", empty, cache).startswith(
        f"{empty} is not ModelNet40; accepted are modelnet40*.npz with"
    )
    path = tmp_path / "a.npz"
    path.write_bytes(b"PK nothing")
    assert refused("modelnet40", path, cache).startswith(f"{path}: it is not ModelNet40 (")
    np.savez(path, points=np.zeros((2, 3, 3)))
    assert "label" in refused("modelnet40", path, cache)
    npz_archive(path, label=np.array([1, 0, 1, 0, 2, 3]))
    assert refused("modelnet40", path, cache) == f"{path}: its labels go from 0 to 3 for 3 classes."
    npz_archive(path, label=np.array([1, 0]))
    assert refused("modelnet40", path, cache) == f"{path}: it has 6 clouds (6, 20, 3), 2 labels, 6 splits and 6 names."
    for labels, found in (
        (np.ones(6), "float64 (6,)"),
        (np.array(1), "int64 ()"),
        (np.ones((6, 1), int), "int64 (6, 1)"),
    ):
        npz_archive(path, label=labels)
        assert refused("modelnet40", path, cache) == f"{path}: its labels are {found}, not a row of whole numbers."
    npz_archive(path, split=np.array([0, 0, 0, 0, 0, 2]))
    assert refused("modelnet40", path, cache) == f"{path}: its field split holds other numbers than 0 and 1."
    npz_archive(path, points=np.full((6, 20, 3), np.nan))
    assert refused("modelnet40", path, cache).startswith("Shape airplane_1: point 1 of 20 is not finite")
    npz_archive(path, points=np.ones((6, 20, 3)))
    assert refused("modelnet40", path, cache).startswith("Shape airplane_1: all points of the cloud are in one place")
    npz_archive(path)
    assert refused("modelnet16", path, cache).startswith(f"{path} has no class bookshelf, bottle, car")
    assert opened("modelnet40", path, cache)[0].card.splits == {"train": 4, "test": 2}
    path.rename(empty / "modelnet40_20.npz")
    assert opened("modelnet40", empty, cache)[0].card.points == 20
    assert {folder.name.partition("-")[0] for folder in cache.iterdir()} == {"modelnet40"}


def test_damaged_parts_of_a_layout_are_named(tmp_path):
    cache = tmp_path / "cache"
    root = hdf5_archive(tmp_path / "hdf5")
    part = root / "ply_data_train0.h5"
    for labels, found in (
        ([[0], [1], [2]], "go from 0 to 2 for 2 classes"),
        ([[0.0], [1.0], [1.0]], "are float64 (3,)"),
    ):
        with h5py.File(part, "r+") as file:
            del file["label"]
            file["label"] = labels
        assert refused("modelnet40", root, cache).startswith(f"{part}: its labels {found}")
    with h5py.File(part, "r+") as file:
        del file["data"]
        file.create_group("data")
    assert refused("modelnet40", root, cache).startswith(f"{part}: field 'data' is a group")
    root = hdf5_archive(tmp_path / "index")
    for text in ("{oops", "[1, 2, 3]", "null"):
        (root / "ply_data_train_0_id2file.json").write_text(text)
        assert "id2file.json: it is not a list of names in JSON" in refused("modelnet40", root, cache)
    root = hdf5_archive(tmp_path / "damaged")
    (root / "ply_data_test0.h5").write_bytes(b"nothing")
    assert refused("modelnet40", root, cache).startswith(f"{root / 'ply_data_test0.h5'}: it cannot be read (")
    (root / "shape_names.txt").unlink()
    assert refused("modelnet40", root, cache).startswith(f"{root / 'shape_names.txt'}: there is no such file")
    root = resampled_archive(tmp_path / "txt")
    (root / "bed" / "bed_0002.txt").write_text("1,2,3\n4,5\n")
    assert refused("modelnet40", root, cache).startswith(f"{root / 'bed' / 'bed_0002.txt'}: line 2 has 2 columns")
    (root / "modelnet40_train.txt").write_bytes(b"\xff\xfe")
    assert refused("modelnet40", root, cache).startswith(f"{root / 'modelnet40_train.txt'}: it is not text in UTF-8")
    root = resampled_archive(tmp_path / "lists")
    (root / "modelnet40_shape_names.txt").write_text("bed\n")
    assert "name the class night_stand" in refused("modelnet40", root, cache)


# ShapeNet-Part


def shapenet_root(root: Path, lists: dict[str, list[str]]) -> Path:
    (root / "train_test_split").mkdir(parents=True)
    (root / "synsetoffset2category.txt").write_text(SYNSETS)
    for split in ("train", "val", "test"):
        entries = [f"shape_data/{entry}" for entry in lists.get(split, [])]
        (root / "train_test_split" / f"shuffled_{split}_file_list.json").write_text(json.dumps(entries))
    return root


def test_the_genuine_caps_are_read_though_the_rest_of_the_archive_is_missing(tmp_path):
    root = shared("shapenetcore_partanno_segmentation_benchmark_v0_normal")
    sentence = refused("shapenetpart", root, tmp_path)
    assert sentence.startswith(f"16,865 of the 16,881 entries in the lists of {root} have no file (0")
    assert sentence.endswith("and so on); put them there, or allow missing files to go on with those that are there.")
    dataset, notes = opened("shapenetpart", root, tmp_path, allow_missing=True)
    assert notes[0].startswith("16,865 of the 16,881 entries")
    assert notes[1] == (
        "ShapeNet-Part has 0 train / 5 val / 11 test shapes here; "
        "the official split has 12,137 train / 1,870 val / 2,874 test."
    )
    assert_sound(dataset)
    assert class_counts(dataset, "test") == {"cap": 11}
    assert dataset.card.classes.index("cap") == 2
    assert (dataset.card.up_axis, dataset.card.points) == ("y", 2500)


def test_the_genuine_samples_of_the_older_layout_are_read(tmp_path):
    root = shared("shapenet_iccv17_samples")
    assert refused("shapenetpart", root, tmp_path).startswith(
        f"{root} has 4 of 12,137 train, 0 of 1,870 val, 0 of 2,874"
    )
    dataset, _ = opened("shapenetpart", root, tmp_path, allow_missing=True)
    assert_sound(dataset)
    assert dataset.split("train").names == ["airplane_000001", "airplane_000020", "bag_000062", "bag_000145"]


@pytest.mark.parametrize("layout", ["{synset}/{name}.txt", "{synset}/points/{name}.pts"])
def test_both_listed_layouts_of_shapenetpart_are_read(tmp_path, layout):
    lists = {"train": ["02691156/a1", "02773838/b1"], "test": ["02691156/a2"]}
    root = shapenet_root(tmp_path / "root", lists)
    for entry in lists["train"] + lists["test"]:
        synset, name = entry.split("/")
        path = root / layout.format(synset=synset, name=name)
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savetxt(path, some_points(2600))
    dataset, _ = opened("shapenetpart", root, tmp_path / "cache", allow_missing=True)
    assert_sound(dataset)
    assert dataset.card.classes == ("airplane", "bag", "cap", "table")
    assert dataset.split("train").names == ["airplane_a1", "bag_b1"]
    assert len(np.unique(dataset.split("test").points[0], axis=0)) == 2500


def test_the_layout_with_a_folder_for_each_split_is_read(tmp_path):
    root = tmp_path / "root"
    for place in ("train_data/02691156/000001", "val_data/04379243/000002", "test_data/04379243/000003"):
        (root / place).parent.mkdir(parents=True)
        np.savetxt(root / f"{place}.pts", some_points(100))
    (root / "synsetoffset2category.txt").write_text(SYNSETS)
    dataset, _ = opened("shapenetpart", root, tmp_path / "cache", allow_missing=True)
    assert_sound(dataset)
    assert {name: split.names for name, split in dataset.splits.items()} == {
        "train": ["airplane_000001"],
        "val": ["table_000002"],
        "test": ["table_000003"],
    }


def test_lists_that_are_not_the_official_ones_are_refused_with_their_counts(tmp_path):
    root = shapenet_root(tmp_path / "root", {"train": ["02691156/a1"]})
    sentence = refused("shapenetpart", root, tmp_path / "cache")
    assert sentence.startswith(f"{root} has 1 of 12,137 train, 0 of 1,870 val, 0 of 2,874 test shapes of the official")
    assert refused("shapenetpart", root, tmp_path / "cache", allow_missing=True).startswith("1 of the 1 entries")


def test_lists_that_cannot_be_understood_are_refused_by_name(tmp_path):
    cache = tmp_path / "cache"
    assert refused("shapenetpart", tmp_path, cache).startswith(
        f"{tmp_path / 'synsetoffset2category.txt'}: there is no such file"
    )
    root = shapenet_root(tmp_path / "root", {"train": ["99999999/a1"]})
    file = root / "train_test_split" / "shuffled_train_file_list.json"
    for text in (file.read_text(), '["a/b"]'):
        file.write_text(text)
        assert refused("shapenetpart", root, cache) == (
            f"{file} is not a list of shape_data/SYNSET/NAME with known synsets."
        )
    for text in ("[1, 2]", "{", "[" * 100_000, "null"):
        file.write_text(text)
        assert f"{file.name}: it is not a list of names in JSON" in refused("shapenetpart", root, cache)
    (root / "synsetoffset2category.txt").write_text("Airplane\n")
    assert "not lines of a category and its synset" in refused("shapenetpart", root, cache)


# A folder of one's own


def filled(root: Path, *places: str) -> Path:
    """Clouds at these places, all different."""
    for seed, place in enumerate(places):
        path = root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        write_cloud(path, some_points(40, seed))
    return root


def test_a_folder_without_splits_is_split_by_a_seed_in_the_proportions_of_its_classes(tmp_path):
    root = filled(
        tmp_path / "mine", *(f"{name}/{i:02d}.npy" for name, n in {"cup": 10, "vase": 20}.items() for i in range(n))
    )
    (root / "cup" / "readme.md").write_text("no cloud")
    dataset, notes = opened("folder", root, tmp_path / "cache")
    assert notes == []
    assert_sound(dataset)
    assert class_counts(dataset, "train") == {"cup": 8, "vase": 16}
    assert class_counts(dataset, "test") == {"cup": 2, "vase": 4}
    assert dataset.card.title == "Folder mine"
    assert dataset.split("test").names == opened("folder", root, tmp_path / "again")[0].split("test").names


@pytest.mark.parametrize("layout", ["{split}/{name}/{file}", "{name}/{split}/{file}"])
def test_the_splits_of_a_folder_may_be_above_or_below_its_classes(tmp_path, layout):
    places = [
        layout.format(split=split, name=name, file=file)
        for split, name, file in [("train", "cup", "1.ply"), ("train", "vase", "vase_2.xyz"), ("test", "cup", "3.npz")]
    ]
    dataset, _ = opened("folder", filled(tmp_path / "mine", *places), tmp_path / "cache")
    assert_sound(dataset)
    assert dataset.split("train").names == ["cup_1", "vase_2"]
    assert dataset.split("test").names == ["cup_3"]


def test_a_folder_mixes_clouds_of_any_size_and_meshes(tmp_path):
    root = filled(tmp_path / "mine", "cup/1.ply", "cup/2.npz")
    (root / "cup" / "3.off").write_text("OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n")
    dataset, _ = opened("folder", root, tmp_path / "cache")
    assert_sound(dataset)
    assert dataset.card.points == 2048


def test_folders_that_cannot_be_understood_are_refused(tmp_path):
    cache, root = tmp_path / "cache", tmp_path / "mine"
    root.mkdir()
    assert refused("folder", root, cache).startswith(
        f"{root} holds no class with readable files; accepted are CLASS/FILE,"
    )
    filled(root, "cup/1.ply", "vase/train/2.ply")
    assert refused("folder", root, cache).startswith(f"{root} has some files in train, val or test and others not;")
    shutil.rmtree(root / "vase")
    (root / "cup" / "bad.xyz").write_text("1 2\n")
    assert refused("folder", root, cache).startswith(f"{root / 'cup' / 'bad.xyz'}: line 1 has 2 columns")


# What is done with any dataset


@pytest.fixture
def small(tmp_path) -> Path:
    return filled(tmp_path / "mine", *(f"{name}/{i:02d}.npy" for name in ("cup", "lamp", "vase") for i in range(10)))


def test_a_shape_is_a_cloud_that_knows_its_class(small, tmp_path):
    dataset, _ = opened("folder", small, tmp_path / "cache")
    cloud = dataset.cloud("test", 3)
    assert isinstance(cloud, Cloud)
    assert (cloud.label, cloud.class_name) == (1, "lamp")
    assert cloud.name == dataset.split("test").names[3]
    np.testing.assert_array_equal(cloud.points, dataset.split("test").points[3])
    assert cloud.points.flags.writeable


def test_the_first_points_of_a_shape_are_a_fair_sample_of_it(tmp_path):
    # A scan along a line, stored from one end to the other.
    line = np.column_stack([np.arange(4096), np.zeros(4096), np.zeros(4096)]).astype(np.float32)
    (tmp_path / "mine" / "line").mkdir(parents=True)
    np.save(tmp_path / "mine" / "line" / "1.npy", line)
    dataset, _ = opened("folder", tmp_path / "mine", tmp_path / "cache")
    first = dataset.split("train").points[0, :256, 0]
    counts, _ = np.histogram(first, bins=4, range=(-1, 1))
    assert counts.min() > 40


def test_a_split_that_is_not_there_is_answered_with_those_that_are(small, tmp_path):
    dataset, _ = opened("folder", small, tmp_path / "cache")
    with pytest.raises(DatasetError, match=r"^folder has no split 'val'; it has train, test\.$"):
        dataset.split("val")


def test_a_validation_part_is_carved_from_train_in_the_proportions_of_the_classes(small, tmp_path):
    dataset, _ = opened("folder", small, tmp_path / "cache")
    train, validation = dataset.validation(0.25, seed=1)
    assert sorted([*train, *validation]) == list(range(24))
    labels = dataset.split("train").labels
    assert Counter(labels[validation].tolist()) == {0: 2, 1: 2, 2: 2}
    np.testing.assert_array_equal(validation, dataset.validation(0.25, seed=1)[1])
    assert not np.array_equal(validation, dataset.validation(0.25, seed=2)[1])
    with pytest.raises(DatasetError, match=r"between 0 and 1 of the train split, not 1\."):
        dataset.validation(1, seed=1)


def test_a_conversion_reports_its_progress_and_leaves_nothing_when_it_is_stopped(small, tmp_path):
    cache = tmp_path / "cache"
    events = open_dataset("folder", small, cache)
    assert next(events) == Progress(0, 30, "Converting Folder mine")
    assert list(cache.iterdir())
    events.close()
    assert not list(cache.iterdir())
    done = [event for event in open_dataset("folder", small, cache) if isinstance(event, Progress)]
    assert done[-1] == Progress(30, 30, "Converting Folder mine")


# The cache


def test_a_warm_cache_is_opened_without_reading_or_writing_a_cloud_again(small, tmp_path):
    cold, _ = opened("folder", small, tmp_path / "cache")
    (folder,) = (tmp_path / "cache").iterdir()
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert set(before) == {"points.npy", "labels.npy", "names.json", "card.json"}
    events = list(open_dataset("folder", small, tmp_path / "cache"))
    assert len(events) == 1
    warm = events[0].value
    assert warm.card == cold.card
    assert isinstance(warm.split("train").points.base, np.memmap)
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) * 2 // 3] ^= 4
    path.write_bytes(content)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-16])


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [flip_a_bit, truncate, empty, Path.unlink])
@pytest.mark.parametrize("name", ["points.npy", "labels.npy", "names.json", "card.json"])
def test_a_damaged_cache_is_made_anew_with_a_word(small, tmp_path, name, damage):
    first, _ = opened("folder", small, tmp_path / "cache")
    (folder,) = (tmp_path / "cache").iterdir()
    damage(folder / name)
    second, notes = opened("folder", small, tmp_path / "cache")
    assert len(notes) == 1
    assert notes[0].startswith("The cache of Folder mine is made anew: ")
    assert second.card == first.card
    assert opened("folder", small, tmp_path / "cache")[1] == []


def test_a_cache_whose_card_was_made_to_fit_other_clouds_is_not_believed(small, tmp_path):
    opened("folder", small, tmp_path / "cache")
    (folder,) = (tmp_path / "cache").iterdir()
    labels = np.load(folder / "labels.npy")
    np.save(folder / "labels.npy", labels[::-1])
    notes = opened("folder", small, tmp_path / "cache")[1]
    assert notes == ["The cache of Folder mine is made anew: its content does not have the fingerprint on its card."]
    facts = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(facts | {"format": 0}))
    notes = opened("folder", small, tmp_path / "cache")[1]
    assert notes == ["The cache of Folder mine is made anew: it is of another version."]
    (folder / "card.json").write_text(json.dumps(facts | {"splits": {"train": 30, "test": 0}}))
    assert "fingerprint" in opened("folder", small, tmp_path / "cache")[1][0]
    (folder / "card.json").write_text(json.dumps(facts | {"points": 7}))
    assert "other shapes than its card says" in opened("folder", small, tmp_path / "cache")[1][0]


def test_a_source_that_changed_is_converted_again(small, tmp_path):
    first, _ = opened("folder", small, tmp_path / "cache")
    write_cloud(small / "cup" / "00.npy", some_points(41, 99))
    second, notes = opened("folder", small, tmp_path / "cache")
    assert notes == ["The cache of Folder mine is made anew: the files that it was made from have changed."]
    assert second.card.fingerprint != first.card.fingerprint
    (small / "cup" / "00.npy").unlink()
    third, notes = opened("folder", small, tmp_path / "cache")
    assert len(notes) == 1
    assert sum(third.card.splits.values()) == 29


def test_coordinates_near_the_largest_numbers_are_put_into_the_unit_sphere(tmp_path):
    for number in range(2):
        (tmp_path / "mine" / "cup").mkdir(parents=True, exist_ok=True)
        np.save(tmp_path / "mine" / "cup" / f"{number}.npy", some_points(50, number) * np.float32(1e36))
    assert_sound(opened("folder", tmp_path / "mine", tmp_path / "cache")[0])


def test_two_roots_of_the_same_name_do_not_share_a_cache(tmp_path):
    one = filled(tmp_path / "one" / "mine", "cup/1.npy", "cup/2.npy")
    two = filled(tmp_path / "two" / "mine", "vase/1.npy", "vase/2.npy")
    assert opened("folder", one, tmp_path / "cache")[0].card.classes == ("cup",)
    assert opened("folder", two, tmp_path / "cache")[0].card.classes == ("vase",)
    assert opened("folder", one, tmp_path / "cache")[1] == []


def test_a_cache_that_cannot_be_written_is_one_sentence(small, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert refused("folder", small, tmp_path / "cache").startswith("The cache of Folder mine cannot be written to ")
