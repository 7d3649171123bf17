"""Triton, which crashes beside Mesa's OpenGL: here a package that leaves a trace where it is imported stands for it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.long
@pytest.mark.parametrize(
    ("first", "said"),
    [("", "triton was imported\n"), ("import app.shell.application; ", "")],
    ids=["without the window", "in the window"],
)
def test_what_a_training_imports_does_not_load_triton_into_the_window(tmp_path: Path, first: str, said: str) -> None:
    package = tmp_path / "triton"
    package.mkdir()
    (package / "__init__.py").write_text("print('triton was imported')\nraise ImportError\n", encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-c", f"{first}import core.training, lightning_fabric, torch._dynamo.utils"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == said
