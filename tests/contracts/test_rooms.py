"""What a room must not know, read off the source text; the imports between packages are import-linter's part."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

RULES = {
    "only core/clouds/files.py knows open3d": (r"^\s*(from|import) +open3d\b", {"core/clouds/files.py"}),
    "only app/jobs starts threads": (
        r"\bQThread\b|\bQRunnable\b|\bthreading\.Thread\b",
        {"app/jobs/job.py", "app/jobs/latest_request.py"},
    ),
    "only core/runtime/threads.py spreads calls over cores": (
        r"ThreadPool|ProcessPool|\bconcurrent\.futures\b|sched_setaffinity",
        {"core/runtime/threads.py"},
    ),
    "only app/shell/settings.py knows QSettings": (r"\bQSettings\b", {"app/shell/settings.py"}),
    "only app/shell/theme.py knows style sheets and colours": (
        r"setStyleSheet|#[0-9a-fA-F]{6}\b|QColor\(\d",
        {"app/shell/theme.py"},
    ),
    "only app/shell/widgets.py creates labels and buttons": (
        r"\bQ(Label|PushButton|ToolButton|CheckBox|RadioButton)\(",
        {"app/shell/widgets.py"},
    ),
    "only app/shell/plain_text.py shows tooltips": (
        r"\.setToolTip\(|\btoolTip=|QToolTip\.",
        {"app/shell/plain_text.py"},
    ),
    "only app/shell/help.py shows HTML": (r"\bsetHtml\(|TextFormat\.(Rich|Auto)Text", {"app/shell/help.py"}),
    "nobody unpickles or evaluates": (
        r"(^|[^.\w])(pickle\.|eval\()|allow_pickle=True|torch\.load\((?!.*weights_only=True)",
        set(),
    ),
    "nobody uses pyplot": (r"matplotlib\.pyplot|\bpyplot\b *as", set()),
    "nothing is left for later": (r"\bTODO\b|\bFIXME\b|\bXXX\b|NotImplementedError", set()),
    "no path of one machine": (r"(^|[^\w.])/(work|root|tmp|home/[a-z]+)/[\w.]", set()),
}


@pytest.mark.parametrize("rule", RULES)
def test_that(rule: str) -> None:
    pattern, allowed = RULES[rule]
    sources = [ROOT / "main.py", *(ROOT / "core").rglob("*.py"), *(ROOT / "app").rglob("*.py")]
    assert len(sources) > 20
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in sources
        if path.relative_to(ROOT).as_posix() not in allowed
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(pattern, line)
    ]
    assert not found, "\n".join(found)


SHARED = {
    "base",
    "comparison",
    "comparison_table",
    "latent_picks",
    "run_curves",
    "run_list",
    "training_work",
    "measured_models",
    "transfer_models",
    "transfer_results",
    "transfer_setup",
}
"""What workspaces are made of."""


def test_that_workspaces_do_not_know_each_other() -> None:
    for path in (ROOT / "app" / "workspaces").glob("*.py"):
        if path.name == "registry.py":  # the list of all
            continue
        others = re.findall(r"from app\.workspaces\.(\w+) import", path.read_text(encoding="utf-8"))
        assert set(others) <= SHARED, f"{path.name} imports {others}"


def test_that_no_module_is_outside_a_room() -> None:
    rooms = {"core": {"events", "options"}, "app": {"store"}}
    for package, allowed in rooms.items():
        assert {path.stem for path in (ROOT / package).glob("*.py")} == {"__init__", *allowed}


def test_that_evaluation_models_and_attacks_do_not_know_training() -> None:
    for room in ("evaluation", "models", "attacks", "defenses"):
        for path in (ROOT / "core" / room).rglob("*.py"):
            assert "core.training" not in path.read_text(encoding="utf-8"), path.name


def test_that_models_and_defences_know_no_attacks() -> None:
    for room in ("models", "defenses"):
        for path in (ROOT / "core" / room).rglob("*.py"):
            assert "core.attacks" not in path.read_text(encoding="utf-8"), path.name


def test_that_panels_load_no_torch_when_imported() -> None:
    """The window is painted before torch is loaded, so nothing it is made of may import torch at the top."""
    for path in [*(ROOT / "app").rglob("*.py")]:
        for line in path.read_text(encoding="utf-8").splitlines():
            assert not re.match(r"(from|import) torch\b", line), f"{path.name}: {line}"
