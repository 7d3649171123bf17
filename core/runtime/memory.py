"""Errors that mean that memory ran out, told as a sentence. PyTorch is loaded only where one is of a GPU."""

import re

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
    import torch

    if not torch.cuda.is_available():
        return ""
    index = re.search(r"GPU (\d+)", text)
    return f" ({torch.cuda.get_device_name(int(index[1]) if index else None)})"
