"""The device that computes: choosing and describing it, its out-of-memory errors, and its random numbers."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Literal

import torch

DeviceName = Literal["auto", "cpu", "cuda", "mps"]

_generator_lock = Lock()


def available_devices() -> list[str]:
    """Names of the devices PyTorch can use here, the fastest first; "cpu" is always the last."""
    found = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    return [name for name, usable in found.items() if usable]


def choose_device(name: DeviceName = "auto") -> torch.device:
    """The device called ``name``; "auto" is the fastest of this machine.

    Raises
    ------
    ValueError
        If this machine has no such device.
    """
    devices = available_devices()
    if name == "auto":
        name = devices[0]  # type: ignore[assignment]
    if name not in devices:
        raise ValueError(f"PyTorch can't use the device {name!r} here; choose auto or one of: {', '.join(devices)}.")
    return torch.device(name)


def describe_device(device: torch.device) -> str:
    """One line for a status bar, such as "CPU · 2 threads" or "NVIDIA H100 · 78.1 GiB free"."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return f"{torch.cuda.get_device_name(device)} · {free / 2**30:.1f} GiB free"
    if device.type == "mps":
        free = torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
        return f"Apple GPU · {free / 2**30:.1f} GiB free"
    threads = torch.get_num_threads()
    return f"CPU · {threads} thread{'s' if threads > 1 else ''}"


_NO_MEMORY = re.compile(r"out of memory|can't allocate memory|_ALLOC_FAILED|_OUT_OF_MEMORY")
_REQUESTED = re.compile(
    r"\b(?:tried to|unable to) allocate (?P<number>[\d.]+) (?P<unit>bytes|[KMGTPE]iB)", re.IGNORECASE
)
_FREE_SIZE = re.compile(r"of which (?P<size>[\d.]+ \w+) is free")


def out_of_memory(error: BaseException) -> str | None:
    """If an error means that memory ran out, a sentence with the device, the requested size, and what to lower.

    None for any other error. Recognised are the errors of Python, NumPy, and PyTorch on CPUs, NVIDIA and Apple GPUs.
    """
    text = str(error)
    if not isinstance(error, MemoryError) and not (isinstance(error, RuntimeError) and _NO_MEMORY.search(text)):
        return None
    gpu = re.search(r"\b(CUDA|MPS)|CUBLAS|CUDNN", text)
    place = f"The GPU{_gpu_name(text)}" if gpu else "This machine"
    figures = ""
    if requested := _REQUESTED.search(text):
        in_bytes = requested["unit"] == "bytes"
        size = (
            f"{float(requested['number']) / 2**30:,.2f} GiB"
            if in_bytes
            else f"{requested['number']} {requested['unit']}"
        )
        figures = f": {size} more were asked for"
        figures += f", and {free['size']} are free" if (free := _FREE_SIZE.search(text)) else ""
    other = "compute on the CPU" if gpu else "close other programs"
    return f"{place} has not enough memory{figures}. Lower the batch size, the points or the clouds, or {other}."


def _gpu_name(text: str) -> str:
    """Name of the GPU in brackets, if PyTorch knows it."""
    if not torch.cuda.is_available():
        return ""
    index = re.search(r"GPU (\d+)", text)
    return f" ({torch.cuda.get_device_name(int(index[1]) if index else None)})"


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed PyTorch's global random generators inside the block, and restore their state after it.

    Initial weights and dropout can use only these generators. All threads share them, so only one thread at a time can
    be inside: two trainings at once take turns, because otherwise neither could be repeated.
    """
    with _generator_lock, torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
