"""Entry point: with arguments it runs the command line, without any it opens the studio."""

import multiprocessing
import sys

from core.runtime.allocator import keep_freed_memory
from core.runtime.isolation import FLAG, answer
from core.runtime.threads import sleep_while_waiting

WINDOW_COMMANDS = {
    "open": "Open the studio, with clouds, meshes, weights or run folders.",
    "tour": "Drive the real window through its main job and keep pictures; without a display under a private Xvfb.",
}
"""What the commands of ``app.shell.commands`` do."""


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
        from app.shell.application import open_studio

        return open_studio()

    from core.commands import cli, run

    for name, what in WINDOW_COMMANDS.items():
        cli.command(f"app.shell.commands:{name}", name=name, help=what)
    return run(words)


if __name__ == "__main__":
    sys.exit(main())
