"""Transfer experiments from end to end: what is made, how it is matched, and that it goes on after any end."""

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.clouds import linf, rmse
from core.commands import run
from core.evaluation.make import read_set
from core.events import Cancel, Done, Event, Note, Progress, result
from core.models.checkpoints import BEST, load_model
from core.models.predict import predict
from core.runtime.files import FormatError
from core.runtime.pieces import Engine
from core.studies.transferability import attacking, protocols, report
from core.studies.transferability.attacking import adversarial_samples, clean_samples, cut_noise
from core.studies.transferability.estimate import Costs
from core.studies.transferability.experiment import Experiment
from core.studies.transferability.findings import OPTIMISERS, Calibration, Made, TransferFindings
from core.studies.transferability.options import TransferOptions
from core.studies.transferability.protocols import ATTACKS, KINDS, attack_under, attacks_of, first_step
from core.studies.transferability.sweep import Workers, run_transfer
from tests.core.test_cli import answer
from tests.core.toys import toy_run
from tests.core.transfer_lab import ATTACKS as LAB_ATTACKS
from tests.core.transfer_lab import Lab, arrays, make_lab, with_models

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return make_lab(tmp_path_factory.mktemp("lab"))


@pytest.fixture(scope="module")
def experiment(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    """One with equal losses, run to its end."""
    experiment = lab.experiment(tmp_path_factory.mktemp("experiment"))
    result(run_transfer(experiment))
    return experiment


@pytest.fixture(scope="module")
def found(experiment: Experiment) -> TransferFindings:
    findings: TransferFindings = result(run_transfer(experiment))
    return findings


@pytest.mark.long
class TestWhatIsFound:
    def test_every_cell_is_there_and_no_model_is_a_victim_of_attacks_on_itself(self, found: TransferFindings) -> None:
        assert set(found.clean) == {"one", "two", "three"}
        assert set(found.made) == {(name, attack) for name in ("one", "two") for attack in found.attacks}
        victims = {"one": ("two", "three"), "two": ("three",)}
        assert set(found.predicted) == {(*key, victim) for key in found.made for victim in victims[key[0]]}
        assert set(found.calibration) == set(found.smoothness) == {"one", "two"}
        assert np.array_equal(found.label, np.sort(found.label)[np.argsort(np.argsort(found.label, kind="stable"))])

    def test_victims_say_the_same_of_the_stored_samples(self, experiment: Experiment, found: TransferFindings) -> None:
        for (surrogate, attack, victim), classes in found.predicted.items():
            samples = adversarial_samples(experiment, surrogate, attack)
            model = load_model(experiment.models[victim]).module
            np.testing.assert_array_equal(predict(model, samples).prediction, classes)

    def test_distances_and_losses_are_those_of_the_stored_samples(
        self, experiment: Experiment, found: TransferFindings
    ) -> None:
        clean = clean_samples(experiment)
        for (surrogate, attack), made in found.made.items():
            samples = adversarial_samples(experiment, surrogate, attack)
            assert np.abs(samples - clean).max() <= experiment.options.epsilon * (1 + 1e-5)
            np.testing.assert_allclose(made.linf, linf(clean, samples))
            np.testing.assert_allclose(made.rmse, rmse(clean, samples))
            logits = load_model(experiment.models[surrogate]).module(torch.from_numpy(samples)).logits
            loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(found.label), reduction="none")
            np.testing.assert_allclose(made.loss, loss.detach(), rtol=1e-3, atol=1e-5)
            np.testing.assert_array_equal(made.prediction, logits.argmax(1))
            assert np.isfinite(made.chamfer).all()
            assert (made.curvature > 0).any()

    def test_optimisers_end_at_the_loss_that_enough_held_out_samples_reach(
        self, experiment: Experiment, found: TransferFindings
    ) -> None:
        for (surrogate, attack), made in found.made.items():
            if attack in OPTIMISERS:
                level = found.calibration[surrogate].loss
                assert level is not None
                np.testing.assert_array_equal(made.matched, made.loss >= level * (1 - 1e-4))
                stored, record = read_set(experiment.set_folder(surrogate, attack))
                assert record.complete
                before_last = [trace[k - 1] for trace, k in zip(stored.loss_trace, made.iterations, strict=True)]
                assert (np.array(before_last)[made.matched & (made.iterations > 1)] < level).all()
            else:
                assert made.matched.all()

    def test_controls_are_as_large_as_the_largest_perturbation(
        self, experiment: Experiment, found: TransferFindings
    ) -> None:
        clean = clean_samples(experiment)
        for surrogate in found.surrogates:
            sizes = np.stack([found.made[surrogate, name].rmse for name in found.attacks if name in OPTIMISERS])
            for control in ("random-sign", "gaussian"):
                np.testing.assert_allclose(found.made[surrogate, control].rmse, sizes.max(0), rtol=1e-5)
            noise = np.abs(adversarial_samples(experiment, surrogate, "random-sign") - clean)
            largest = np.array([name for name in found.attacks if name in OPTIMISERS])[sizes.argmax(0)]
            for row, name in enumerate(largest):
                delta = np.abs(adversarial_samples(experiment, surrogate, name)[row] - clean[row])
                np.testing.assert_allclose(noise[row], delta, atol=1e-6)

    def test_smoothness_and_alignment_are_cosines_of_gradients(
        self, experiment: Experiment, found: TransferFindings
    ) -> None:
        clean, gradients = torch.from_numpy(clean_samples(experiment)).double(), {}
        for name in ("one", "three"):
            points = clean.clone().requires_grad_()
            logits = load_model(experiment.models[name]).module.double()(points).logits
            torch.nn.functional.cross_entropy(logits, torch.from_numpy(found.label), reduction="sum").backward()
            assert points.grad is not None
            gradients[name] = points.grad.flatten(1)
        cosine = torch.nn.functional.cosine_similarity(gradients["one"], gradients["three"])
        np.testing.assert_allclose(found.alignment["one", "three"], cosine, atol=1e-4)
        for changes in found.smoothness.values():
            assert (changes >= -1e-5).all()
            assert (changes <= 2).all()
            assert changes.any()


@pytest.mark.long
class TestProtocols:
    def test_the_rmse_is_the_same_for_all(self, lab: Lab, experiment: Experiment) -> None:
        other = lab.experiment(experiment.folder, "equal-rmse", rmse=0.4)
        findings: TransferFindings = result(run_transfer(other))
        for (_, attack), made in findings.made.items():
            if attack in OPTIMISERS:
                np.testing.assert_array_equal(made.matched, np.abs(made.rmse / 0.3 - 0.4) <= 0.4 * 5e-3)
                assert made.matched.mean() > 0.5
                np.testing.assert_allclose(made.rmse[made.matched], 0.12, rtol=1e-4)

    def test_attacks_at_full_strength_are_made_once_for_all_protocols(
        self, lab: Lab, experiment: Experiment, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[str] = []
        plain = attacking.make_set

        def counted(model: object, *others: object, **named: object) -> Iterator[Event]:
            asked.append("attack")
            return plain(model, *others, **named)  # type: ignore[arg-type]

        monkeypatch.setattr(attacking, "make_set", counted)
        result(run_transfer(lab.experiment(experiment.folder, "rmse-term")))
        assert len(asked) == 2 * 2, "the optimisers on both surrogates, and neither FGSM nor for each victim again"
        result(run_transfer(lab.experiment(experiment.folder, "rmse-term")))
        assert len(asked) == 4

    def test_the_rmse_term_is_worth_a_share_of_the_loss(self, lab: Lab, experiment: Experiment) -> None:
        findings: TransferFindings = result(run_transfer(lab.experiment(experiment.folder, "rmse-term")))
        for settled in findings.calibration.values():
            assert settled.loss is not None
            assert settled.rmse_weight == pytest.approx(3.2 * settled.loss)

    def test_steps_are_counted(self, lab: Lab, experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(protocols, "CHECKPOINTS", (1, 2, 5, 20))
        other = lab.experiment(experiment.folder, "steps", surrogates=["one"], attacks=["gd", "fgsm", "gaussian"])
        findings: TransferFindings = result(run_transfer(other))
        assert set(findings.made) == {("one", f"gd@{steps}") for steps in protocols.CHECKPOINTS}
        losses = [findings.made["one", f"gd@{steps}"].loss for steps in protocols.CHECKPOINTS]
        for steps, made in zip(protocols.CHECKPOINTS, findings.made.values(), strict=True):
            assert (made.iterations == steps).all()
            assert made.matched.all()
        assert np.mean(losses, axis=1).argmax() == len(protocols.CHECKPOINTS) - 1

    def test_tuning_takes_the_first_step_that_transfers_best(self, lab: Lab, tmp_path: Path) -> None:
        tuned = lab.experiment(tmp_path, "equal-rmse", attacks=["gd", "adam"], tuning=3)
        findings: TransferFindings = result(run_transfer(tuned))
        for settled in findings.calibration.values():
            for optimiser, tried in settled.tried.items():
                usual = first_step(tuned.options, "clouds", optimiser)
                np.testing.assert_allclose(list(tried), np.minimum(usual * np.array([0.25, 1, 4]), 1))
                assert tried[settled.first_step[optimiser]] == max(tried.values())
                _, record = read_set(tuned.set_folder("one", optimiser))
            assert set(settled.tried) == {"gd", "adam"}
        assert record.attack["first_step"] == findings.calibration["one"].first_step["adam"]

    @pytest.mark.parametrize("protocol", ["equal-loss", "rmse-term", "equal-rmse", "steps"])
    @pytest.mark.parametrize("kind", KINDS)
    def test_what_an_attack_is_under_a_protocol(self, protocol: str, kind: str) -> None:
        options = TransferOptions.model_validate({"protocol": protocol, "epsilon": 0.2})
        settled = Calibration(loss=2.5, rmse_weight=8.0, first_step=dict.fromkeys(OPTIMISERS, 0.125))
        names = attacks_of(options, ATTACKS)
        assert [name for name in names if name in ATTACKS] == ([] if protocol == "steps" else list(ATTACKS))
        for name in names:
            if name.partition("@")[0] not in OPTIMISERS:
                continue
            attack = attack_under(options, kind, name, settled).model_dump()
            assert (attack["epsilon"], attack["first_step"], attack["variant"]) == (0.2, 0.125, "code")
            assert attack["stop_loss"] == (2.5 if protocol in ("equal-loss", "rmse-term") else None)
            assert attack["rmse_weight"] == (8.0 if protocol == "rmse-term" else 0.0)
            assert attack["stop_rmse"] == (0.5 if protocol == "equal-rmse" else None)
            assert attack["keep"] == ("last" if protocol == "equal-rmse" else "best")
            assert protocol != "steps" or attack["steps"] == int(name.partition("@")[2])


@pytest.mark.long
class TestGoingOn:
    def test_a_stopped_one_goes_on_to_the_same_end(self, experiment: Experiment, lab: Lab, tmp_path: Path) -> None:
        for most in (2, 9, 15, 40, None):
            cancel, seen = Cancel(), 0
            for event in run_transfer(lab.experiment(tmp_path), cancel):
                seen += isinstance(event, Progress)
                if most is not None and seen == most:
                    cancel.request()
            assert isinstance(event, Done)
            assert event.complete is (most is None)
        self.compare(tmp_path, experiment)

    def test_a_killed_one_goes_on_to_the_same_end(self, experiment: Experiment, lab: Lab, tmp_path: Path) -> None:
        script = """
import os, pickle, signal, sys, torch
torch.set_num_threads(1)
from core.events import Progress
from core.studies.transferability.sweep import run_transfer
for event in run_transfer(pickle.loads(bytes.fromhex(sys.argv[1]))):
    if isinstance(event, Progress) and event.text.startswith("adam on two"):
        os.kill(os.getpid(), signal.SIGKILL)
"""
        begun = lab.experiment(tmp_path)
        killed = subprocess.run(
            [sys.executable, "-c", script, pickle.dumps(begun).hex()],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            check=False,
        )
        assert killed.returncode == -signal.SIGKILL
        assert not begun.made_file("two", "adam").exists()
        result(run_transfer(begun))
        self.compare(tmp_path, experiment)

    @pytest.mark.parametrize("engine", ["joblib", "ray"])
    def test_workers_find_the_same(self, engine: Engine, experiment: Experiment, lab: Lab, tmp_path: Path) -> None:
        if engine == "ray":
            pytest.importorskip("ray", reason="Ray is not installed")
        events = list(run_transfer(lab.experiment(tmp_path), workers=Workers(engine, 2)))
        assert isinstance(events[-1], Done)
        assert events[-1].complete
        assert sum(isinstance(event, Note) and "will take about" in event.text for event in events) == 1
        self.compare(tmp_path, experiment)

    def test_a_victim_can_be_added(self, experiment: Experiment, lab: Lab, tmp_path: Path) -> None:
        shutil.copytree(experiment.folder, tmp_path / "more")
        more = lab.experiment(tmp_path / "more", victims=["two", "three", "one"])
        findings: TransferFindings = result(run_transfer(more))
        assert ("two", "gd", "one") in findings.predicted
        assert ("two", "one") in findings.alignment

    def test_samples_that_were_removed_are_made_again_where_they_are_needed(
        self, experiment: Experiment, lab: Lab, tmp_path: Path
    ) -> None:
        """A victim of all attacks on ``two`` is added, and none of those on ``one``."""
        shutil.copytree(experiment.folder, tmp_path / "more")
        for folder in ("equal-loss/sets", "equal-loss/noise", "full-strength/sets"):
            shutil.rmtree(tmp_path / "more" / folder)
        assert Costs(lab.experiment(tmp_path / "more")).left() == 0, "nobody needs them"
        folders = (tmp_path / "more", experiment.folder)
        more, beside = (lab.experiment(folder, victims=["two", "three", "one"]) for folder in folders)
        assert Costs(more).left() > Costs(beside).left() > 0
        result(run_transfer(more))
        assert all(more.samples_path("two", attack).exists() for attack in LAB_ATTACKS)
        assert not any(more.samples_path("one", attack).exists() for attack in LAB_ATTACKS)
        before, after = arrays(experiment.folder), arrays(tmp_path / "more")
        for name in before.keys() & after.keys():
            for column, values in before[name].items():
                np.testing.assert_array_equal(after[name][column], values, err_msg=f"{name} {column}")

    @staticmethod
    def compare(folder: Path, experiment: Experiment) -> None:
        whole = {
            name: part
            for name, part in arrays(experiment.folder).items()
            if name.split("/")[0] not in ("equal-rmse", "rmse-term", "steps")
        }
        resumed = arrays(folder)
        assert resumed.keys() == whole.keys()
        for name, columns in whole.items():
            for column, values in columns.items():
                np.testing.assert_array_equal(resumed[name][column], values, err_msg=f"{name} {column}")


@pytest.mark.long
class TestDamage:
    """A result that is damaged is named, and made again once it has been removed."""

    @pytest.mark.parametrize("part", ["clean", "alignment", "made", "predicted"])
    def test_a_damaged_result_is_named(
        self, part: str, experiment: Experiment, lab: Lab, tmp_path: Path, found: TransferFindings
    ) -> None:
        shutil.copytree(experiment.folder, tmp_path / "damaged")
        damaged = lab.experiment(tmp_path / "damaged")
        path = next(path for path in sorted(damaged.folder.rglob("*.npz")) if part in path.parts)
        path.write_bytes(path.read_bytes()[:200])
        with pytest.raises(FormatError, match=rf"{path.name}: it is damaged; remove it"):
            result(run_transfer(damaged))
        path.unlink()
        again: TransferFindings = result(run_transfer(damaged))
        for key, classes in found.predicted.items():
            np.testing.assert_array_equal(again.predicted[key], classes)


@pytest.mark.long
class TestRefusals:
    def test_another_experiment_in_the_folder(self, experiment: Experiment, lab: Lab) -> None:
        with pytest.raises(FormatError, match=r"begun otherwise \(with epsilon 0\.3\); .*choose another folder"):
            result(run_transfer(lab.experiment(experiment.folder, epsilon=0.2)))
        with pytest.raises(FormatError, match="other options, surrogates or attacks"):
            result(run_transfer(lab.experiment(experiment.folder, attacks=["gd"])))
        changed = with_models(lab.experiment(experiment.folder), two=lab.models["one"])
        with pytest.raises(FormatError, match="begun with another model two"):
            result(run_transfer(changed))

    def test_a_protocol_that_ends_at_other_losses(self, experiment: Experiment, lab: Lab, tmp_path: Path) -> None:
        """Both protocols that end at a loss read one measurement of it, so that it has to fit both."""
        shutil.copytree(experiment.folder, tmp_path / "begun", ignore=shutil.ignore_patterns("rmse-term", "equal-rmse"))
        for changes in ({"loss": 1.0}, {"reached": 0.9}, {"variant": "paper"}):
            with pytest.raises(FormatError, match=f"begun with another {next(iter(changes))}, and rmse-term ends at"):
                result(run_transfer(lab.experiment(tmp_path / "begun", "rmse-term", **changes)))
            lab.experiment(tmp_path / "begun", "equal-rmse", **changes).check()
        with pytest.raises(FormatError, match=r"one\.json: the loss was measured without m-gd"):
            result(run_transfer(lab.experiment(tmp_path / "begun", "rmse-term", attacks=["gd", "m-gd"])))
        assert not (tmp_path / "begun" / "rmse-term").exists()
        lab.experiment(tmp_path / "begun", "rmse-term", attacks=["gd"]).check()

    def test_a_model_that_is_gone_or_was_trained_on_meanwhile(
        self, experiment: Experiment, lab: Lab, tmp_path: Path
    ) -> None:
        shutil.copytree(experiment.folder, tmp_path / "begun")
        shutil.copy(lab.models["two"], tmp_path / "two.safetensors")
        begun = with_models(lab.experiment(tmp_path / "begun"), two=tmp_path / "two.safetensors")
        assert begun.model("two").sha256 == experiment.model("two").sha256
        shutil.copy(lab.models["one"], tmp_path / "two.safetensors")
        with pytest.raises(FormatError, match="begun with another model two"):
            begun.model("two")
        (tmp_path / "two.safetensors").unlink()
        with pytest.raises(ValueError, match=r"two\.safetensors: there is no such file of weights"):
            begun.model("two")

    def test_what_makes_no_experiment(self, lab: Lab, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="no victim of attacks on itself"):
            result(run_transfer(lab.experiment(tmp_path, surrogates=["one"], victims=["one"])))
        with pytest.raises(ValueError, match="needs a surrogate, an attack and a victim"):
            result(run_transfer(lab.experiment(tmp_path, attacks=[])))
        with pytest.raises(ValueError, match="Tuning is judged by the other surrogates"):
            result(run_transfer(lab.experiment(tmp_path, surrogates=["one"], tuning=2)))
        with pytest.raises(ValueError, match="choose an optimiser too"):
            result(run_transfer(lab.experiment(tmp_path, attacks=["pgd", "gaussian", "random-sign"])))
        with pytest.raises(ValueError, match="90000 points were asked for, and the split has 30 clouds of"):
            result(run_transfer(lab.experiment(tmp_path, points=90_000)))
        with pytest.raises(ValueError, match="epsilon: input should be less than or equal to 2 for clouds"):
            result(run_transfer(lab.experiment(tmp_path, epsilon=3)))
        assert not list(tmp_path.rglob("*.json"))

    def test_a_surrogate_that_knows_too_little(self, lab: Lab, tmp_path: Path) -> None:
        toy_run(tmp_path / "run", lab.place.open(), epochs=1, learning_rate=1e-8)
        blind = with_models(
            lab.experiment(tmp_path / "transfer", surrogates=["one"], victims=["two"], held_out=4),
            one=tmp_path / "run" / BEST,
        )
        with pytest.raises(ValueError, match="of 4 held-out samples right, and 4 are needed"):
            result(run_transfer(blind))


@given(seed=st.integers(0, 99), size=st.floats(0, 0.999), most=st.floats(0.01, 5))
def test_noise_is_cut_to_an_rmse(seed: int, size: float, most: float) -> None:
    noise = np.random.default_rng(seed).standard_normal((3, 7, 3))
    cut = cut_noise(noise, np.full(3, size * most), most)
    assert np.abs(cut).max() <= most
    np.testing.assert_allclose(np.sqrt(np.square(cut).mean((1, 2))), size * most, rtol=1e-6, atol=1e-12)
    assert (np.sign(cut) * np.sign(noise) >= 0).all()


@given(seed=st.integers(0, 99), size=st.floats(0, 1))
def test_noise_of_images_is_cut_at_their_range_too(seed: int, size: float) -> None:
    random = np.random.default_rng(seed)
    clean, noise = random.uniform(0, 1, (3, 1, 4, 4)), random.standard_normal((3, 1, 4, 4))
    cut = cut_noise(noise, np.full(3, size * 0.1), 0.1, -clean, 1 - clean)
    assert np.abs(cut).max() <= 0.1
    assert ((clean + cut > -1e-12) & (clean + cut < 1 + 1e-12)).all()
    reachable = np.where(noise > 0, np.minimum(1 - clean, 0.1), np.minimum(clean, 0.1))
    most = np.sqrt(np.square(reachable).mean((1, 2, 3)))
    found = np.sqrt(np.square(cut).mean((1, 2, 3)))
    np.testing.assert_allclose(found, np.minimum(size * 0.1, most), rtol=1e-6, atol=1e-12)


@pytest.mark.long
def test_made_is_read_back_as_it_was(experiment: Experiment, found: TransferFindings) -> None:
    with np.load(experiment.made_file("one", "gd")) as file:
        assert set(file.files) == {part.name for part in fields(Made)}


class TestTheCommand:
    def words(self, lab: Lab, out: Path) -> list[str]:
        models = {name: str(path.parent) for name, path in lab.models.items()}
        small = {"samples": 9, "points": 32, "epsilon": 0.3, "held-out": 12, "reached": 0.5, "threads": 1}
        words = ["transfer", "--dataset", "folder", "--data-root", str(lab.place.root), "--out", str(out)]
        words += ["--surrogates", models["one"], "--victims", f"{models['two']},{models['three']}"]
        return [*words, *(word for name, value in small.items() for word in (f"--{name}", str(value)))]

    @pytest.mark.long
    def test_it_writes_one_report_on_all_protocols(
        self, lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        words = [*self.words(lab, tmp_path / "out"), "--attacks", "gd,gaussian"]
        shown = answer(capsys, *words, "--protocol", "equal-loss,equal-rmse")
        assert shown["complete"] is True
        report = json.loads((tmp_path / "out/report/report.json").read_text())
        assert list(report["experiments"]) == ["equal-loss", "equal-rmse"]
        assert report["complete"] is True
        assert report["seed"] == 0
        assert set(report["weights"]) == {"one", "two", "three"}
        assert {claim["name"]: claim["verdict"] for claim in report["claims"]}.items() <= shown.items()
        rates = shown["success_rates"]["equal-loss"]["one"]
        assert set(rates) == {"two", "three"}
        assert all(0 <= rate <= 1 for rate in rates.values())
        assert run([*words, "--protocol", "equal-loss"]) == 0
        said = capsys.readouterr().out
        assert f"two {100 * rates['two']:.1f} %  three {100 * rates['three']:.1f} %" in said
        assert "undecided" in said.splitlines()[-1]
        page = Path(shown["report"]).read_text()
        assert "gaussian" in page
        assert {path.name for path in (tmp_path / "out/report/figures").glob("figure*.png")} == {
            f"figure-{number}.png" for number in (1, 2, 3)
        }

    @pytest.mark.long
    def test_it_reports_on_the_protocol_of_steps_alone(
        self, lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        monkeypatch.setattr(protocols, "CHECKPOINTS", (1, 2, 3, 4))
        drawn: list[list[str]] = []
        monkeypatch.setattr(report, "plates", lambda _, samples, *__: drawn.append(list(samples)) or iter(()))
        shown = answer(
            capsys, *self.words(lab, tmp_path / "out"), "--attacks", ",".join(OPTIMISERS), "--protocol", "steps"
        )
        assert shown["complete"] is True
        assert drawn == [["clean", *(f"{name}@4" for name in OPTIMISERS)]]

    def test_all_protocols_are_checked_before_the_first_is_run(
        self, lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        assert run([*self.words(lab, tmp_path / "out"), "--attacks", "pgd", "--protocol", "equal-loss,steps"]) == 1
        assert "needs a surrogate, an attack and a victim" in capsys.readouterr().err
        assert not (tmp_path / "out").exists()

    @pytest.mark.long
    def test_a_model_that_is_named_twice_is_one(
        self, lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        monkeypatch.chdir(lab.models["three"].parent)
        words = [*self.words(lab, tmp_path / "out"), "--attacks", "fgsm"]
        words[words.index("--victims") + 1] = f"{lab.models['two'].parent},.,{lab.models['two'].parent}"
        answer(capsys, *words)
        report = json.loads((tmp_path / "out/report/report.json").read_text())
        assert report["experiments"]["equal-loss"]["victims"] == ["two", "three"]

    def test_two_models_of_one_name_are_refused(
        self, lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        shutil.copytree(lab.models["two"].parent, tmp_path / "one")
        words = self.words(lab, tmp_path / "out")
        words[words.index("--victims") + 1] = str(tmp_path / "one")
        assert run(words) == 2
        assert "A surrogate and a victim would both be called one" in capsys.readouterr().err
        assert not (tmp_path / "out").exists()
