"""The commands. Each is a loop over the events that the window reads; with ``--json`` it prints one object only.

A command is a module with a function that ``cli.command`` decorates, and its line in the import below.
"""

from cyclopts import CycloptsError
from pydantic import ValidationError

from core.commands import (  # noqa: F401  importing a command adds it
    attack,
    datasets,
    doctor,
    evaluate,
    reproduce,
    train,
    tsne,
)
from core.commands.console import CONSOLE, UserError, complain
from core.commands.shared import STOPPED, cli
from core.options import explain

__all__ = ["cli", "run"]


def run(words: list[str]) -> int:
    """Run one command line; the exit code is 0, 1 for what the person can mend, 2 for a wrong one, 130 if stopped."""
    try:
        return int(cli(words, exit_on_error=False, print_error=False, result_action="return_value") or 0)
    except CycloptsError as error:
        cause = error.__cause__
        text = explain(cause) if isinstance(cause, ValidationError) else str(error)
        complain(f"{text}\nSee: pointward {' '.join(words[:1])} --help")
        return 2
    except ValidationError as error:
        complain(explain(error))
        return 1
    except OSError as error:
        complain(f"{error.filename}: {error.strerror}." if error.filename and error.strerror else str(error))
        return 1
    except (UserError, ValueError) as error:
        complain(str(error))
        return 1
    except KeyboardInterrupt:
        CONSOLE.print("stopped")
        return STOPPED
