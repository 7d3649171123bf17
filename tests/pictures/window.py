"""``python -m tests.pictures.window OUT SCALE HOME MODELNET40 NAME...``: the pictures of one scale factor.

It is a program of its own because Qt reads the scale factor at its start.
"""

import sys
from pathlib import Path

from tests.pictures.states import in_order
from tests.pictures.studio import Studio


def main(out: str, scale: str, home: str, modelnet40: str, *names: str) -> int:
    studio = Studio(Path(out), float(scale), Path(home), Path(modelnet40) if modelnet40 else None)
    studio.open()
    for name in names:
        studio.take(name, in_order()[name])
    studio.close()
    for problem in studio.problems:
        print(f"PROBLEM at scale {scale}: {problem}")
    return int(bool(studio.problems))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
