"""What several commands share: the app they belong to, their parameters, and how a dataset is opened."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter, validators
from platformdirs import user_cache_path

from core.clouds.frames import AS_IT_IS, STANDARD_UP, Axis, Orientation
from core.commands.checks import (
    check_dataset,
    check_device,
    check_exists,
    check_figure,
    check_folder,
    check_model,
    check_root,
    check_table,
    validated,
)
from core.commands.console import Terminal, UsageError, follow
from core.datasets import Dataset, open_dataset
from core.defenses import DEFENSES, names
from core.events import Cancel, Event
from core.results.records import versions
from core.runtime.devices import DeviceName
from core.runtime.threads import MOST_THREADS, THREADS, set_threads

FAILED, WRONG_USE, DEFECT, STOPPED, CLOSED_OUTPUT = 1, 2, 70, 130, 141
EXIT_CODES = """Exit codes:
  0    done
  1    something in a file or on the machine was not as it should be
  2    wrong use, found before any work: an unknown name, a wrong value, a file
       that is not there, or a place that can't be written
  70   a defect of the program
  130  stopped by Ctrl-C; what was finished is kept
  141  nobody reads the output any longer, as behind head"""

cli = App(
    name="pointward",
    help="Attack, defend and measure point-cloud classifiers. Without a command the studio opens.",
    help_epilogue=EXIT_CODES,
    version=lambda: versions(["pointward"]).get("pointward", "not installed, run from its source"),
    version_flags=["--version"],
    help_format="plaintext",
    suppress_keyboard_interrupt=False,
    console=Terminal(emoji=False, highlight=False),
)

cli.meta.suppress_keyboard_interrupt = False  # ``run`` handles Ctrl-C

Flat = Parameter(name="*")
ModelName = Annotated[str, validated(check_model)]
DefenseName = Annotated[
    str | None,
    validated(
        names.parse,
        help=f"Input defence before the model: {', '.join(DEFENSES)}; with settings as sor:k=2,alpha=1.1.",
    ),
]
DatasetName = Annotated[str, validated(check_dataset)]
Count = Annotated[int | None, Parameter(validator=validators.Number(gte=1))]
FigureFile = Annotated[Path | None, validated(check_figure)]
TableFile = Annotated[Path | None, validated(check_table)]
Folder = Annotated[Path, validated(check_folder)]
DataRoot = Annotated[
    Path | None,
    validated(check_exists, help="Where the dataset's files are, for those that are not built in."),
]
Device = Annotated[DeviceName, validated(check_device, help="Where to compute.")]
Seed = Annotated[int, Parameter(validator=validators.Number(gte=0, lt=2**31))]
AllowMissing = Annotated[
    bool, Parameter(negative="", help="Go on where some files of a dataset's official list are missing.")
]
Json = Annotated[bool, Parameter(name="--json", negative="", help="Print the result as one JSON object.")]
Threads = Annotated[
    int | None,
    Parameter(
        validator=validators.Number(gte=1, lte=MOST_THREADS),
        help=f"Threads, or worker processes, that compute at a time; the default is {THREADS} or one for each core.",
    ),
]


def parse(words: Iterable[str]) -> int:
    """Run one command line. Returns its exit code: 0, or that of a command that was stopped."""
    return int(cli.meta(words, **_RAISING) or 0)


@cli.meta.default
def _set_threads_and_run(
    *words: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)], threads: Threads = None
) -> Any:
    """Apply the options that every command has, then run the command itself."""
    if threads is not None:
        os.environ[THREADS] = str(threads)
    try:
        set_threads()
    except ValueError as error:
        raise UsageError(str(error)) from None
    return cli(words, **_RAISING)


_RAISING: dict[str, Any] = {"exit_on_error": False, "print_error": False, "result_action": "return_value"}


def cache_folder() -> Path:
    """Where converted datasets are kept."""
    return user_cache_path("pointward")


def find_dataset(
    name: str,
    root: Path | None,
    allow_missing: bool = False,
    orientation: Orientation = AS_IT_IS,
    expected: Axis = STANDARD_UP,
) -> Dataset:
    """Open a dataset by name, with a progress bar if that takes long.

    Parameters
    ----------
    orientation, expected
        How the clouds stand in the files, and the axis that points up after they have been turned.

    Raises
    ------
    UsageError
        As ``check_root``.
    DatasetError, FormatError
        If it cannot be opened.
    """
    check_root(name, root)

    def opening(cancel: Cancel) -> Iterator[Event]:
        for event in open_dataset(
            name, root, cache_folder(), allow_missing=allow_missing, orientation=orientation, expected=expected
        ):
            if cancel.requested:  # half a dataset is of no use
                raise KeyboardInterrupt
            yield event

    dataset: Dataset = follow(opening, f"opening {name}")[0]
    return dataset
