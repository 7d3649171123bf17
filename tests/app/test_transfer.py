"""The Transfer workspace: an experiment is started, stopped and continued, its cells fill in and open their clouds."""

from shutil import copy

import numpy as np
import pytest
from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFileDialog

from app.shell import settings, theme
from app.shell.progress import Status
from app.workspaces.transfer_results import MEAN
from core.models.checkpoints import BEST, WEIGHTS
from core.runtime.locks import locked_folder
from core.studies.transferability.attacking import adversarial_samples
from tests.app.inspection import pixels, tooltip, where
from tests.app.window_fixtures import LEFT
from tests.figure_metadata import figure_metadata

SAMPLES, POINTS, HELD_OUT = 12, 64, 12
SURROGATES, VICTIMS = ("pointnet-simple", "pointnet-pgd"), ("pointnet-adversarial", "pointnet-defense")
ATTACKS = ("adam", "fgsm", "random-sign")


@pytest.fixture(scope="module")
def experiments(tmp_path_factory):
    """Folder of the experiments of all tests, which use each other's."""
    return tmp_path_factory.mktemp("experiments")


@pytest.fixture(autouse=True)
def kept(experiments, monkeypatch):
    monkeypatch.setattr(settings, "transfers_dir", lambda: experiments)


@pytest.fixture(autouse=True)
def ended(request):
    """Ends the experiment of a test that has failed."""
    yield
    if "shared_window" in request.fixturenames:
        person = request.getfixturevalue("shared_window")
        panel = person.window.workspaces["transfer"]
        if panel.job is not None:
            panel.job.cancel()
            person.wait_until(lambda: panel.job is None, "the end of the experiment")


def open_tab(person):
    return person.show_workspace("transfer")


def tick(person, chooser, names):
    """Click on the boxes of a list until these names are ticked, and no others."""
    panel = person.window.workspaces["transfer"]
    for row in range(chooser.count()):
        item = chooser.item(row)
        if (item.text() in names) != (item.checkState() is Qt.CheckState.Checked):
            panel._form_area.ensureWidgetVisible(chooser)
            chooser.scrollToItem(item)
            line = chooser.visualItemRect(item)
            box = QRect(line.left(), line.top(), 24, line.height())
            QTest.mouseClick(chooser.viewport(), LEFT, pos=box.center())
    assert set(chooser.ticked) == set(names)


def choose(person, samples=SAMPLES, attacks=ATTACKS):
    """Choose an experiment in a new folder."""
    panel = open_tab(person)
    if panel.setup.new.isVisible():
        person.click(panel.setup.new)
    tick(person, panel.setup.surrogates, SURROGATES)
    tick(person, panel.setup.victims, VICTIMS)
    tick(person, panel.setup.attacks, attacks)
    person.choose(panel.setup.protocol, "equal-loss")
    for field, value in {"samples": samples, "points": POINTS, "held_out": HELD_OUT}.items():
        person.type_option(panel.setup.form, field, str(value))
    return panel


def made(person):
    """The tab with a complete experiment, which is run once."""
    panel = person.window.workspaces["transfer"]
    measures = panel.results.measures
    if measures is None or not panel._complete or measures.findings.attacks != ATTACKS or panel.job is not None:
        choose(person)
        person.click(panel.start)
        person.wait_until(lambda: panel.job is None, "the experiment")
    open_tab(person)
    show_map(person, MEAN)
    return panel


def show_map(person, text):
    person.choose(person.window.workspaces["transfer"].results.attack, text)


def click_cell(person, surrogate, victim):
    heat_map = person.window.workspaces["transfer"].results.map
    place = heat_map.cell(SURROGATES.index(surrogate), VICTIMS.index(victim)).center()
    QTest.mouseClick(heat_map, LEFT, pos=place)


def test_a_sweep_fills_its_map_with_success_rates(person, shot):
    panel = choose(person)
    assert panel.start.text() == "Start"
    assert "A new folder in" in panel.setup.folder.text()
    person.wait_until(lambda: "It will take about" in panel.status.text(), "the time before the start")
    shot(person.window, "transfer-before")
    person.click(panel.start)
    assert panel.pause.hasFocus(), "it has taken the place of the button that was pressed"
    assert not panel.setup.isEnabled()
    person.wait_until(lambda: panel.job is None, "the experiment")
    assert panel.status.text().startswith("Done.")
    assert panel.shown.folder.parent == settings.transfers_dir()
    assert (panel.start.text(), panel.start.isEnabled()) == ("Start", False)
    for attack in ATTACKS:
        show_map(person, attack)
        assert panel.results.map._rates == pytest.approx(rates(panel.shown, attack))
    show_map(person, MEAN)
    expected = np.mean([rates(panel.shown, attack) for attack in ATTACKS], axis=0)
    assert panel.results.map._rates == pytest.approx(expected)
    assert f"pointnet-simple → pointnet-defense {100 * expected[0, 1]:.0f}" in panel.results.map.accessibleDescription()
    shot(person.window, "transfer")


def rates(experiment, attack):
    """Success rates (surrogates, victims), from the files of an experiment."""
    data = experiment.dataset.open()
    label = data.split("test").labels[experiment.rows]

    def classes(path):
        return np.load(path)["prediction"]

    table = np.empty((len(SURROGATES), len(VICTIMS)))
    for row, surrogate in enumerate(SURROGATES):
        for column, victim in enumerate(VICTIMS):
            among = np.load(experiment.made_file(surrogate, attack))["matched"]
            for model in (surrogate, victim):
                among = among & (classes(experiment.clean_file(model)) == label)
            wrong = classes(experiment.predicted_file(surrogate, attack, victim)) != label
            table[row, column] = wrong[among].mean()
    return table


def test_a_cell_opens_its_clouds_with_both_verdicts(person, shot):
    panel = made(person)
    show_map(person, "fgsm")
    before = pixels(person.window.pair.adversarial)
    click_cell(person, "pointnet-pgd", "pointnet-defense")
    experiment, sample = panel.shown, panel.results._samples[0]
    scene = person.wait_for_scene()
    assert np.array_equal(scene.points, adversarial_samples(experiment, "pointnet-pgd", "fgsm")[sample.number])
    clean = experiment.dataset.open().split("test").points[experiment.rows[sample.number]]
    assert np.array_equal(scene.setup.cloud.points, clean[:POINTS])
    names = [model.name for model in scene.setup.models]
    assert names[scene.setup.primary] == "pointnet-pgd"
    findings = panel.results.measures.findings
    verdict = scene.adversarial_confidence.argmax(1)
    assert verdict[scene.setup.primary] == findings.made["pointnet-pgd", "fgsm"].prediction[sample.number]
    said = findings.predicted["pointnet-pgd", "fgsm", "pointnet-defense"][sample.number]
    assert verdict[names.index("pointnet-defense")] == said != findings.label[sample.number]
    assert (
        f"victim pointnet-defense: {findings.classes[findings.label[sample.number]]}" in panel.results.verdicts.text()
    )
    assert f"{findings.classes[said]} ✗" in panel.results.verdicts.text()
    now = theme.current()
    assert (pixels(person.window.pair.adversarial) != before).any()
    assert where(person.window.pair.clean, now.clean, 60).any()
    assert where(person.window.pair.adversarial, now.adv, 60).any()
    shot(person.window, "transfer-cell")
    count = len(panel.results._samples)
    assert panel.results.pager.text.endswith(f"fooled: 1 of {count} sample{'s' if count > 1 else ''}")


def test_the_map_and_its_samples_are_reached_by_keys(person):
    panel = made(person)
    heat_map = panel.results.map
    heat_map.setFocus()
    for key in (Qt.Key.Key_Up, Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Down, Qt.Key.Key_Down):
        QTest.keyClick(heat_map, key)
    assert heat_map.current == (1, 1)
    assert panel.results.title.text() == "Attacks through the surrogate pointnet-pgd, mean over its victims"
    QTest.keyClick(heat_map, Qt.Key.Key_Return)
    first, second = panel.results._samples[:2]
    person.wait_for_scene()
    QTest.keyClick(heat_map, Qt.Key.Key_PageDown)
    scene = person.wait_for_scene()
    made_of_it = adversarial_samples(panel.shown, "pointnet-pgd", second.attack)
    assert np.array_equal(scene.points, made_of_it[second.number])
    QTest.keyClick(heat_map, Qt.Key.Key_PageUp)
    scene = person.wait_for_scene()
    assert np.array_equal(scene.points, adversarial_samples(panel.shown, "pointnet-pgd", first.attack)[first.number])


def test_steps_and_slider_go_on_from_an_opened_cloud(person):
    made(person)
    show_map(person, "adam")
    click_cell(person, "pointnet-simple", "pointnet-adversarial")
    opened = person.wait_for_scene()
    assert person.window.attack.preset.currentData() == "adam"
    person.press(Qt.Key.Key_R)
    person.wait_until(lambda: np.array_equal(person.store.scene.points, opened.setup.cloud.points), "the clean cloud")
    for _ in range(2):
        person.press(Qt.Key.Key_N)
        person.wait_until(lambda: np.array_equal(person.store.scene.points, opened.points), "it, and no step beyond it")
    person.press_slider(0.1)
    rescaled = person.drag_slider(0.05)
    moves, half = (scene.points - scene.setup.cloud.points for scene in (opened, rescaled))
    assert half == pytest.approx(moves * rescaled.epsilon / opened.epsilon, abs=1e-5)
    scene = person.release_slider()
    assert scene.epsilon == pytest.approx(0.05, abs=0.003), "a pixel of the narrow groove"
    assert scene.distances.linf <= scene.epsilon + 1e-6
    assert scene.state.step >= 1


def test_an_opened_cloud_tells_no_seed_until_the_attack_is_made_here(person):
    made(person)
    show_map(person, "adam")
    click_cell(person, "pointnet-simple", "pointnet-adversarial")
    opened, action = person.wait_for_scene(), person.window.actions_["copy_command"]
    assert "made elsewhere on pointnet-simple" in opened.caption
    assert "seed" not in opened.caption
    assert opened.provenance()["seed"] is None
    person.store.set_shown("pointnet-pgd", "pointnet-pgd" not in person.store.shown)
    shown = person.wait_for_scene()
    assert np.array_equal(shown.points, opened.points)
    assert shown.setup.made_elsewhere, "by whatever models it is judged"
    person.leave_work()
    QGuiApplication.clipboard().setText("before")
    action.trigger()
    assert QGuiApplication.clipboard().text() == "before"
    assert any("made elsewhere" in text for text in person.messages())
    assert not person.window.actions_["step"].isEnabled(), "it is what the attack came to"
    person.window.actions_["run_to_end"].trigger()
    person.wait_until(lambda: person.settled() and not person.store.scene.setup.made_elsewhere, "the attack made here")
    own = person.store.scene
    assert len(person.store.history) == 1 + own.step > 2
    assert own.provenance()["seed"] == 0
    action.trigger()
    assert QGuiApplication.clipboard().text().startswith("pointward attack ")
    open_tab(person)
    click_cell(person, "pointnet-simple", "pointnet-adversarial")
    person.wait_until(lambda: person.settled() and person.store.scene.setup.made_elsewhere, "the opened cloud again")
    person.window.actions_["run_to_end"].trigger()
    person.wait_until(lambda: person.settled() and not person.store.scene.setup.made_elsewhere, "the same attack again")
    assert np.array_equal(person.store.scene.points, own.points)


def number_in(table, row, column):
    return float(table.model().index(row, column).data().split("\u2009")[0])


def test_the_table_lists_the_attacks_and_shows_the_map_of_one(person):
    panel = made(person)
    table, measures = panel.results.table, panel.results.measures
    rows = {table.model().index(row, 0).data(): row for row in range(table.model().rowCount())}
    assert list(rows) == list(ATTACKS)
    surrogate = panel.results.surrogate
    shown = number_in(table, rows["fgsm"], 1)
    assert shown == pytest.approx(100 * measures.asr(surrogate, "fgsm")[0], rel=5e-3)
    assert number_in(table, rows["fgsm"], 3) == pytest.approx(measures.distance(surrogate, "fgsm")[0], rel=5e-3)
    table.setFocus()
    table.setCurrentIndex(table.model().index(rows["fgsm"], 0))
    QTest.keyClick(table, Qt.Key.Key_Return)
    assert panel.results.attack.currentText() == "fgsm"
    assert "% [" in tooltip(panel.results.map, panel.results.map.cell(0, 0).center())


def test_an_experiment_is_paused_stopped_and_continued(person, shot):
    panel = choose(person, samples=24, attacks=("adam", "adabelief", "fgsm"))
    person.click(panel.start)
    job = panel.job
    person.wait_until(lambda: panel.results.measures and panel.results.measures.progress()[0], "the first cells")
    person.click(panel.pause)
    person.wait_until(lambda: job.suspended, "the rest")
    assert panel.pause.text() == "Resume"
    shot(person.window, "transfer-paused")
    done, planned = panel.results.measures.progress()
    assert 0 < done < planned
    person.click(panel.pause)
    person.wait_until(lambda: job.status is Status.RUNNING and not job.suspended, "its going on")
    person.click(panel.stop)
    person.wait_until(lambda: panel.job is None, "the end")
    assert job.status is Status.STOPPED
    assert panel.status.text().startswith("Stopped.")
    folder, experiment = panel.shown.folder, panel.shown
    done = panel.results.measures.progress()[0]
    assert done < planned
    first = experiment.made_file("pointnet-simple", "adam")
    written = first.stat().st_mtime_ns
    assert panel.start.text() == "Continue"
    assert "Goes on in" in panel.setup.folder.text()
    person.click(panel.start)
    person.wait_until(lambda: panel.job is None, "the rest of the experiment")
    assert panel.shown.folder == folder
    assert panel.results.measures.progress() == (planned, planned)
    assert first.stat().st_mtime_ns == written, "what was done is not done again"


def test_other_settings_start_in_a_new_folder_and_the_old_one_can_be_opened(person, monkeypatch):
    panel = made(person)
    folder, rates_before = panel.shown.folder, panel.results.map._rates
    person.type_option(panel.setup.form, "samples", "8")
    assert panel.stale.isVisible()
    assert panel.start.text() == "Start"
    assert "A new folder" in panel.setup.folder.text()
    tick(person, panel.setup.attacks, ("gd",))
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(folder))
    person.click(panel.setup.choose)
    person.wait_until(lambda: panel.setup.goes_on() and not person.busy(), "the experiment")
    assert panel.setup.form.value().samples == SAMPLES
    assert panel.setup.attacks.ticked == ATTACKS
    assert panel.results.map._rates == pytest.approx(rates_before)
    assert panel.stale.isHidden()


def test_another_protocol_goes_into_the_same_folder(person):
    panel = made(person)
    person.choose(panel.setup.protocol, "equal-rmse")
    assert panel.start.text() == "Continue"
    assert panel.start.isEnabled()
    assert panel.stale.isVisible()
    tick(person, panel.setup.surrogates, SURROGATES[:1])
    assert panel.start.text() == "Start"
    tick(person, panel.setup.surrogates, SURROGATES)
    person.choose(panel.setup.protocol, "equal-loss")
    assert not panel.start.isEnabled(), "all of it is done"
    assert panel.stale.isHidden()


def test_models_of_a_folder_of_runs_are_added(person, monkeypatch, tmp_path):
    panel = open_tab(person)
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        copy(WEIGHTS / "pointnet-simple.safetensors", tmp_path / name / BEST)
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path))
    person.click(panel.setup.add)
    tick(person, panel.setup.surrogates, ("second",))
    assert panel.setup.experiment().models["second"] == tmp_path / "second" / BEST
    assert "first" in panel.setup.candidates
    tick(person, panel.setup.surrogates, SURROGATES)


def test_what_goes_wrong_is_said_in_the_panel(person, monkeypatch, tmp_path):
    panel = choose(person)
    (tmp_path / "letter.txt").write_text("no experiment")
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path))
    person.click(panel.setup.choose)
    assert panel.error.isVisible()
    assert "holds other files: choose an experiment" in panel.error.text()
    (tmp_path / "letter.txt").unlink()
    person.click(panel.setup.choose)
    assert panel.error.isHidden()
    person.click(panel.setup.add)
    assert "holds no trained model" in panel.error.text()
    with locked_folder(tmp_path):
        person.click(panel.start)
        person.wait_until(lambda: panel.job is None, "the end")
        assert "is in use by another job" in panel.error.text()
        assert person.pop_errors() == [panel.error.text()]
    panel.results.set_findings(None)


def test_the_panel_says_what_is_missing(person, shot):
    panel = open_tab(person)
    choose(person)
    tick(person, panel.setup.victims, ())
    assert panel.status.text() == "Tick at least one victim."
    assert not panel.start.isEnabled()
    tick(person, panel.setup.surrogates, ("pointnet-simple",))
    tick(person, panel.setup.victims, ("pointnet-simple",))
    assert panel.status.text().startswith("A model is no victim of attacks on itself")
    tick(person, panel.setup.victims, VICTIMS)
    tick(person, panel.setup.attacks, ("fgsm",))
    assert panel.start.isEnabled()
    person.choose(panel.setup.protocol, "steps")
    assert panel.status.text() == "Tick an optimiser: the protocol steps is about them."
    assert "1, 3, 10, 30 and 100" in panel.setup.meaning.text()
    panel.results.set_findings(None)
    QApplication.processEvents()
    shot(person.window, "transfer-missing")
    person.choose(panel.setup.protocol, "equal-loss")
    assert not panel.status.text()


def test_the_map_is_exported_as_a_figure(person, monkeypatch, tmp_path):
    panel, path = made(person), tmp_path / "map.png"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
    panel.export.menu().actions()[1].trigger()
    title, made_with = figure_metadata(path)
    assert title.startswith("Success rate of transfer attacks")
    assert made_with["options"]["samples"] == SAMPLES
    assert set(made_with["weights"]) == {*SURROGATES, *VICTIMS}


@pytest.mark.long
def test_the_report_is_written(person):
    panel = made(person)
    panel.export.menu().actions()[0].trigger()
    person.wait_until(lambda: "The report is" in panel.status.text(), "the report", 120)
    assert (panel.shown.folder / "report" / "report.html").is_file()


def test_it_is_legible_with_more_space_in_either_theme(person, shot):
    panel = made(person)
    person.press(Qt.Key.Key_F10)
    for scheme in ("dark", "light"):
        theme.apply(QApplication.instance(), scheme)
        QApplication.processEvents()
        shot(person.window, f"transfer-maximised-{scheme}")
        assert panel.results.map.cell(1, 1).bottom() < panel.results.map.height()
    theme.apply(QApplication.instance(), "dark")
    person.press(Qt.Key.Key_F10)
