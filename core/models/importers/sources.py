"""What a file of a foreign model is, found out without running or unpickling anything of it."""

import hashlib
import re
import zipfile
from pathlib import Path

from core.models.cards import Kind, ModelError
from core.models.weight_files import has_card
from core.runtime.files import read_whole, readable, require_regular_file

CARD = ".pointward.json"
"""Ending of the file name of a card that names the file of a foreign model."""
WEIGHTS = (".pt", ".pth", ".pts", ".pt2", ".ckpt", ".t7", ".tar")
"""Ends of names under which people keep what PyTorch has saved; what it is, is read off the content."""
ENDINGS = (*WEIGHTS, ".py", CARD)
ACCEPTED = "accepted are state dicts (.pth .pt .safetensors), TorchScript and torch.export files, and FILE.py:FACTORY"
MOST_BYTES = 1 << 29
"""Of a file, packed and unpacked: what reads it holds it up to three times."""

_FACTORY = re.compile(r"(.*\.py):([^\W\d]\w*)", re.DOTALL | re.IGNORECASE)


def split_factory(source: Path | str) -> tuple[Path, str]:
    """``FILE.py:FACTORY`` as the file and the name in it; any other path with an empty name."""
    found = _FACTORY.fullmatch(str(source))
    return (Path(found[1]), found[2]) if found else (Path(source), "")


def is_foreign(path: Path) -> bool:
    """Whether a path is that of a foreign model's file or card, as ``load_foreign`` takes.

    Raises
    ------
    ModelError
        If it is a safetensors file that is not whole.
    """
    file, _ = split_factory(path)
    name = file.name.lower()
    return name.endswith(ENDINGS) or (name.endswith(".safetensors") and not has_card(file))


def is_archive(path: Path) -> bool:
    """Whether a file, such as a .pts, is a ZIP archive, as PyTorch writes, and not text."""
    try:
        if not path.is_file():  # opening a named pipe waits for ever
            return False
        with path.open("rb") as file:
            return file.read(4) == b"PK\x03\x04"
    except OSError:
        return False


def kind_of(path: Path) -> Kind:
    """What a regular file of at most ``MOST_BYTES`` is.

    Raises
    ------
    ModelError, FormatError
        If it is no such file, or an archive that unpacks to more or has two entries of one name.
    """
    if (size := require_regular_file(path, ACCEPTED)) > MOST_BYTES:
        raise ModelError(f"{readable(path)} has {size:,} bytes, more than a model may have here ({MOST_BYTES:,}).")
    if path.suffix.lower() == ".py":
        return "python"
    if not is_archive(path):
        return "weights"
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError):
        raise ModelError(f"{readable(path)} is not a whole file of PyTorch; {ACCEPTED}.") from None
    names = [entry.filename for entry in entries]
    if sum(entry.file_size for entry in entries) > MOST_BYTES or len(set(names)) < len(names):
        raise ModelError(f"{readable(path)} unpacks to more than a model may have here, or has an entry twice.")
    ends = {name.partition("/")[2] or name for name in names}
    if "constants.pkl" in ends:
        return "torchscript"
    return "export" if ends & {"archive_format", "serialized_exported_program.json"} else "weights"


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def source_text(path: Path) -> bytes:
    """The content of a Python file."""
    return read_whole(path, 1 << 22, "a Python file of up to 4 MB is expected")
