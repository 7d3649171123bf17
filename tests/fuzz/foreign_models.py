"""Files of models of other projects, as targets of the fuzzer."""

import io
import random
import tempfile
import zipfile
from functools import cache
from pathlib import Path

import torch

from core.models.checkpoints import load_model
from core.models.importers import ImportOptions, examine
from tests.core.foreign import Little, published_pointnet, save_script, save_yanx27
from tests.fuzz.mutators import mutate
from tests.fuzz.target import Target, refusals


@cache
def _whole() -> tuple[bytes, bytes, bytes]:
    """Weights that are known and some that are not, as yanx27 keeps them, and a script."""
    torch.manual_seed(0)
    little = Little()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.pt"
        return (
            save_yanx27(published_pointnet(4, aligned=False), path).read_bytes(),
            save_yanx27(little, path).read_bytes(),
            save_script(little, path).read_bytes(),
        )


def _damaged(archive: bytes, rng: random.Random) -> bytes:
    """An archive with one damaged entry, or damaged itself."""
    if rng.random() < 0.3:
        return mutate(archive, [archive[:2000]], rng)
    with zipfile.ZipFile(io.BytesIO(archive)) as whole:
        entries = {name: whole.read(name) for name in whole.namelist()}
    name = rng.choice([name for name, content in entries.items() if len(content) < 100_000])
    damaged = mutate(entries[name], [entries[name]], rng)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as changed:
        for each, content in entries.items():
            if each != name or rng.random() < 0.95:
                changed.writestr(zipfile.ZipInfo(each), damaged if each == name else content)
    return made.getvalue()


def _examine(data: bytes, folder: Path, rng: random.Random) -> None:
    path = folder / "model.pt"
    path.write_bytes(data)
    with refusals(ValueError):
        examine(path, ImportOptions(points=32))
        load_model(path)


TARGETS = (
    Target("foreign weights", lambda rng: _damaged(rng.choice(_whole()[:2]), rng), _examine, 0.5),
    Target("foreign scripts", lambda rng: _damaged(_whole()[2], rng), _examine, slow=True),
)
