"""The guided tour: the real window, driven through its main job with real mouse and key events, with pictures.

It is what ``make run`` does on a machine without a display, and the end-to-end test of the program.
"""

import json
import os
from pathlib import Path

from app.tour.display import has_display, under_xvfb
from core.runtime.files import temporary_folder


def take_tour(out: Path, as_json: bool) -> int:
    """Take the tour, write pictures, the figure and ``tour.json`` into ``out``; 0 if nothing went wrong."""
    if not has_display():
        return under_xvfb(["tour", "--out", str(out), *(["--json"] if as_json else [])])
    out.mkdir(parents=True, exist_ok=True)
    with temporary_folder("pointward-tour") as home:
        os.environ["XDG_CONFIG_HOME"] = os.environ["XDG_DATA_HOME"] = home  # nobody's settings and runs are touched
        from app.tour.steps import Tour

        report = Tour(out).walk()
    (out / "tour.json").write_text(json.dumps(report, indent=2) + "\n")
    if as_json:
        print(json.dumps(report, indent=2))
    else:
        for entry in report["steps"]:
            print(f"{entry['seconds']:7.1f} s  {entry['did']}")
        print("\n".join([*(f"error: {text}" for text in report["errors"]), f"Pictures and tour.json are in {out}."]))
    return 1 if report["errors"] else 0
