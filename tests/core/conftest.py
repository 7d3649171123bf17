from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Rounding depends on the number of threads: for modules that test equality bit for bit."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def scripts_tried_here(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """TorchScript files are tried in this process, for what is not about that: one of its own takes a second."""
    before = torch.get_num_threads()
    monkeypatch.setattr("core.models.importers.graphs.call_isolated", lambda function, *words, **_: function(*words))
    yield
    torch.set_num_threads(before)
