"""The corner of the menu bar: the device, and the free memory of a GPU, which changes."""

import pytest
from PySide6.QtWidgets import QMainWindow

from app.shell import corner as corner_module
from app.shell.corner import Corner


class Gpu:
    """Tells its free memory in GiB, or that it has failed."""

    def __init__(self):
        self.free, self.readings, self.failed = 128.0, 0, False

    def read(self):
        self.readings += 1
        if self.failed:
            raise RuntimeError("CUDA error: unspecified launch failure")
        return text(self.free)


def text(free):
    return f"NVIDIA X · {free:.1f} of 139.8 GiB free"


@pytest.fixture
def window(qtbot):
    window = QMainWindow()
    qtbot.addWidget(window)
    window.resize(900, 200)
    window.menuBar().addMenu("File")
    return window


@pytest.fixture
def corner(window, qtbot, monkeypatch):
    monkeypatch.setattr(corner_module, "DEVICE_MS", 1)
    corner = Corner(window)
    window.menuBar().setCornerWidget(corner)
    window.show()
    qtbot.waitUntil(corner.isVisible)
    return corner


def test_a_cpu_is_shown_and_nothing_is_read_again(corner):
    corner.show_device("CPU · 2 threads")
    assert corner.device.text() == "CPU · 2 threads"
    assert not corner._device_timer.isActive()


def test_free_memory_follows_the_gpu_and_nothing_beside_it_moves(corner, window, qtbot):
    gpu, seen = Gpu(), set()
    corner.show_device(text(9.9), gpu.read)
    window.menuBar().setCornerWidget(corner)
    for gpu.free in (139.8, 40.0, 9.9):
        qtbot.waitUntil(lambda: corner.device.text() == text(gpu.free))
        seen.add((corner.width(), corner.device.x(), corner.device.width()))
        assert corner.device.width() >= corner.device.minimumSizeHint().width(), "all of the text is seen"
    assert len(seen) == 1


def test_free_memory_is_read_only_while_it_is_on_the_screen(corner, window, qtbot):
    gpu = Gpu()
    corner.show_device(text(9.9), gpu.read)
    qtbot.waitUntil(lambda: gpu.readings > 0)
    window.hide()
    assert not corner._device_timer.isActive()
    before = gpu.readings
    window.show()
    qtbot.waitUntil(lambda: gpu.readings > before)


def test_a_gpu_that_fails_leaves_the_last_text(corner, qtbot):
    gpu = Gpu()
    corner.show_device(text(9.9), gpu.read)
    qtbot.waitUntil(lambda: corner.device.text() == text(128))
    gpu.failed, before = True, gpu.readings
    qtbot.waitUntil(lambda: gpu.readings > before + 1)
    assert corner.device.text() == text(128)
