import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from core.events import Done
from core.runtime import startup
from core.runtime.devices import available_devices, choose_device, describe_device
from core.runtime.memory import out_of_memory


def test_auto_is_the_fastest_device_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto") == torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert choose_device("auto") == torch.device("cpu")
    assert available_devices() == ["cpu"]


def test_a_device_that_is_not_there_is_refused_with_those_that_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match=r"can't use the device 'cuda' here; choose auto or one of: .*cpu"):
        choose_device("cuda")


def test_devices_are_described_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert describe_device(torch.device("cpu")) == "CPU · 1 thread"
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    assert describe_device(torch.device("cpu")) == "CPU · 8 threads"
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (13 * 2**30, 16 * 2**30))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA X")
    assert describe_device(torch.device("cuda")) == "NVIDIA X · 13.0 of 16.0 GiB free"
    monkeypatch.setattr(torch.mps, "recommended_max_memory", lambda: 12 * 2**30)
    monkeypatch.setattr(torch.mps, "driver_allocated_memory", lambda: 2**30)
    assert describe_device(torch.device("mps")) == "Apple GPU · 11.0 GiB free"


@pytest.mark.parametrize("gpu", [True, False])
def test_the_start_tells_the_device_and_how_to_read_the_memory_of_a_gpu_again(
    gpu: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = [13 * 2**30]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free[0], 16 * 2**30))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA X")
    monkeypatch.setattr(startup, "shipped_models", lambda dataset: iter([Done(())]))
    monkeypatch.setattr("core.runtime.threads.set_threads_beside_window", lambda: None)
    *_, done = startup.startup()
    assert isinstance(done, Done)
    read = done.value.read_device
    if not gpu:
        assert done.value.device.startswith("CPU")
        assert read is None
        return
    assert done.value.device == read() == "NVIDIA X · 13.0 of 16.0 GiB free"
    free[0] = 2**30
    assert read() == "NVIDIA X · 1.0 of 16.0 GiB free"


CUDA = (
    "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 139.80 GiB of which 5.20 GiB is "
    "free. Including non-PyTorch memory, this process has 134.59 GiB memory in use."
)
MPS = "MPS backend out of memory (MPS allocated: 17.5 GiB, max allowed: 18.1 GiB). Tried to allocate 512 bytes on pool."


@pytest.mark.parametrize(
    ("error", "place", "asked", "advice"),
    [
        (torch.OutOfMemoryError(CUDA), "The GPU (NVIDIA X)", "20.00 GiB more were asked for, and 5.20 GiB are", "CPU"),
        (RuntimeError("CUDA error: out of memory\nCUDA kernel errors"), "The GPU (NVIDIA X)", "not enough", "CPU"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when"), "The GPU (NVIDIA X)", "not enough", "CPU"),
        (RuntimeError(MPS), "The GPU (NVIDIA X)", "0.00 GiB more", "CPU"),
        (MemoryError(), "This machine", "not enough memory.", "close other programs"),
    ],
)
def test_memory_that_ran_out_is_named_with_the_device_what_was_asked_for_and_what_to_lower(
    error: Exception, place: str, asked: str, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA X")
    sentence = out_of_memory(error)
    assert sentence is not None
    assert sentence.startswith(f"{place} has not enough memory")
    assert asked in sentence
    assert "Lower the batch size, the points or the clouds" in sentence
    assert advice in sentence
    assert len(sentence) <= 300


def test_what_pytorch_and_numpy_say_of_memory_is_understood() -> None:
    with pytest.raises(RuntimeError) as torch_error:
        torch.empty(2**50, dtype=torch.float64)
    assert "8,388,608.00 GiB more were asked for" in str(out_of_memory(torch_error.value))
    with pytest.raises(MemoryError) as numpy_error:
        np.empty(2**50)
    assert "8.00 PiB more were asked for" in str(out_of_memory(numpy_error.value))


def test_other_errors_are_not_about_memory() -> None:
    for error in (RuntimeError("shapes (3, 4) and (5, 6)"), ValueError("out of memory"), OSError(12, "x")):
        assert out_of_memory(error) is None


def test_without_a_gpu_its_tests_say_so_in_one_line() -> None:
    hidden = {name: value for name, value in os.environ.items() if name != "POINTWARD_TEST_DEVICE"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.gpu"],
        cwd=Path(__file__).resolve().parents[2],
        env=hidden | {"CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert done.stdout == "PyTorch finds no NVIDIA GPU here, so nothing was tested.\n"
