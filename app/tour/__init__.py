"""The guided tour: drives the real window through a first session with mouse and key events, and keeps pictures.

It is what ``make run`` does on a machine without a display, and the end-to-end test of the program.
"""

import json
import os
from pathlib import Path

from app.tour.display import has_display, under_xvfb
from core.runtime.files import temporary_folder
from core.runtime.text import printable


def run_tour(out: Path, as_json: bool) -> int:
    """Run the tour; write pictures, an exported figure and ``tour.json`` into ``out``. 0 if there was no error."""
    if not has_display():
        return under_xvfb(["tour", "--out", str(out), *(["--json"] if as_json else [])])
    out.mkdir(parents=True, exist_ok=True)
    with temporary_folder("pointward-tour") as home:
        os.environ["XDG_CONFIG_HOME"] = os.environ["XDG_DATA_HOME"] = home  # not the person's own settings and runs
        from app.tour.steps import Tour

        report = Tour(out).run()
    (out / "tour.json").write_text(json.dumps(report, indent=2) + "\n")
    if as_json:
        print(json.dumps(report, indent=2))
    else:
        for entry in report["steps"]:
            print(f"{entry['seconds']:7.1f} s  {entry['did']}")
        for text in report["errors"]:
            print(f"error: {printable(text)}")
        print(f"Pictures and tour.json are in {printable(str(out))}.")
    return 1 if report["errors"] else 0
