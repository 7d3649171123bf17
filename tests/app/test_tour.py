"""The end-to-end test: the tour on a machine without a display, its report, pictures and files."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PySide6.QtGui import QImage

from tests.pixels.pictures import pixels

pytestmark = [pytest.mark.long, pytest.mark.starts_first]

ROOT = Path(__file__).parents[2]
STEPS_IN_ORDER = (
    "the window is painted",
    "three models give their verdicts",
    "the built-in dataset is open",
    "in the library",
    "dragged epsilon to",
    "stepped PGD",
    "trained two epochs",
    "loaded the trained model",
    "measured 5 models",
    "clicked a cell",
    "made a t-SNE map",
    "the marker moved over the map",
    "exported the figure",
    "attacked through pointnet-simple",
    "switched to the light theme",
)


@pytest.fixture(scope="module")
def tour(tmp_path_factory):
    """Folder and report of a tour without a display, in a home directory of its own."""
    home, out = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("tour") / "out"
    hidden = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM", "OMP_NUM_THREADS")
    environment = {key: value for key, value in os.environ.items() if key not in hidden}
    environment |= {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}
    command = [sys.executable, "main.py", "tour", "--out", str(out), "--json"]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1200)
    assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-4000:]
    report = json.loads((out / "tour.json").read_text())
    assert json.loads(ended.stdout[ended.stdout.index("{") :]) == report
    return out, report


def step_with(report, words):
    return next(step for step in report["steps"] if words in step["did"])


def test_the_report_lists_all_steps_in_order_and_no_error(tour):
    _, report = tour
    assert report["errors"] == []
    places = [report["steps"].index(step_with(report, words)) for words in STEPS_IN_ORDER]
    assert places == sorted(places)
    seconds = [step["seconds"] for step in report["steps"]]
    assert seconds == sorted(seconds)


def test_the_report_contains_the_results_of_each_step(tour):
    _, report = tour
    assert len(step_with(report, "three models")["verdicts"]) == 3
    assert step_with(report, "the built-in dataset")["shapes"] == {"train": 4096, "test": 1024}
    flipped = step_with(report, "dragged epsilon to")
    assert 0 < flipped["epsilon"] <= 0.3
    assert flipped["linf"] == pytest.approx(flipped["epsilon"], abs=1e-4)
    stepped = step_with(report, "stepped PGD")
    assert stepped["step"] == 5
    assert 0 < stepped["linf"] <= stepped["epsilon"] + 1e-4
    assert len(step_with(report, "loaded the trained model")["models"]) == 5
    measured = step_with(report, "measured 5 models")["accuracies"]
    assert all(0 <= value <= 100 for pair in measured.values() for value in pair)
    clean, adversarial = measured["simple"]
    assert clean > adversarial
    clicked = step_with(report, "clicked a cell")
    true, predicted = clicked["did"].split("adversarial, ")[1].split(":")[0].split(" → ")
    verdict = clicked["verdicts"]["pointnet-simple"]
    assert verdict["adversarial"][0] == predicted != true
    assert len(step_with(report, "the marker moved")["marker"]) == 2
    (rates,) = step_with(report, "attacked through pointnet-simple")["success_rates"].values()
    assert len(rates) >= 3
    assert all(0 <= rate <= 1 for rate in rates.values())
    latencies = report["slider_to_paint_ms"]
    assert latencies["n"] == len(latencies["all"]) > 50
    assert 0 < latencies["median"] <= latencies["p95"] <= latencies["max"]


def test_every_picture_of_the_tour_shows_the_whole_window(tour):
    out, report = tour
    names = [step["picture"] for step in report["steps"] if "picture" in step]
    assert len(names) >= 8
    assert sorted(path.name for path in out.glob("[0-9]*.png")) == sorted(names)
    pictures = {name: pixels(QImage(str(out / name))) for name in names}
    for name, picture in pictures.items():
        assert picture.shape == (1000, 1600, 3), name
        for part in (picture[:, :800], picture[:, 800:], picture[:500], picture[500:]):
            assert part.std() > 8, f"{name} is blank somewhere"
    assert len({picture.tobytes() for picture in pictures.values()}) == len(names)
    dark, light = pictures[names[0]].mean(), pictures[names[-1]].mean()
    assert light > dark + 100


def test_the_tour_exports_the_figure_and_its_coordinates(tour):
    out, _ = tour
    assert (out / "latents.pdf").read_bytes().startswith(b"%PDF")
    assert not QImage(str(out / "latents.png")).isNull()
    assert len((out / "latents.csv").read_text().splitlines()) == 1 + 2 * 128
