"""The device that computes: choosing and describing it, and its random numbers."""

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
    """One line for a status bar, such as "CPU · 2 threads" or "NVIDIA H100 · 61.0 of 79.6 GiB free"."""
    if device.type == "cuda":
        free, whole = torch.cuda.mem_get_info(device)
        return f"{torch.cuda.get_device_name(device)} · {free / 2**30:.1f} of {whole / 2**30:.1f} GiB free"
    if device.type == "mps":
        free = torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
        return f"Apple GPU · {free / 2**30:.1f} GiB free"
    threads = torch.get_num_threads()
    return f"CPU · {threads} thread{'s' if threads > 1 else ''}"


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed PyTorch's global random generators inside the block, and restore their state after it.

    Initial weights and dropout can use only these generators. All threads share them, so only one thread at a time can
    be inside: two trainings at once take turns, because otherwise neither could be repeated.
    """
    with _generator_lock, torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
