"""The device as a person meets it: in the commands, and when its memory runs out."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from core.commands import run
from core.commands import train as train_command
from core.datasets import Split
from core.runtime.devices import available_devices, choose_device, describe_device
from core.runtime.memory import out_of_memory
from tests.gpu import DEVICE

TOO_MANY = 2**48  # single-precision numbers: a pebibyte


def test_the_device_is_found_and_described(device: torch.device) -> None:
    assert DEVICE in available_devices()
    assert choose_device(DEVICE) == device  # type: ignore[arg-type]
    description = describe_device(device)
    assert re.search(r"GiB free|thread", description)


def test_an_attack_by_command_is_that_of_the_cpu(
    shapes: Split, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "chair.npy", shapes.points[16])
    reports = []
    for device in ("cpu", DEVICE):
        out = tmp_path / f"{device}-adversarial.ply"
        words = ["attack", str(tmp_path / "chair.npy"), "--epsilon", "0.1", "--out", str(out)]
        assert run([*words, "--device", device, "--json"]) == 0
        reports.append(json.loads(capsys.readouterr().out))
        assert out.is_file()
    here, there = reports
    assert there["clean"]["class"] == here["clean"]["class"]
    assert there["clean"]["confidence"] == pytest.approx(here["clean"]["confidence"], abs=1e-2)
    assert there["adversarial"]["confidence"] == pytest.approx(here["adversarial"]["confidence"], abs=0.1)


def test_memory_that_runs_out_is_named_in_one_sentence(
    device: torch.device, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(TOO_MANY, device=device)
    sentence = out_of_memory(caught.value)
    assert sentence is not None
    assert "1024.00 TiB" in sentence or "1,048,576.00 GiB" in sentence or "PiB" in sentence
    assert "Lower the batch size, the points or the clouds" in sentence
    if device.type == "cuda":
        assert sentence.startswith(f"The GPU ({torch.cuda.get_device_name(device)}) has not enough memory")
        assert "are free" in sentence

    def too_much(*arguments: object, **options: object) -> None:
        torch.empty(TOO_MANY, device=device)

    monkeypatch.setattr(train_command, "find_dataset", too_much)
    assert run(["train"]) == 1
    assert sentence.split(":")[0] in capsys.readouterr().err
