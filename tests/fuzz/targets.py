"""Files of others, clouds and datasets, as targets of the fuzzer; and all targets."""

import json
import random
from collections.abc import Iterable
from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np

from core.clouds.files import MESH_POINTS, READABLE, read_cloud
from core.datasets import REGISTRY, open_dataset
from core.events import Done
from tests.fuzz import foreign_models, grammars, own_files
from tests.fuzz.mutators import json_text, mutate, mutate_json
from tests.fuzz.target import Target, refusals


def _file(suffix: str) -> Target:
    @cache
    def seeds() -> list[bytes]:
        return grammars.seeds(suffix)

    def make(rng: random.Random) -> bytes:
        if rng.random() < 0.3:
            data = grammars.generate(suffix, rng)
            return data if rng.random() < 0.5 else mutate(data, seeds(), rng)
        return mutate(rng.choice(seeds()), seeds(), rng)

    def run(data: bytes, folder: Path, rng: random.Random) -> None:
        path = folder / f"cloud{suffix}"
        path.write_bytes(data)
        points = rng.choice((None, 1, 64, 1024, MESH_POINTS, 100_000, 10**9))
        with refusals(ValueError):
            cloud = read_cloud(path, points)
        assert cloud.points.dtype == np.float32
        assert cloud.points.shape == (points or len(cloud.points), 3)
        assert np.isfinite(cloud.points).all()
        assert np.linalg.norm(cloud.points, axis=1).max() < 5

    return Target(suffix, make, run, 3.0 if suffix == ".h5" else 1.0, suffix == ".h5")


def _modelnet(suffix: str) -> Target:
    """ModelNet40 in one archive, or in HDF5 with its lists."""
    clouds = np.random.default_rng(0).normal(size=(4, 20, 3)).astype(np.float32)

    def make(rng: random.Random) -> bytes:
        return mutate(rng.choice(files()), files(), rng)

    @cache
    def files() -> list[bytes]:
        names = np.array(["a_1", "a_2", "b_1", "b_2"])
        fields = {"points": clouds, "label": np.array([0, 0, 1, 1]), "split": np.array([0, 1, 0, 1]), "name": names}
        return grammars.archive(suffix, fields | {"classes": np.array(["a", "b"]), "data": clouds})

    def run(data: bytes, folder: Path, rng: random.Random) -> None:
        root = folder / "root"
        root.mkdir()
        (root / f"{'modelnet40' if suffix == '.npz' else 'ply_data_train0'}{suffix}").write_bytes(data)
        (root / "shape_names.txt").write_text("a\nb\n")
        with refusals(ValueError):
            _opened("modelnet40", root, folder)

    return Target(f"modelnet40 {suffix}", make, run, slow=suffix == ".h5")


def _lists() -> Target:
    """The lists of ShapeNet-Part."""
    names = ("synsetoffset2category.txt", "shuffled_train_file_list.json", "shuffled_test_file_list.json")
    whole = {
        names[0]: b"Airplane\t02691156\nBag\t02773838\n",
        names[1]: json.dumps(["shape_data/02691156/a1", "shape_data/02773838/b1"]).encode(),
        names[2]: b'["shape_data/02691156/a2"]',
    }

    def make(rng: random.Random) -> bytes:
        name = rng.choice(names)
        if name != names[0] and rng.random() < 0.5:
            damaged = json_text(mutate_json(json.loads(whole[name]), rng), rng)
        else:
            damaged = mutate(whole[name], list(whole.values()), rng)
        return f"{name}\n".encode() + damaged

    def run(data: bytes, folder: Path, rng: random.Random) -> None:
        root = folder / "root"
        (root / "train_test_split").mkdir(parents=True)
        for synset, name in (("02691156", "a1"), ("02691156", "a2"), ("02773838", "b1")):
            (root / synset).mkdir(exist_ok=True)
            (root / synset / f"{name}.txt").write_bytes(grammars.seeds(".txt")[1])
        name, _, damaged = data.partition(b"\n")
        for other, content in (whole | {name.decode(): damaged, "shuffled_val_file_list.json": b"[]"}).items():
            (root / ("train_test_split" if other.endswith("json") else ".") / other).write_bytes(content)
        with refusals(ValueError):
            _opened("shapenetpart", root, folder)

    return Target("shapenetpart lists", make, run, share=0.5)


def _opened(name: str, root: Path, folder: Path) -> None:
    """Open a dataset; of one with many shapes, which takes its time, only the first are read."""
    (found,) = (event.value for event in REGISTRY[name].find(root, True).read() if isinstance(event, Done))
    if len(found.labels) > 10:
        _ = list(islice(found.clouds, 3))
        return
    *_, last = open_dataset(name, root, folder / "cache", allow_missing=True)
    assert isinstance(last, Done)


def targets(only: Iterable[str] = ()) -> list[Target]:
    """All of them, or those whose names contain one of the words."""
    found = [
        *(_file(suffix) for suffix in READABLE),
        _modelnet(".npz"),
        _modelnet(".h5"),
        _lists(),
        *own_files.TARGETS,
        *foreign_models.TARGETS,
    ]
    only = tuple(only)
    return [target for target in found if not only or any(word in target.name for word in only)]
