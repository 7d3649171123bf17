"""A virtual display for machines without a screen."""

import os
import shutil
import signal
import subprocess
import sys
from functools import partial

from core.runtime.processes import end_with_parent

SIZE = (1600, 1000)


def has_display() -> bool:
    """Whether there is a screen to open a window on."""
    return not sys.platform.startswith("linux") or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))


def under_xvfb(arguments: list[str]) -> int:
    """Run this program with these arguments on a virtual display of its own; returns its exit code."""
    if shutil.which("Xvfb") is None:
        raise OSError("There is no display, and no Xvfb to make one: install the package xvfb.")
    read, write = os.pipe()
    together = partial(end_with_parent, os.getpid(), signal.SIGTERM)
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", f"{SIZE[0]}x{SIZE[1]}x24", "-nolisten", "tcp"],
        pass_fds=(write,),
        stderr=subprocess.DEVNULL,
        preexec_fn=together,
    )
    os.close(write)
    try:
        with os.fdopen(read) as pipe:
            display_number = pipe.readline().strip()
        if not display_number:
            raise OSError("Xvfb did not start, so there is no display to open the window on.")
        display = {"DISPLAY": f":{display_number}", "QT_QPA_PLATFORM": "xcb", "LIBGL_ALWAYS_SOFTWARE": "1"}
        program = [sys.executable] if getattr(sys, "frozen", False) else [sys.executable, sys.argv[0]]
        return subprocess.call([*program, *arguments], env=os.environ | display, preexec_fn=together)
    finally:
        server.terminate()
        server.wait()
