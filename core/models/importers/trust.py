"""The list of code files that a person has consented to run, kept in the person's own folder, not beside the files."""

from pathlib import Path

from platformdirs import user_data_path

from core.models.importers.needs import UntrustedError
from core.results.records import read_as, write_json
from core.runtime.files import readable


def trust(path: Path, sha256: str) -> None:
    """Record consent to run the content of this file. Raises a ``FormatError`` if the list is damaged."""
    write_json(_trusted_path(), {**_read_trusted(), sha256: readable(path)})


def require_trust(path: Path, sha256: str) -> None:
    """Check that a person has consented to run the content of a file.

    Raises
    ------
    UntrustedError
        If nobody has consented.
    FormatError
        If the list is damaged.
    """
    if sha256 not in _read_trusted():
        raise UntrustedError(
            path,
            sha256,
            f"{readable(path.name)} is code that can do whatever you can: read it, then import it with --trust-code "
            f"{sha256}.",
        )


def _read_trusted() -> dict[str, str]:
    """SHA-256 of each trusted file -> the path it had."""
    path = _trusted_path()
    return read_as(path, dict[str, str], "a list of trusted files") if path.is_file() else {}


def _trusted_path() -> Path:
    return user_data_path("pointward") / "trusted-code.json"
