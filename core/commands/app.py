"""The app that the commands belong to, and its options. A command's module is loaded when it runs or shows its help.

Here and in ``console`` nothing may load PyTorch, which takes seconds: the list of the commands comes without it.
"""

import os
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Annotated, Any

from cyclopts import App, Parameter, validators

from core.commands.console import Terminal, UsageError
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

COMMANDS = {
    "attack": "Attack one cloud or mesh and print the verdicts; or all test clouds of a dataset, for "
    "`pointward judge`.",
    "attacks": "List the attacks: what each does and who described it, what epsilon bounds, and what a step costs.",
    "datasets": "List the datasets, or open one and print its card.",
    "defend": "What input defences are worth, against attackers who do not know them and who do, and one sentence on "
    "each.",
    "doctor": "What this installation is and whether it is whole: versions, devices, shipped models, folders.",
    "evaluate": "Clean and adversarial accuracy of a model on test clouds, with the realised distances.",
    "judge": "Judge models on adversarial clouds that `pointward attack --dataset` made, on these or on another model.",
    "models": "List the models, or import one of another project.",
    "reproduce": "Train, measure and report everything that a paper shows. Called again, it goes on where it was "
    "ended.",
    "runs": "List the training runs of this machine: how far each is, and how good.",
    "train": "Train a model in one of the regimes of the first paper.",
    "transfer": "Attack models and judge others on the adversarial samples, as the second paper does, and report it.",
    "tsne": "The pair of Figures 8 and 9: one map of a model's latents of clean and adversarial test clouds.",
    "zoo": "The models of the transfer study: list them, or train them.",
}
"""What each command does, as its docstring says too. It is the function or app of this name in the module of this name.
"""

Threads = Annotated[
    int | None,
    Parameter(
        validator=validators.Number(gte=1, lte=MOST_THREADS),
        help=f"Threads, or worker processes, that compute at a time; the default is {THREADS} or one for each core.",
    ),
]


def _version() -> str:
    from core.results.records import versions

    return versions(["pointward"]).get("pointward", "not installed, run from its source")


cli = App(
    name="pointward",
    help="Attack, defend and measure point-cloud classifiers. Without a command the studio opens.",
    help_epilogue=EXIT_CODES,
    version=_version,
    version_flags=["--version"],
    help_format="plaintext",
    suppress_keyboard_interrupt=False,
    console=Terminal(emoji=False, highlight=False),
)
cli.meta.suppress_keyboard_interrupt = False  # ``run`` handles Ctrl-C
for name, what in COMMANDS.items():
    cli.command(f"core.commands.{name}:{name}", name=name, help=what)


def parse(words: Sequence[str]) -> int:
    """Run one command line. Returns its exit code: 0, or that of a command that was stopped."""
    if _is_command(*words[:1]):
        cli[words[0]].help = None  # its docstring may say more
    return int(cli.meta(words, **_RAISING) or 0)


@cli.meta.default
def _set_threads_and_run(
    *words: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)], threads: Threads = None
) -> Any:
    """Apply the options that every command has, then run the command itself."""
    if threads is not None:
        os.environ[THREADS] = str(threads)
    if words and words[0] not in cli:  # which would load all commands, and PyTorch with them, to say so
        if os.path.lexists(words[0]):
            raise UsageError(f"{words[0]} is no command. To open it in the studio: pointward open {words[0]}")
        names = [name for name in cli if not name.startswith("-")]
        close = "".join(f' Did you mean "{name}"?' for name in get_close_matches(words[0], names, 1))
        if words[0].startswith("-"):
            raise UsageError(f'Unknown option "{words[0]}".')
        raise UsageError(f'Unknown command "{words[0]}".{close} The commands are {", ".join(names)}.')
    if _is_command(*words[:1]):
        try:
            set_threads()
        except ValueError as error:
            raise UsageError(str(error)) from None
    return cli(words, **_RAISING)


def _is_command(word: str = "") -> bool:
    return word in cli and not word.startswith("-")


_RAISING: dict[str, Any] = {"exit_on_error": False, "print_error": False, "result_action": "return_value"}
