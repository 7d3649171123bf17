"""Where tensors live and how many threads compute: the choice of device, in words a person can check."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, Literal

import torch

DeviceName = Literal["auto", "cpu", "cuda", "mps"]


def available_devices() -> list[str]:
    """Names of the devices PyTorch can use here, the fastest first; "cpu" is always the last."""
    found = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    return [name for name, usable in found.items() if usable]


def choose_device(name: DeviceName = "auto") -> torch.device:
    """The device called ``name``; "auto" is the fastest there is.

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


def leave_room_to_paint() -> None:
    """One thread for PyTorch's own loops where there are at most two cores, for a process that also paints and trains.

    Two busy pools of two threads each on two cores wait for one another: a forward pass of 7 ms then takes 270 ms.
    """
    if (os.cpu_count() or 1) <= 2:
        torch.set_num_threads(1)


def at_once(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """What each call returns; where PyTorch's own loops keep one thread, the other cores compute calls too.

    Elsewhere they run in turn, for each call has the cores already.
    """
    helpers = (os.cpu_count() or 1) - 1
    if torch.get_num_threads() > 1 or helpers < 1:
        return [call() for call in calls]
    waiting = [_helpers(helpers).submit(call) for call in calls]
    # this thread takes from the end what no helper has begun: it need not wake up first, and never waits for its own
    own = {place: calls[place]() for place in reversed(range(len(calls))) if waiting[place].cancel()}
    return [own[place] if place in own else call.result() for place, call in enumerate(waiting)]


@cache
def _helpers(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, "at once")  # joblib's threads take 10 ms to start and gather four calls
