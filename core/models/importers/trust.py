"""Which files of code a person has said yes to. It is kept in the person's own folder, never beside the file itself."""

from pathlib import Path

from platformdirs import user_data_path

from core.models.importers.needs import UntrustedError
from core.results.records import read_as, write_json
from core.runtime.files import readable


def trust(path: Path, sha256: str) -> None:
    """Remember a yes to the content of this file; raises as ``require_trust`` where the list is damaged."""
    write_json(_list(), {**_trusted(), sha256: readable(path)})


def require_trust(path: Path, sha256: str) -> None:
    """See that a person has said yes to the content of a file before any of it runs.

    Raises
    ------
    UntrustedError
        If nobody has.
    FormatError
        If the list of those yeses is damaged.
    """
    if sha256 not in _trusted():
        raise UntrustedError(
            path,
            sha256,
            f"{readable(path.name)} is code that can do whatever you can: read it, then import it with --trust-code "
            f"{sha256}.",
        )


def _trusted() -> dict[str, str]:
    """SHA-256 of each file, and where it was."""
    path = _list()
    return read_as(path, dict[str, str], "a list of trusted files") if path.is_file() else {}


def _list() -> Path:
    return user_data_path("pointward") / "trusted-code.json"
