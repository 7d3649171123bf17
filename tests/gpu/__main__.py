"""``python -m tests.gpu`` runs the tests of this folder on a GPU; where there is none it says so and does nothing.

``POINTWARD_TEST_DEVICE`` names another device of PyTorch, such as mps; with cpu the tests check themselves.
"""

import sys

import pytest
import torch

from tests.gpu import DEVICE

if DEVICE == "cuda" and not torch.cuda.is_available():
    print("PyTorch finds no NVIDIA GPU here, so nothing was tested.")
    sys.exit()
settings = "addopts=-ra --strict-markers -p no:dash -p tests.without_qt -p no:pytest-qt -p no:xvfb"
sys.exit(pytest.main(["--override-ini", settings, "tests/gpu", *sys.argv[1:]]))
