"""Models of other projects: recognised, asked the way they want to be, and never more trusted than a person said."""

import importlib
import json
import os
import pickle
import py_compile
import re
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import core
from core.attacks import preset
from core.clouds.frames import Orientation, rotated
from core.models import PointNet, eval_view
from core.models.cards import ModelCard, ModelError
from core.models.checkpoints import LoadedModel, load_model, read_card, resolve_model
from core.models.framed import Frame, Framed, framed
from core.models.importers import (
    Candidate,
    ImportOptions,
    NeededError,
    UntrustedError,
    examine,
    imported_models,
    is_foreign,
    keep,
    trust,
)
from core.models.importers.factories import candidates
from core.models.importers.families import FAMILIES, family_of
from core.models.importers.graphs import load_script
from core.models.importers.probing import probed
from core.models.importers.sources import CARD, sha256_of
from core.models.importers.weights import State
from core.models.predict import predict
from core.models.zoo.dgcnn import DGCNN
from core.runtime.files import FormatError
from core.runtime.text import MOST_CHARACTERS
from tests.core.foreign import (
    Endless,
    Huge,
    Little,
    PublishedPointNet,
    modules_called,
    published_pointnet,
    save_script,
    save_yanx27,
    write_code,
)
from tests.core.toys import attacked
from tests.published.dgcnn import PublishedDGCNN

CLASSES = tuple(f"thing {place}" for place in range(16))
NAMED = ImportOptions(name="mine", classes=",".join(CLASSES))


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


def sphere(count: int = 3, points: int = 200) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return nn.functional.normalize(torch.randn(count, points, 3, generator=generator), dim=2)


def refused(source: Path | str, options: ImportOptions | None = None) -> str:
    """The one sentence with which a file is refused."""
    with pytest.raises((ModelError, FormatError)) as error:
        examine(source, options)
    text = str(error.value)
    assert len(text) <= MOST_CHARACTERS
    assert text.isprintable()
    assert text.endswith(".")
    return text


def import_model(source: Path | str, options: ImportOptions) -> LoadedModel:
    """What a person does: the file is examined and kept, and the model is used from then on."""
    return load_model(keep(examine(source, options), options))


def trusted(path: Path) -> Path:
    trust(path, sha256_of(path))
    return path


class TestPointNets:
    @pytest.mark.parametrize("aligned", [True, False])
    def test_logits_and_gradients_equal_those_of_the_published_definition(self, tmp_path: Path, aligned: bool) -> None:
        theirs = published_pointnet(aligned=aligned)
        path = save_yanx27(theirs, tmp_path / "best_model.pth")
        candidate = examine(path)
        assert type(candidate.module) is PointNet
        clouds = sphere().requires_grad_()
        with eval_view(candidate.module) as fast:
            for ask in (candidate.module, fast):
                mine, reference = ask(clouds), theirs(clouds.transpose(1, 2))[0]
                torch.testing.assert_close(mine.logits.log_softmax(1), reference, rtol=1e-5, atol=1e-5)
                slopes = [
                    torch.autograd.grad(each[:, 3].sum(), clouds)[0] for each in (mine.logits.log_softmax(1), reference)
                ]
                torch.testing.assert_close(slopes[0], slopes[1], rtol=1e-4, atol=1e-5)
                torch.testing.assert_close(mine.latent, theirs.feat(clouds.transpose(1, 2)), rtol=1e-5, atol=1e-5)

    def test_the_wrapper_says_whose_it_is_and_how_many_points_it_takes(self, tmp_path: Path) -> None:
        candidate = examine(save_yanx27(published_pointnet(), tmp_path / "best_model.pth"))
        assert (candidate.points, candidate.classes) == (1024, 16)
        assert candidate.notes == ("Its weights are those of PointNet of yanx27/Pointnet_Pointnet2_pytorch.",)
        torch.save(published_pointnet(aligned=False).state_dict(), tmp_path / "cls_model_24.pth")
        bare = examine(tmp_path / "cls_model_24.pth")
        assert (bare.points, bare.family) == (2500, "PointNet of fxia22/pointnet.pytorch")

    def test_what_may_be_of_two_projects_is_asked_and_not_guessed(self, tmp_path: Path) -> None:
        path = tmp_path / "model.pth"
        torch.save(published_pointnet().state_dict(), path)
        with pytest.raises(NeededError, match="import it with --points 1024 or --points 2500") as error:
            examine(path)
        assert error.value.option == "points"
        assert examine(path, ImportOptions(points=2500)).points == 2500

    @pytest.mark.parametrize("wrapper", ["net", "model", "base_model", "state_dict", "model_state_dict"])
    def test_wrappers_and_the_names_of_parallel_training_are_taken_off(self, tmp_path: Path, wrapper: str) -> None:
        theirs = published_pointnet()
        path = tmp_path / "model.t7"
        torch.save({wrapper: nn.DataParallel(theirs).state_dict()}, path)
        found = examine(path, ImportOptions(points=64))
        torch.testing.assert_close(
            found.module(sphere()).logits.log_softmax(1), theirs(sphere().transpose(1, 2))[0], rtol=1e-5, atol=1e-5
        )

    def test_weights_in_safetensors_without_a_card_are_recognised_too(self, tmp_path: Path) -> None:
        theirs = published_pointnet(aligned=False)
        path = tmp_path / "theirs.safetensors"
        save_file(theirs.state_dict(), path)
        assert is_foreign(path)
        loaded = load_model(path)
        assert loaded.card.classes[:2] == ("class 0", "class 1")
        assert loaded.card.unnamed
        again = predict(loaded.module, sphere().numpy())
        assert np.allclose(again.logits, theirs(sphere().transpose(1, 2))[0].detach() + again_offset(again), atol=1e-4)

    def test_one_that_reads_normals_is_refused(self, tmp_path: Path) -> None:
        path = save_yanx27(PublishedPointNet(16, channels=6), tmp_path / "normals.pth")
        assert "reads normals" in refused(path)

    def test_one_that_lacks_a_weight_or_has_one_of_another_shape_is_refused(self, tmp_path: Path) -> None:
        state = published_pointnet().state_dict()
        torch.save(
            {"model_state_dict": {k: v for k, v in state.items() if k != "feat.stn.fc2.bias"}}, tmp_path / "a.pth"
        )
        assert "it lacks feat.stn.fc2.bias" in refused(tmp_path / "a.pth")
        torch.save({"model_state_dict": state | {"fc1.weight": torch.zeros(500, 1024)}}, tmp_path / "b.pth")
        assert "classifier.0.weight is (500, 1024), and a pointnet of 16 classes has (512, 1024)" in refused(
            tmp_path / "b.pth"
        )
        torch.save({"model_state_dict": state | {"fc3.bias": torch.full((16,), torch.nan)}}, tmp_path / "c.pth")
        assert "not finite" in refused(tmp_path / "c.pth")

    def test_it_is_kept_as_a_model_of_ours_with_where_it_came_from(self, tmp_path: Path) -> None:
        theirs = published_pointnet()
        path = save_yanx27(theirs, tmp_path / "best_model.pth")
        loaded = import_model(path, ImportOptions(**NAMED.model_dump() | {"up": "y"}))
        assert imported_models() == {"mine": loaded.path}
        assert resolve_model("mine") == loaded.path
        path.unlink()
        card = read_card(loaded.path) if loaded.path else None
        assert card is not None
        assert card.source is not None
        assert (card.source.file, card.source.frame.up, card.up_axis) == ("best_model.pth", "y", "z")
        assert (card.architecture, card.points, card.classes, card.epochs) == ("pointnet", 1024, CLASSES, None)
        again = load_model(resolve_model("mine"))
        upright = torch.from_numpy(rotated(sphere().numpy(), Orientation("z").rotation("y"))).transpose(1, 2)
        torch.testing.assert_close(
            again.module(sphere()).logits.log_softmax(1), theirs(upright)[0], rtol=1e-5, atol=1e-5
        )


def again_offset(answers: Any) -> Any:
    """What logits are larger by than log-probabilities."""
    return torch.from_numpy(answers.logits).logsumexp(1, keepdim=True)


class TestFrames:
    def test_a_usual_frame_changes_nothing_and_needs_no_wrapper(self) -> None:
        model = PointNet(4)
        for frame in (Frame(), Frame(up="z"), Frame(normalisation="none")):
            assert framed(model, frame) is model

    def test_the_fast_view_of_a_pointnet_is_used_in_another_frame_too(self) -> None:
        torch.manual_seed(0)
        inner = PointNet(4).eval()
        model = Framed(inner, Frame(up="-y", normalisation="cube", scale=0.5)).eval()
        clouds = sphere().requires_grad_()
        with eval_view(model) as fast:
            mine, plain = fast(clouds), model(clouds)
        torch.testing.assert_close(mine.logits, plain.logits, rtol=1e-4, atol=1e-5)
        slopes = [torch.autograd.grad(each.logits[:, 0].sum(), clouds)[0] for each in (mine, plain)]
        torch.testing.assert_close(slopes[0], slopes[1], rtol=1e-3, atol=1e-6)

    def test_clouds_are_turned_and_put_into_the_cube(self) -> None:
        seen: list[Tensor] = []

        class Seeing(nn.Module):
            def forward(self, clouds: Tensor) -> Any:
                seen.append(clouds)
                return clouds

        up = torch.tensor([[[0.0, 0.0, 0.3], [0.0, 0.0, -0.5], [0.1, 0.2, 0.0]]])
        Framed(Seeing(), Frame(up="y"))(up)
        torch.testing.assert_close(seen[-1][0, 0], torch.tensor([0.0, 0.3, 0.0]))
        Framed(Seeing(), Frame(normalisation="cube", scale=0.5))(up)
        assert seen[-1].amax(1).max() == 0.5
        torch.testing.assert_close(seen[-1].amax(1) + seen[-1].amin(1), torch.zeros(1, 3))

    def test_words_are_the_options_of_a_command(self) -> None:
        assert Frame(up="y", normalisation="cube", scale=0.5).words() == "--up=y --normalisation=cube --scale=0.5"
        assert Frame().words() == ""


class TestDGCNN:
    """Its logits and gradients are compared in test_zoo.py."""

    @pytest.mark.parametrize(("points", "neighbours"), [(1024, 20), (2048, 40), (500, 20)])
    def test_the_number_of_points_tells_the_neighbours(self, tmp_path: Path, points: int, neighbours: int) -> None:
        torch.save({f"module.{key}": value for key, value in PublishedDGCNN(5).state_dict().items()}, tmp_path / "m.t7")
        with pytest.raises(NeededError, match=r"--points 1024 or --points 2048"):
            examine(tmp_path / "m.t7")
        candidate = examine(tmp_path / "m.t7", ImportOptions(points=points))
        assert isinstance(candidate.module, DGCNN)
        assert (candidate.points, candidate.classes) == (points, 5)
        assert candidate.module.options.neighbours == neighbours
        assert "DGCNN of antao97/dgcnn.pytorch" in candidate.family


KEYS = {
    "PointNet++ (single-scale, yanx27)": ("sa1.mlp_convs.0.weight", "fc3.weight"),
    "PointNet++ (multi-scale, yanx27)": ("sa1.conv_blocks.0.0.weight", "fc3.weight"),
    "PointConv": ("sa1.mlp_convs.0.weight", "fc3.weight", "sa1.weightnet.0.weight", "sa1.densitynet.0.weight"),
    "DGCNN": ("conv1.0.weight", "conv5.0.weight", "linear1.weight", "linear3.weight"),
    "GDANet": ("SGCAM_1s.0.weight", "conv12.0.weight", "conv1.0.weight"),
    "PCT": ("gather_local_0.conv1.weight", "pt_last.sa1.q_conv.weight", "conv_fuse.0.weight", "linear1.weight"),
    "CurveNet": ("lpfa.xyz2feature.0.weight", "cic11.conv1.0.weight", "cic42.conv1.0.weight"),
    "PointMLP": ("embedding.net.0.weight", "local_grouper_list.0.affine_alpha"),
    "PointNeXt": ("encoder.encoder.0.0.convs.0.0.weight", "prediction.head.0.0.weight"),
    "Point-MAE": ("blocks.blocks.0.attn.qkv.weight", "cls_pos", "cls_head_finetune.0.weight"),
    "ULIP": ("point_encoder.blocks.0.weight", "pc_projection", "logit_scale"),
    "OpenShape": ("ppat.sa.0.weight", "ppat.lift.0.weight", "proj.weight"),
    "Uni3D": ("point_encoder.encoder2trans.weight", "point_encoder.trans2embed.weight", "logit_scale"),
}


class TestFamilies:
    @pytest.mark.parametrize("name", KEYS)
    def test_each_is_named_and_says_what_to_do(self, tmp_path: Path, name: str) -> None:
        torch.save({"model_state_dict": {f"module.{key}": torch.zeros(2) for key in KEYS[name]}}, tmp_path / "m.pth")
        text = refused(tmp_path / "m.pth")
        assert f"holds the weights of a {name}" in text
        assert any(part in text for part in ("export it as TorchScript", "without a classifier", ", but "))

    def test_all_of_them_are_tried(self) -> None:
        tried = {family_of(State({key: torch.zeros(2) for key in keys}, "")) for keys in KEYS.values()}
        assert {family.name for family in tried if family} == KEYS.keys()
        assert {family.name for family in FAMILIES} - KEYS.keys() == {
            "PointNet",
            "PointNet for segmentation",
            "Point-MAE before its fine-tuning",
        }

    @pytest.mark.parametrize("name", [name for name, keys in KEYS.items() if keys[0].startswith("sa1.")])
    def test_weights_that_read_normals_are_refused(self, tmp_path: Path, name: str) -> None:
        first, *others = KEYS[name]
        torch.save({first: torch.zeros(64, 6, 1, 1), **{key: torch.zeros(2) for key in others}}, tmp_path / "m.pth")
        assert f"a {name}, but it reads normals" in refused(tmp_path / "m.pth")

    def test_a_pointconv_of_another_density_is_refused(self, tmp_path: Path) -> None:
        tensors = {key: torch.zeros(2) for key in KEYS["PointConv"]}
        tensors["sa1.densitynet.mlp_convs.0.weight"] = torch.zeros(8, 1, 1)
        torch.save(tensors, tmp_path / "m.pth")
        assert "it multiplies by the density of points" in refused(tmp_path / "m.pth")

    def test_an_encoder_before_its_fine_tuning_is_no_classifier(self, tmp_path: Path) -> None:
        torch.save({"base_model": {"MAE_encoder.blocks.blocks.0.attn.qkv.weight": torch.zeros(3)}}, tmp_path / "m.pth")
        assert "without a classifier" in refused(tmp_path / "m.pth")

    def test_weights_of_nothing_known_are_refused(self, tmp_path: Path) -> None:
        torch.save({"layer.weight": torch.zeros(2)}, tmp_path / "m.pth")
        assert "weights of no model that is known here: export it as TorchScript" in refused(tmp_path / "m.pth")


class Payload:
    """What runs where a pickle is loaded without limits."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> Any:
        return os.mkdir, (self.path,)


class TestHostileFiles:
    @pytest.mark.parametrize("where", ["beside", "inside", "alone", "plain pickle"])
    def test_nothing_in_a_pickle_runs(self, tmp_path: Path, where: str) -> None:
        mark, path = tmp_path / "it-ran", tmp_path / "model.pth"
        state: Any = dict(published_pointnet().state_dict())
        content = {
            "beside": {"model_state_dict": state, "more": Payload(mark)},
            "inside": {"model_state_dict": state | {"fc3.bias": Payload(mark)}},
            "alone": Payload(mark),
            "plain pickle": None,
        }[where]
        if content is None:
            path.write_bytes(pickle.dumps(Payload(mark)))
        else:
            torch.save(content, path)
        refused(path)
        assert not mark.exists()

    def test_what_no_weights_are(self, tmp_path: Path) -> None:
        around: dict[str, Any] = {}
        around["model"] = around
        state = published_pointnet(aligned=False).state_dict()
        for content, said in (
            (around, "holds no state dict"),
            ([1, 2], "holds no state dict"),
            ({"model_state_dict": {"fc3.weight": 3}}, "holds no state dict"),
            (state | {"fc3.weight": torch.tensor(1.0)}, "fc3 gives it no 2 to 10,000 classes"),
            (state | {"fc3.weight": torch.zeros(1).expand(10**9, 256)}, "fc3 gives it no 2 to 10,000 classes"),
            (state | {"fc3.bias": torch.zeros(16).to_sparse()}, "it lacks fc3.bias"),
            (state | {"feat.conv3.weight": torch.zeros(1).expand(10**9, 128, 1)}, "pool.linear.weight is (1000000000"),
        ):
            torch.save(content, tmp_path / "model.pth")
            assert said in refused(tmp_path / "model.pth")

    def test_a_whole_module_is_refused_with_what_to_save_in_its_place(self, tmp_path: Path) -> None:
        torch.save(Little(), tmp_path / "whole.pt")
        assert "save model.state_dict() alone" in refused(tmp_path / "whole.pt")

    def test_a_script_that_touches_files_is_not_run(self, tmp_path: Path) -> None:
        mark = tmp_path / "written"
        path = save_script(Little(), tmp_path / "script.pt")
        with zipfile.ZipFile(path) as archive:
            entries = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in entries.items():
                if name.endswith("foreign.py") or b"def forward" in content:
                    call = f'_9 = torch.from_file("{mark}", True, 4)\n    '.encode()
                    content = content.replace(b"    return", b"    " + call + b"return", 1)
                archive.writestr(name, content)
        assert "operations that touch files" in refused(path)
        assert not mark.exists()

    def test_an_archive_of_torch_export_is_not_opened_without_a_yes(self, tmp_path: Path) -> None:
        mark, path = tmp_path / "it-ran", tmp_path / "model.pt2"
        self.exported(path)
        with zipfile.ZipFile(path) as archive:
            entries = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in entries.items():
                if name.endswith("models/model.json"):
                    expression = json.loads(content)["range_constraints"]
                    assert expression
                    text = content.decode()
                    start = text.index('"expr_str"') + len('"expr_str": "')
                    evil = f"__import__('os').mkdir('{mark}')"
                    content = (text[:start] + evil + text[text.index('"', start) :]).encode()
                archive.writestr(name, content)
        with pytest.raises(UntrustedError, match="code that can do whatever you can"):
            examine(path)
        assert not mark.exists()

    @staticmethod
    def exported(path: Path) -> None:
        dimensions = {0: torch.export.Dim("b"), 2: torch.export.Dim("n")}
        program = torch.export.export(Little().eval(), (torch.rand(2, 3, 64),), dynamic_shapes=(dimensions,))
        torch.export.save(program, path)

    @pytest.mark.parametrize(
        "content", [b"", b"PK\x03\x04" + bytes(100), b"\x80\x02garbage", b"model", bytes(1000)], ids=range(5)
    )
    def test_damaged_files(self, tmp_path: Path, content: bytes) -> None:
        for ending in (".pth", ".pt2", ".tar"):
            path = tmp_path / f"model{ending}"
            path.write_bytes(content)
            assert "is not a whole file of PyTorch" in refused(path)

    @pytest.mark.parametrize("length", [30, 400, -30])
    def test_truncated_files(self, tmp_path: Path, length: int) -> None:
        for path in (save_yanx27(Little(), tmp_path / "a.pth"), save_script(Little(), tmp_path / "b.pt")):
            path.write_bytes(path.read_bytes()[:length])
            refused(path)

    @pytest.mark.parametrize(
        ("model", "limit", "value", "why"),
        [
            (Huge(), "_MEMORY", 512 << 20, "it needs more than 512 MB"),
            (Endless(), "_SECONDS", 1, "it takes more than 1 seconds"),
        ],
        ids=["memory", "time"],
    )
    def test_a_script_that_exceeds_a_limit_is_a_sentence(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: nn.Module, limit: str, value: int, why: str
    ) -> None:
        path = save_script(model, tmp_path / "little.pt")
        monkeypatch.setattr(f"core.models.importers.graphs.{limit}", value)
        assert f"can't be used as TorchScript ({why}" in refused(path)

    def test_no_memory_while_a_script_is_loaded_is_no_fault_of_the_script(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def no_memory(*_: object, **__: object) -> None:
            raise MemoryError

        path = save_script(Little(), tmp_path / "little.pt")
        monkeypatch.setattr(torch.jit, "load", no_memory)
        with pytest.raises(MemoryError):
            load_script(path)

    def test_what_is_no_regular_file(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe.pth")
        assert "named pipe" in refused(tmp_path / "pipe.pth")
        assert "there is no such file" in refused(tmp_path / "none.pth")
        (tmp_path / "folder.pth").mkdir()
        assert "it is a folder" in refused(tmp_path / "folder.pth")

    def test_a_card_is_no_yes(self, tmp_path: Path) -> None:
        """A stranger may send a card beside the code that it names."""
        code = write_code(tmp_path / "code.py")
        source = {"file": "code.py", "factory": "make", "sha256": sha256_of(code), "kind": "python", "layout": "BN3"}
        card = {
            "name": "x", "title": "x", "architecture": "python", "classes": CLASSES, "points": 64, "up_axis": "z",
            "source": source,
        }  # fmt: skip
        path = tmp_path / f"x{CARD}"
        path.write_text(json.dumps(card))
        with pytest.raises(UntrustedError):
            load_model(path)
        trusted(code)
        assert load_model(path).card.classes == CLASSES


class TestGraphs:
    @pytest.mark.parametrize("frozen", [False, True])
    def test_a_script_is_attacked_like_any_model(self, tmp_path: Path, frozen: bool) -> None:
        torch.manual_seed(0)
        theirs = Little()
        path = save_script(theirs, tmp_path / "little.pts", frozen=frozen)
        loaded = import_model(path, NAMED)
        assert loaded.path is not None
        assert loaded.path.name == f"mine{CARD}"
        assert loaded.card.source is not None
        assert (loaded.card.source.layout, loaded.card.source.kind) == ("B3N", "torchscript")
        torch.testing.assert_close(loaded.module(sphere()).logits, theirs(sphere().transpose(1, 2)))
        label = loaded.module(sphere()).logits.argmax(1)
        before = nn.functional.cross_entropy(loaded.module(sphere()).logits, label)
        state = attacked(preset("pgd", epsilon=0.1, steps=3, restarts=1), loaded.module, sphere(), label)
        assert state.best is not None
        assert state.best.latent.shape == (3, 0)
        assert state.best.loss.mean() > before
        assert float((state.adversarial - sphere()).abs().max()) <= 0.1 + 1e-6

    @pytest.mark.usefixtures("scripts_tried_here")
    def test_one_that_was_traced_with_one_cloud_is_asked_one_at_a_time(self, tmp_path: Path) -> None:
        class Flat(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.layer = nn.Linear(192, 5)

            def forward(self, clouds: Tensor) -> Tensor:
                return self.layer(clouds.reshape(1, 192))

        path = save_script(Flat(), tmp_path / "one.pt", traced=(1, 64, 3))
        with pytest.raises(ModelError, match="It takes no clouds of 1,024 points"):
            examine(path)
        with pytest.raises(NeededError, match="say which with --layout"):
            examine(path, ImportOptions(points=64))
        found = examine(path, ImportOptions(points=64, layout="BN3"))
        assert found.module(sphere(4, 64)).logits.shape == (4, 5)
        with pytest.raises(ModelError, match="can't answer for these clouds"):
            found.module(sphere(4, 65))

    def test_an_exported_model_runs_after_a_yes(self, tmp_path: Path) -> None:
        path = tmp_path / "model.pt2"
        TestHostileFiles.exported(path)
        loaded = import_model(trusted(path), NAMED)
        clouds = sphere().requires_grad_()
        assert torch.autograd.grad(loaded.module(clouds).logits.sum(), clouds)[0].any()
        assert predict(loaded.module, sphere().numpy()).latent.shape == (3, 0)

    @pytest.mark.usefixtures("scripts_tried_here")
    def test_a_file_that_changed_since_is_not_the_model_that_was_imported(self, tmp_path: Path) -> None:
        path = save_script(Little(), tmp_path / "little.pt")
        loaded = import_model(path, NAMED)
        assert loaded.path is not None
        save_script(Little(), path)
        with pytest.raises(ModelError, match="is another file than mine was imported from"):
            load_model(loaded.path)
        path.unlink()
        with pytest.raises(ValueError, match="there is no such file"):
            load_model(loaded.path)


class Answering(nn.Module):
    """Gives what it is told to, made of logits (B, K)."""

    def __init__(self, answer: Any) -> None:
        super().__init__()
        self.inner, self.answer = Little(5, "BN3"), answer

    def forward(self, clouds: Tensor) -> Any:
        return self.answer(self.inner(clouds), clouds)


class TestProbing:
    @pytest.mark.parametrize(
        ("answer", "kind"),
        [
            (lambda x, _: x, "logits"),
            (lambda x, _: x.log_softmax(1), "log-probabilities"),
            (lambda x, _: x.softmax(1), "probabilities"),
            (lambda x, _: (x, torch.eye(64).expand(len(x), 64, 64)), "logits"),
            (lambda x, clouds: {"features": clouds, "out": x}, "logits"),
            (lambda x, _: {"features": x.repeat(1, 3), "logits": x}, "logits"),
        ],
    )
    def test_the_logits_are_found_and_named(self, answer: Any, kind: str) -> None:
        torch.manual_seed(0)
        model = Answering(answer)
        found = probed(model, 64)
        assert (found.adapter.call.layout, found.adapter.call.answer, found.classes) == ("BN3", kind, 5)
        assert found.deterministic
        expected = model.inner(sphere()).log_softmax(1)
        torch.testing.assert_close(found.adapter(sphere()).logits.log_softmax(1), expected, rtol=1e-4, atol=1e-5)

    def test_the_latent_is_what_the_last_linear_layer_reads(self) -> None:
        model = Little(5, "BN3")
        found = probed(model, 64)
        output = found.adapter(sphere())
        assert found.adapter.has_latent
        torch.testing.assert_close(model.last(output.latent), output.logits)
        torch.testing.assert_close(output.latent, model.points(sphere()).relu().amax(1))

    def test_a_model_without_linear_layers_has_none(self) -> None:
        class Convolutions(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.layer = nn.Conv1d(3, 5, 1)

            def forward(self, clouds: Tensor) -> Tensor:
                return self.layer(clouds).amax(2)

        found = probed(Convolutions(), 64)
        assert not found.adapter.has_latent
        assert found.adapter(sphere()).latent.shape == (3, 0)

    def test_a_dict_of_positions_and_features(self) -> None:
        class Named(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.last = nn.Linear(6, 5)

            def forward(self, data: dict[str, Tensor]) -> Tensor:
                return self.last(torch.cat([data["pos"], data["x"].transpose(1, 2)], 2).amax(1))

        assert probed(Named(), 64).adapter.call.layout == "dict"

    def test_what_may_be_read_in_two_ways_is_asked(self) -> None:
        class Any3(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.last = nn.Linear(1, 5)

            def forward(self, clouds: Tensor) -> Tensor:
                return self.last(clouds.flatten(1).amax(1, keepdim=True))

        with pytest.raises(NeededError, match="as B3N and as BN3") as error:
            probed(Any3(), 64)
        assert (error.value.option, error.value.choices) == ("layout", ("B3N", "BN3"))
        assert probed(Any3(), 64, "BN3").adapter.call.layout == "BN3"
        two = Answering(lambda x, clouds: (x, clouds.amax(1)))
        with pytest.raises(NeededError, match="name its --classes"):
            probed(two, 64)
        assert probed(two, 64, classes=5).classes == 5

    def test_randomness_and_missing_gradients_are_told(self) -> None:
        assert not probed(Answering(lambda x, _: x + torch.randn_like(x)), 64).deterministic
        blind = probed(Answering(lambda x, _: x.detach()), 64)
        assert not blind.differentiable
        with pytest.raises(ModelError, match="No gradient of this model reaches the points"):
            attacked(preset("fgsm"), blind.adapter, sphere(), torch.zeros(3, dtype=torch.long))

    @pytest.mark.parametrize(
        ("answer", "said"),
        [
            (lambda x, _: x * torch.nan, "not finite numbers"),
            (lambda x, clouds: clouds, "no table (B, K) of numbers"),
            (lambda x, _: x.argmax(1), "no table (B, K) of numbers"),
            (lambda x, _: x[:, :1], "no table (B, K) of numbers"),
            (lambda x, _: [][0], "IndexError: list index out of range"),
        ],
    )
    def test_what_is_no_classifier_is_refused(self, answer: Any, said: str) -> None:
        with pytest.raises(ModelError) as error:
            probed(Answering(answer), 64)
        assert said in str(error.value)

    def test_a_model_that_was_left_in_training_mode_is_refused(self, tmp_path: Path) -> None:
        class Normalising(nn.Module):
            def forward(self, clouds: Tensor) -> Tensor:
                table = clouds.std(1).repeat(1, 2)
                return table - table.mean(0)

        with pytest.raises(ModelError, match="depends on the others in the batch"):
            probed(Normalising(), 64, "BN3")

    def test_random_numbers_of_a_training_beside_it_are_left_alone(self) -> None:
        model = Answering(lambda x, _: x + torch.randn_like(x))
        torch.manual_seed(3)
        expected = torch.rand(2)
        torch.manual_seed(3)
        probed(model, 64)
        assert torch.equal(torch.rand(2), expected)


CORE = {
    "theirs.py": "from core.models.net import Net\n\n\ndef make():\n    return Net()\n",
    "core/__init__.py": "WHOSE = 'theirs'\n",
    "core/models/__init__.py": "",
    "core/models/net.py": (
        "import torch\nimport core\nfrom core import WHOSE\nfrom .walk import widths\nfrom torch import nn\n\n\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n        self.last = nn.Linear(*widths)\n"
        "        assert WHOSE == core.WHOSE\n\n"
        "    def forward(self, x):\n        import core.late\n        from core.late import pooled\n"
        "        assert core.late.WHOSE == 'theirs'\n        return self.last(pooled(x))\n"
    ),
    "core/models/walk.py": "widths = 3, 16\n",
    "core/late.py": "from core import WHOSE\n\n\ndef pooled(x):\n    return x.amax(1)\n",
}


class TestFactories:
    def test_code_runs_only_after_a_yes_to_its_content(self, tmp_path: Path) -> None:
        path = write_code(
            tmp_path / "mine.py",
            f"import os; os.makedirs({str(tmp_path / 'ran')!r}, exist_ok=True)\n"
            + Path(write_code(tmp_path / "t.py")).read_text(),
        )
        with pytest.raises(UntrustedError) as error:
            examine(f"{path}:make")
        assert (error.value.path, error.value.sha256) == (path, sha256_of(path))
        assert sha256_of(path) in str(error.value)
        assert not (tmp_path / "ran").exists()
        trusted(path)
        assert examine(f"{path}:make").classes == 16
        assert (tmp_path / "ran").exists()
        path.write_text(path.read_text() + "\n# changed\n")
        with pytest.raises(UntrustedError):
            examine(f"{path}:make")

    def test_a_package_called_core_is_theirs_for_them_and_ours_for_us(self, tmp_path: Path) -> None:
        for name, text in CORE.items():
            write_code(tmp_path / name, text)
        before, path = modules_called("core"), list(sys.path)
        loaded = import_model(f"{trusted(tmp_path / 'theirs.py')}:make", NAMED)
        assert loaded.module(sphere()).logits.shape == (3, 16)  # and it imports more while it is asked
        assert sys.path == path
        now = modules_called("core")
        assert all(now[name] is module for name, module in before.items())
        assert sys.modules["core"] is core
        assert not any("theirs" in str(getattr(module, "WHOSE", "")) for module in now.values())
        assert importlib.import_module("core.events").Done(3).value == 3
        assert not list(tmp_path.rglob("__pycache__"))

    def test_a_file_inside_of_a_package_finds_its_neighbours_and_what_it_adds_to_the_path(self, tmp_path: Path) -> None:
        write_code(tmp_path / "more" / "helpers.py", "WIDTH = 16\n")
        write_code(tmp_path / "net" / "part.py", "from torch import nn\n\n\nlayer = nn.Linear\n")
        path = write_code(
            tmp_path / "net" / "model.py",
            "import os, sys\n"
            "sys.path.append(os.path.join(os.path.dirname(__file__), '..', 'more'))\n"
            "from helpers import WIDTH\nfrom .part import layer\nfrom torch import nn\n\n\n"
            "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
            "        self.last = layer(3, WIDTH)\n\n"
            "    def forward(self, x):\n        return self.last(x.amax(1))\n",
        )
        before = list(sys.path)
        assert examine(trusted(path)).classes == 16
        assert sys.path == before
        assert "helpers" not in sys.modules

    def test_a_compiled_file_beside_the_code_is_not_what_runs(self, tmp_path: Path) -> None:
        path = write_code(tmp_path / "mine.py", "raise ValueError('the compiled one')\n")
        py_compile.compile(str(path), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
        write_code(path)
        assert examine(f"{trusted(path)}:make").classes == 16

    def test_the_only_thing_that_makes_a_model_needs_no_name(self, tmp_path: Path) -> None:
        path = write_code(tmp_path / "mine.py")
        assert candidates(path) == ("Mine", "make")
        with pytest.raises(NeededError, match=r"write mine\.py:NAME, of Mine, make") as error:
            examine(path)
        assert error.value.choices == ("Mine", "make")
        one = write_code(
            tmp_path / "one.py", "def _no(): ...\ndef wants(x): ...\nclass Plain: ...\ndef make(*, a=1): ...\n"
        )
        assert candidates(one) == ("make",)

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("def make():\n    return 3\n", "made a int, and an nn.Module is needed"),
            ("def make():\n    raise RuntimeError('no\\x1b[31m weights')\n", "made no model (RuntimeError: no"),
            ("import sys\nsys.exit(3)\n", "made no model (SystemExit: 3)"),
            ("import nothing_like_it\n", "No module named 'nothing_like_it'"),
            ("other = 3\n", "has no attribute 'make'"),
        ],
    )
    def test_code_that_fails_is_a_sentence(self, tmp_path: Path, text: str, said: str) -> None:
        path = write_code(tmp_path / "mine.py", text)
        assert said in refused(f"{trusted(path)}:make")

    @pytest.mark.parametrize(
        ("text", "said"),
        [("def make(:\n", "is not a Python file that can be read"), ("x = 1\n", "no function or class")],
    )
    def test_a_file_that_makes_nothing_is_a_sentence(self, tmp_path: Path, text: str, said: str) -> None:
        assert said in refused(write_code(tmp_path / "mine.py", text))

    def test_what_it_prints_is_not_part_of_a_result(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = write_code(tmp_path / "mine.py")
        path.write_text("print('loading')\n" + path.read_text())
        examine(f"{trusted(path)}:make")
        said = capsys.readouterr()
        assert (said.out, said.err) == ("", "loading\n")


@pytest.fixture(scope="module")
def candidate(tmp_path_factory: pytest.TempPathFactory) -> Candidate:
    """A script without a name of its own."""
    torch.manual_seed(0)
    return examine(save_script(Little(), tmp_path_factory.mktemp("candidate") / "my little-one.v2.pt"))


class TestLibrary:
    def test_a_model_is_called_as_its_file_where_nobody_says(self, candidate: Candidate) -> None:
        card = candidate.card(ImportOptions())
        assert (card.name, card.classes[15], card.points, card.up_axis) == (
            "my little-one",
            "class 15",
            1024,
            "unknown",
        )

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({"name": "../elsewhere"}, "can't be the name of a model"),
            ({"name": "a/b"}, "can't be the name of a model"),
            ({"name": "pointnet-simple"}, "comes with the program"),
            ({"classes": "a,b"}, "has 16 outputs, and 2 classes are named"),
            ({"classes": "a,a,b"}, "Two of the classes are called 'a'"),
            ({"classes": "nowhere.txt"}, "there is no such file"),
        ],
    )
    def test_names_that_can_not_be_are_refused(self, candidate: Candidate, options: dict[str, Any], said: str) -> None:
        with pytest.raises(ValueError, match=re.escape(said)):
            keep(candidate, ImportOptions(**options))
        assert imported_models() == {}

    def test_classes_are_read_from_a_file_a_line_each(self, tmp_path: Path, candidate: Candidate) -> None:
        (tmp_path / "names.txt").write_text("\n".join(CLASSES) + "\n\n")
        card = candidate.card(ImportOptions(classes=str(tmp_path / "names.txt")))
        assert card.classes == CLASSES
        assert not card.unnamed

    def test_one_of_the_same_name_is_replaced_whatever_it_was(self, tmp_path: Path, candidate: Candidate) -> None:
        weights = save_yanx27(published_pointnet(), tmp_path / "best.pth")
        import_model(weights, NAMED)
        path = keep(candidate, NAMED)
        assert imported_models() == {"mine": path}
        assert ModelCard.model_validate_json(path.read_text()).architecture == "torchscript"
