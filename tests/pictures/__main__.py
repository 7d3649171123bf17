"""``python -m tests.pictures --out pictures``: pictures of every workspace, empty, busy and full.

The real window is opened on a virtual display, once for each scale factor, in temporary folders. Each state is brought
about once, and seen in every size and both themes. At the end stands what should not have appeared: error messages,
warnings of Qt, exceptions; the exit code is 1 if there was any. ``WORKSPACE-STATE`` as arguments choose states.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from app.shell.settings import cache_dir
from tests.chaos.lives import x_server
from tests.pictures.prepared import prepare, prepare_forty
from tests.pictures.states import NEEDS_DATA, in_order
from tests.pictures.studio import SIZES

DATA = "POINTWARD_MODELNET40"
"""Variable of the environment that says where ModelNet40 is."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.pictures", description=__doc__)
    parser.add_argument("states", nargs="*", metavar="WORKSPACE[-STATE]", help="which to take; without it all")
    parser.add_argument("--out", type=Path, default=Path("pictures"), help="folder of the pictures")
    parser.add_argument("--modelnet40", type=Path, default=os.environ.get(DATA), help=f"that dataset; also ${DATA}")
    parser.add_argument("--home", type=Path, help="folder in which what is trained first stays for the next time")
    given, started = parser.parse_args(), time.monotonic()
    names = [name for name in in_order() if _chosen(name, given.states)]
    if not names:
        parser.error(f"there is none of these; there are {', '.join(in_order())}")
    if given.modelnet40 is None and (left_out := [name for name in names if name in NEEDS_DATA]):
        print(f"left out: {', '.join(left_out)}: {DATA} does not say where ModelNet40 is.")
        names = [name for name in names if name not in left_out]
    given.out.mkdir(parents=True, exist_ok=True)
    codes = []
    with ExitStack() as stack:
        temporary = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pointward-pictures-")))
        home = given.home or temporary
        prepare(home, cache_dir())
        if set(names) & set(NEEDS_DATA):
            prepare_forty(home, cache_dir(), given.modelnet40)
        display = stack.enter_context(x_server("2560x1440"))
        for scale in SIZES:
            own = temporary / f"scale-{scale}"
            environment = os.environ | {
                "DISPLAY": display,
                "QT_QPA_PLATFORM": "xcb",
                "QT_SCALE_FACTOR": str(scale),
                "LIBGL_ALWAYS_SOFTWARE": "1",
                **{f"XDG_{kind}_HOME": str(own / kind.lower()) for kind in ("CONFIG", "DATA")},
            }
            words = [str(given.out), str(scale), str(home), str(given.modelnet40 or ""), *names]
            codes.append(subprocess.call([sys.executable, "-m", "tests.pictures.window", *words], env=environment))
    print(
        f"{len(list(given.out.glob('*.png')))} pictures are in {given.out}, after {time.monotonic() - started:.0f} s."
    )
    return int(any(codes))


def _chosen(name: str, wanted: list[str]) -> bool:
    return not wanted or name in wanted or name.partition("-")[0] in wanted


if __name__ == "__main__":
    sys.exit(main())
