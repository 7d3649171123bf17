"""The start of the program in a new process, where nothing has been imported yet."""

import inspect
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from app.shell import commands
from main import WINDOW_COMMANDS

SCRIPT = """
import json, sys
from app.shell.application import make

HEAVY = ("torch", "sklearn", "open3d", "openTSNE", "matplotlib", "scipy.spatial", "cyclopts")
application, window = make(["pointward"])
seen = {}

def painted():
    seen["at the first picture"] = [name for name in HEAVY if name in sys.modules]

def ready():
    seen["at the end"] = "torch" in sys.modules
    seen["models"] = len(window.store.models)
    seen["device"] = window.menu_corner.device.text()
    application.quit()

from PySide6.QtCore import Qt
window.pair.clean.painted.connect(painted, Qt.ConnectionType.SingleShotConnection)
say, said = window.library.show_placeholder, []
window.library.show_placeholder = lambda text: (said.append(text), say(text))
window.opener.open_dataset = lambda *_: None
window.ready.connect(ready)
application.exec()
seen["said"] = said
window.close()
print(json.dumps(seen))
"""


@pytest.mark.long
def test_the_window_is_painted_before_heavy_imports_and_shows_that_it_loads(tmp_path: Path) -> None:
    homes = {f"XDG_{kind}_HOME": str(tmp_path) for kind in ("CONFIG", "DATA", "CACHE")}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=os.environ | homes | {"POINTWARD_THREADS": "3"},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    seen = json.loads(done.stdout)
    assert seen["at the first picture"] == []
    assert seen["at the end"]
    assert seen["models"] == 4
    assert seen["device"] == "CPU · 3 threads" or "CPU" not in seen["device"]
    assert seen["said"][0].startswith("Loading")


@pytest.mark.parametrize("words", [[], pytest.param(["open", "main.py"], marks=pytest.mark.long)])
def test_without_a_display_the_command_fails_with_a_message(words: list[str]) -> None:
    bare = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    bare.pop("QT_QPA_PLATFORM", None)
    done = subprocess.run(
        [sys.executable, "main.py", *words], capture_output=True, text=True, env=bare, cwd=Path(__file__).parents[2]
    )
    assert done.returncode == 1
    assert "There is no display to open the window on." in " ".join((done.stdout + done.stderr).split())


@pytest.mark.parametrize("name", WINDOW_COMMANDS)
def test_the_list_says_what_the_docstrings_of_the_windows_commands_say(name: str) -> None:
    text = inspect.getdoc(getattr(commands, name)) or ""
    assert " ".join(text.partition("\n\n")[0].split()) == WINDOW_COMMANDS[name]


UNDER_XVFB = """
from app.tour.display import under_xvfb
under_xvfb(["print('started', flush=True); import signal; signal.pause()"])
"""


def test_a_killed_program_leaves_no_x_server_and_no_window() -> None:
    words = [sys.executable, "-c", UNDER_XVFB]  # which runs "python -c WORDS" on the display
    with subprocess.Popen(words, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        started = process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)  # which ends when both processes have, for they hold the pipe as well
    assert started == "started\n"


def test_a_wrong_number_of_threads_is_said_before_the_window_opens() -> None:
    done = subprocess.run(
        [sys.executable, "main.py"],
        capture_output=True,
        text=True,
        env=os.environ | {"POINTWARD_THREADS": "many"},
        cwd=Path(__file__).parents[2],
        check=False,
        timeout=120,
    )
    assert done.returncode == 2
    assert "POINTWARD_THREADS is 'many'; give a whole number from 1 to 1024." in done.stderr
