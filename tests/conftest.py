"""For every test, with or without Qt. What only tests of the window need is in `qt_fixtures`."""

import os
from collections.abc import Generator, Iterator
from typing import TypeVar

import pytest
from hypothesis import settings

CI = os.environ.get("CI") == "true"
LEAVE = "data absent:"
"""How the reason of a skip begins that is no error in CI."""

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)

settings.register_profile("suite", deadline=None, derandomize=CI)
settings.load_profile("suite")


@pytest.fixture(autouse=True)
def own_number_of_threads() -> Iterator[None]:
    """A command in this process with ``--threads`` sets these variables, which later tests would inherit."""
    names = ("POINTWARD_THREADS", "OMP_NUM_THREADS")
    before = {name: os.environ[name] for name in names if name in os.environ}
    yield
    for name in names:
        os.environ.pop(name, None)
    os.environ.update(before)


@pytest.fixture
def scripts_tried_here(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """TorchScript files are tried in this process, for what is not about that: one of its own takes a second."""
    import torch  # not at the start: tests of the window see what is imported when

    before = torch.get_num_threads()
    monkeypatch.setattr("core.models.importers.graphs.call_isolated", lambda function, *words, **_: function(*words))
    yield
    torch.set_num_threads(before)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("starts_first") is None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport]:
    report = yield
    return _unexcused(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, pytest.CollectReport]:
    report = yield
    return _unexcused(report)


def _unexcused(report: Report) -> Report:
    """In CI a test that was skipped for any reason but absent data has failed: nobody would see it otherwise."""
    if CI and report.skipped:
        reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
        if not reason.removeprefix("Skipped: ").startswith(LEAVE):
            report.outcome = "failed"
            report.longrepr = f"skipped in CI: {reason}"
    return report
