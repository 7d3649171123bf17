"""Models of other projects, as their files are: made here, from the definitions that those projects publish."""

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

THREE_LAYERS = '''
"""A classifier of somebody's own: three layers and a maximum."""

import torch
from torch import nn


class Mine(nn.Module):
    def __init__(self, classes=16):
        super().__init__()
        self.first, self.second, self.last = nn.Linear(3, 32), nn.Linear(32, 64), nn.Linear(64, classes)

    def forward(self, clouds):
        x = self.second(self.first(clouds).relu()).relu()
        return self.last(x.amax(1))


def make():
    torch.manual_seed(5)
    return Mine()
'''


class PublishedTNet(nn.Module):
    """The alignment network as both projects name its layers."""

    def __init__(self, size: int, channels: int) -> None:
        super().__init__()
        self.size = size
        for place, (inputs, outputs) in enumerate(((channels, 64), (64, 128), (128, 1024)), 1):
            setattr(self, f"conv{place}", nn.Conv1d(inputs, outputs, 1))
        for place, (inputs, outputs) in enumerate(((1024, 512), (512, 256), (256, size * size)), 1):
            setattr(self, f"fc{place}", nn.Linear(inputs, outputs))
        for place, width in enumerate((64, 128, 1024, 512, 256), 1):
            setattr(self, f"bn{place}", nn.BatchNorm1d(width))

    def forward(self, x: Tensor) -> Tensor:
        for place in (1, 2, 3):
            x = F.relu(self.get_submodule(f"bn{place}")(self.get_submodule(f"conv{place}")(x)))
        x = x.max(2)[0]
        for place in (1, 2):
            x = F.relu(self.get_submodule(f"bn{place + 3}")(self.get_submodule(f"fc{place}")(x)))
        return self.get_submodule("fc3")(x).view(-1, self.size, self.size) + torch.eye(self.size)


class PublishedEncoder(nn.Module):
    """Clouds (B, 3, N) -> global feature (B, 1024), without ReLU on it."""

    def __init__(self, aligned: bool, channels: int) -> None:
        super().__init__()
        self.stn = PublishedTNet(3, channels)
        for place, (inputs, outputs) in enumerate(((channels, 64), (64, 128), (128, 1024)), 1):
            setattr(self, f"conv{place}", nn.Conv1d(inputs, outputs, 1))
            setattr(self, f"bn{place}", nn.BatchNorm1d(outputs))
        self.fstn = PublishedTNet(64, 64) if aligned else None

    def forward(self, x: Tensor) -> Tensor:
        x = torch.bmm(x.transpose(2, 1), self.stn(x)).transpose(2, 1)
        x = F.relu(self.bn1(self.conv1(x)))  # type: ignore[operator]
        if self.fstn is not None:
            x = torch.bmm(x.transpose(2, 1), self.fstn(x)).transpose(2, 1)
        x = F.relu(self.bn2(self.conv2(x)))  # type: ignore[operator]
        return self.bn3(self.conv3(x)).max(2)[0]  # type: ignore[operator]


class PublishedPointNet(nn.Module):
    """Clouds (B, 3, N) -> log-probabilities (B, K) and more, as yanx27's and fxia22's PointNets for classification."""

    def __init__(self, classes: int, aligned: bool = True, channels: int = 3) -> None:
        super().__init__()
        self.feat = PublishedEncoder(aligned, channels)
        self.fc1, self.fc2, self.fc3 = nn.Linear(1024, 512), nn.Linear(512, 256), nn.Linear(256, classes)
        self.bn1, self.bn2 = nn.BatchNorm1d(512), nn.BatchNorm1d(256)
        self.dropout = nn.Dropout(0.4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.feat(x)
        x = F.relu(self.bn1(self.fc1(x)))
        x = F.relu(self.bn2(self.dropout(self.fc2(x))))
        return F.log_softmax(self.fc3(x), dim=1), torch.eye(64).expand(len(x), 64, 64)


def published_pointnet(classes: int = 16, aligned: bool = True, seed: int = 0) -> PublishedPointNet:
    """Untrained, in eval mode, with running statistics and batch norms that are not the initial ones."""
    torch.manual_seed(seed)
    model = PublishedPointNet(classes, aligned)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
    for _ in range(20):
        model(torch.nn.functional.normalize(torch.randn(8, 3, 64), dim=1))
    return model.eval()


def save_yanx27(model: nn.Module, path: Path) -> Path:
    """As that project's training does, with accuracies that are NumPy's numbers."""
    state = {
        "epoch": 3,
        "instance_acc": np.mean([0.5, 1.0]),
        "class_acc": np.float64(0.7),
        "model_state_dict": model.state_dict(),
        "optimizer_state_dict": torch.optim.Adam(model.parameters()).state_dict(),
    }
    torch.save(state, path)
    return path


def save_script(model: nn.Module, path: Path, traced: tuple[int, ...] | None = None, frozen: bool = False) -> Path:
    """A TorchScript file; ``traced``: the shape of the clouds with which it is traced."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = model.eval()
        script: Any = torch.jit.trace(model, torch.rand(traced)) if traced else torch.jit.script(model)
        torch.jit.save(torch.jit.freeze(script) if frozen else script, str(path))
    return path


def write_code(path: Path, text: str = THREE_LAYERS) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def modules_called(name: str) -> dict[str, Any]:
    """The loaded modules of this name and below it."""
    return {key: module for key, module in sys.modules.items() if key.partition(".")[0] == name}


class Huge(nn.Module):
    def forward(self, clouds: Tensor) -> Tensor:
        return torch.zeros(len(clouds), 1 << 30)


class Endless(nn.Module):
    def forward(self, clouds: Tensor) -> Tensor:
        while bool(clouds.isfinite().all()):
            clouds = clouds * 0.5
        return clouds


class Little(nn.Module):
    """Clouds -> logits, in the layout that is asked for, of the coordinates that are shown to it."""

    def __init__(self, classes: int = 16, layout: str = "B3N") -> None:
        super().__init__()
        self.points = nn.Linear(3, 32)
        self.last = nn.Linear(32, classes)
        self.layout = layout

    def forward(self, clouds: Tensor) -> Tensor:
        if self.layout == "B3N":
            clouds = clouds.transpose(1, 2)
        return self.last(self.points(clouds).relu().amax(1))
