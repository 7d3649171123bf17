"""Entry point: with arguments it runs the command line, without any it opens the studio."""

import multiprocessing
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from core.runtime.allocator import keep_freed_memory
from core.runtime.isolation import FLAG, answer
from core.runtime.threads import requested_threads, sleep_while_waiting

if TYPE_CHECKING:
    from core.clouds.frames import Orientation

Json = Annotated[bool, Parameter(name="--json", negative="")]


def main(words: list[str] | None = None) -> int:
    """Run the studio, or one command."""
    words = sys.argv[1:] if words is None else words
    if words == [FLAG]:
        return answer()
    multiprocessing.freeze_support()
    keep_freed_memory()
    sleep_while_waiting()  # before a library that computes in threads is loaded
    if sys.platform == "win32":  # torch's libraries do not load after Qt's there
        import torch  # noqa: F401
    if not words:
        return open_studio(())

    from core.commands import cli, run
    from core.commands.checks import check_exists, require
    from core.commands.console import show
    from core.commands.orientation import AS_SUPPLIED, OrientationChoice
    from core.commands.shared import Folder

    @cli.command(name="open")
    def open_(*paths: Path, orientation: OrientationChoice = AS_SUPPLIED, as_json: Json = False) -> int:
        """Open the studio, with clouds, meshes, weights or run folders.

        Parameters
        ----------
        paths
            What to open.
        as_json
            Print what was opened and the exit code as one JSON object, once the window is closed.
        """
        for path in paths:
            require(check_exists, path)
        code = open_studio(paths, orientation.given_orientation())
        if as_json:
            show({"opened": [str(path) for path in paths], "exit_code": code}, as_json)
        return code

    @cli.command
    def tour(*, out: Folder = Path("tour"), as_json: Json = False) -> int:
        """Drive the real window through its main job and keep pictures; without a display under a private Xvfb.

        Parameters
        ----------
        out
            Folder for the pictures, the exported figure and tour.json.
        as_json
            Print the result as one JSON object.
        """
        from app.tour import run_tour

        return run_tour(out, as_json)

    return run(words)


def open_studio(paths: tuple[Path, ...], orientation: "Orientation | None" = None) -> int:
    """Open the window, with paths whose clouds stand so in their files, and stay until it is closed."""
    from app.tour.display import has_display

    try:
        requested_threads()
    except ValueError as error:
        from core.commands.console import print_error

        print_error(str(error))
        return 2
    if not (has_display() or os.environ.get("QT_QPA_PLATFORM")):
        from core.commands.console import print_error

        print_error("There is no display to open the window on. Try: pointward tour --out FOLDER, or pointward --help.")
        return 1
    from app.shell.application import make

    application, window = make(sys.argv, paths, orientation)
    code = application.exec()
    if window.left_thread_running:  # destroying its object while it runs would abort the process
        os._exit(code)
    return code


if __name__ == "__main__":
    sys.exit(main())
