"""The commands that need the window: ``pointward open`` and ``pointward tour``."""

from pathlib import Path

from app.shell.application import open_studio
from app.tour import run_tour
from core.commands.checks import check_exists, require
from core.commands.console import show
from core.commands.orientation import AS_SUPPLIED, OrientationChoice
from core.commands.shared import Folder, Json


def open(*paths: Path, orientation: OrientationChoice = AS_SUPPLIED, as_json: Json = False) -> int:
    """Open the studio, with clouds, meshes, weights or run folders.

    Once its window is closed, what was opened and the exit code are printed with --json.

    Parameters
    ----------
    paths
        What to open.
    """
    for path in paths:
        require(check_exists, path)
    code = open_studio(paths, orientation.given_orientation())
    if as_json:
        show({"opened": [str(path) for path in paths], "exit_code": code}, as_json)
    return code


def tour(*, out: Folder = Path("tour"), as_json: Json = False) -> int:
    """Drive the real window through its main job and keep pictures; without a display under a private Xvfb.

    Parameters
    ----------
    out
        Folder for the pictures, the exported figure and tour.json.
    """
    return run_tour(out, as_json)
