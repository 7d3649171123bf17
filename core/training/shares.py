"""Training by several processes, which ``fabric run`` or ``torchrun`` starts: each computes its share of every batch.

Together they take the steps that one process would take, up to rounding: batch norm sees the whole batch, each process
draws the random numbers of the whole batch and uses those of its share, and gradients are sums over the batch. The
process of rank 0 leads: it alone writes, in a folder that all can read, and validates.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm as _BatchNormOfPyTorch

from core.models.fast.statistics import count_batch
from core.models.fast.together import mean_of_all, sums_of_all
from core.runtime.devices import DeviceName, choose_device, describe_device
from core.runtime.threads import allowed_threads, limit_threads
from core.training.options import Precision

if TYPE_CHECKING:
    from lightning_fabric import Fabric

_LOST = re.compile(r"Connection (closed|reset)|Broken pipe|Socket|gloo|NCCL|Timed out waiting", re.IGNORECASE)


class LostProcessError(ValueError):
    """Another process of the training has ended."""


class Share(NamedTuple):
    """The clouds of a batch that one process computes."""

    rows: slice
    clouds: int
    """Number of clouds of the whole batch."""

    @property
    def part(self) -> float:
        """Share of the batch, 0..1."""
        return (self.rows.stop - self.rows.start) / self.clouds


def processes() -> int:
    """How many processes train together, as ``fabric run`` or ``torchrun`` has started them."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "TORCHELASTIC_RUN_ID" in os.environ else 1


def leads() -> bool:
    """Whether this process leads the training; one that is alone does."""
    return processes() == 1 or os.environ.get("RANK", "0") == "0"


def describe_processes(device: torch.device) -> str:
    """One line on the device, and on how many processes have one each, such as "CPU · 1 thread · 2 processes"."""
    return describe_device(device) + (f" · {processes()} processes" if processes() > 1 else "")


def require_shares(clouds: int) -> None:
    """Raise a ValueError if a batch of so many clouds has too few for the processes."""
    if clouds < processes():
        raise ValueError(
            f"A batch of {clouds} clouds can't be shared by {processes()} processes: take larger batches, or fewer."
        )


def connect(device: DeviceName, precision: Precision) -> "Fabric":
    """What sets device and precision, and connects the processes if there are several, which all have to call it.

    Raises
    ------
    ValueError
        If PyTorch can't use the device here.
    """
    from lightning_fabric import Fabric  # this import takes a second, too long for the start of the window

    accelerator = choose_device(device).type
    if precision == "tf32":  # which the learner sets
        precision = "32-true"
    count, here = processes(), int(os.environ["LOCAL_WORLD_SIZE"]) if processes() > 1 else 1
    strategy = "ddp" if count > 1 else "auto"
    wanted = {"accelerator": accelerator, "devices": here, "num_nodes": count // here, "strategy": strategy}
    # the arguments of ``fabric run`` are in the environment, and Fabric takes none that differ
    asked = {name: value for name, value in wanted.items() if f"LT_{name.upper()}" not in os.environ}
    fabric = Fabric(precision=precision, **asked)
    if "LT_CLI_USED" not in os.environ:  # else it has done so by itself
        fabric.launch()
    if count > 1 and fabric.device.type == "cpu":
        limit_threads(max(1, allowed_threads() // here))
    return fabric


def totals(fabric: "Fabric", *values: float) -> list[float]:
    """The sums of numbers over all processes. Every process has to call it."""
    if fabric.world_size == 1:
        return list(values)
    of_this = torch.tensor(values, dtype=torch.float64, device=fabric.device)
    return fabric.all_reduce(of_this, reduce_op="sum").tolist()  # type: ignore[no-any-return]


def share_of(fabric: "Fabric", clouds: int) -> Share:
    """This process's share of a batch; all shares are of nearly equal size."""
    rank, count = fabric.global_rank, fabric.world_size
    return Share(slice(rank * clouds // count, (rank + 1) * clouds // count), clouds)


def spread(model: nn.Module) -> None:
    """Let batch norm and dropout of a model work as in one process that has the whole batch."""
    for module in model.modules():
        module.__class__ = _SPREAD.get(type(module), type(module))


def set_share(model: nn.Module, share: Share) -> None:
    """Tell the layers of a model that was ``spread`` which clouds of the batch come next."""
    for module in model.modules():
        if isinstance(module, _Dropout):
            module.share = share


class _BatchNorm(_BatchNormOfPyTorch):
    """Of (n, C, ...), with the statistics of all processes."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        ordered = input.transpose(1, -1).to(self.weight.dtype)
        rows = ordered.flatten(0, -2)
        mean, n = mean_of_all(rows.mean(0), len(rows))
        centred = rows - mean
        (squares,) = sums_of_all(centred.square().sum(0))
        variance = squares / n
        count_batch(self, mean, variance, n)  # type: ignore[arg-type]
        out = centred * torch.rsqrt(variance + self.eps) * self.weight + self.bias
        return out.view_as(ordered).transpose(1, -1).to(input.dtype)


class _BatchNorm1d(_BatchNorm, nn.BatchNorm1d):
    pass


class _BatchNorm2d(_BatchNorm, nn.BatchNorm2d):
    pass


class _Dropout(nn.Dropout):
    """Draws for the clouds of the whole batch, of which a pass has one or several versions, one after the other."""

    share: Share

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return input
        rows, clouds = self.share
        versions = len(input) // (rows.stop - rows.start)
        kept = F.dropout(input.new_ones(versions * clouds, *input.shape[1:]), self.p)
        return input * kept.unflatten(0, (versions, clouds))[:, rows].flatten(0, 1)


_SPREAD: dict[type[nn.Module], type[nn.Module]] = {
    nn.BatchNorm1d: _BatchNorm1d,
    nn.BatchNorm2d: _BatchNorm2d,
    nn.Dropout: _Dropout,
}


@contextmanager
def naming_lost_process() -> Iterator[None]:
    """Turn the error that another process is gone into a sentence.

    Raises
    ------
    LostProcessError
    """
    try:
        yield
    except RuntimeError as error:
        if processes() == 1 or not _LOST.search(str(error)):
            raise
        raise LostProcessError(
            "Another process of this training has ended, and says why if it could: call the same command with --resume "
            "to go on after the last finished epoch."
        ) from error
