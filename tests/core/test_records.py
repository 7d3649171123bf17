"""Records: what is written is what is read, whatever happens in between."""

import csv
import hashlib
import json
import math
import os
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.evaluation.tsne import TsneOptions
from core.results.records import (
    append_jsonl,
    plain,
    provenance,
    read_json,
    read_jsonl,
    read_npz,
    sidecar,
    write_csv,
    write_json,
    write_npz,
    write_provenance,
)
from core.runtime.files import FormatError

leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
values = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10)


def test_provenance_tells_what_made_a_result() -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    record = provenance(TsneOptions(seed=7), seed=7, dataset="ab12", weights={"simple": "cd34"}, complete=False)
    assert record["options"] == TsneOptions(seed=7).model_dump()
    assert (record["seed"], record["dataset"], record["weights"]) == (7, "ab12", {"simple": "cd34"})
    assert (record["device"], record["complete"]) == ("cpu", False)
    assert record["versions"]["numpy"] == np.__version__
    assert before <= datetime.fromisoformat(record["time"]) <= datetime.now(UTC)
    assert record["time"].endswith("+00:00")
    assert TsneOptions.model_validate(record["options"]) == TsneOptions(seed=7)


def test_the_provenance_of_a_file_is_beside_it_and_names_the_file_it_belongs_to(tmp_path: Path) -> None:
    table = tmp_path / "map.csv"
    write_csv(table, {"x": [1.0, 2.0]})
    made_with = provenance(TsneOptions(seed=7), seed=7, dataset="ab12")
    write_provenance(table, made_with)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["map.csv", "map.csv.json"]
    record = read_json(sidecar(table))
    digest = hashlib.sha256(table.read_bytes()).hexdigest()
    assert record == {"file": "map.csv", "sha256": digest, **made_with}
    assert table.read_text() == "x\n1.0\n2.0\n", "the table itself is read by any program"


@given(values)
def test_any_plain_value_is_strict_json_and_stays_plain(value: object) -> None:
    once = plain(value)
    assert json.loads(json.dumps(once, allow_nan=False)) == once
    assert plain(once) == once


def test_numbers_of_numpy_are_written_and_those_that_are_not_finite_become_null(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    write_json(
        path,
        {
            "accuracy": np.float64(0.9662),
            "n": np.int64(2874),
            "fooled": np.array([True, False]),
            "radius": np.array([[0.5, np.nan], [np.inf, 1.0]]),
            "loss": math.nan,
            "file": Path("a") / "b",
            "options": TsneOptions(),
        },
    )
    record = read_json(path)
    assert record["accuracy"] == 0.9662
    assert record["n"] == 2874
    assert record["fooled"] == [True, False]
    assert record["radius"] == [[0.5, None], [None, 1.0]]
    assert record["loss"] is None
    assert record["options"]["perplexity"] == 30
    assert "NaN" not in path.read_text(encoding="utf-8")


def test_what_has_no_place_in_a_record_is_refused_and_the_old_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    write_json(path, {"kept": "ε"})
    with pytest.raises(TypeError, match="can't hold a set"):
        write_json(path, {"bad": {1, 2}})
    assert read_json(path) == {"kept": "ε"}
    assert os.listdir(tmp_path) == ["record.json"]


def test_lines_are_appended_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    records = [{"epoch": epoch, "loss": 1 / epoch, "note": "zwölf\n"} for epoch in (1, 2, 3)]
    for record in records:
        append_jsonl(path, record)
    assert read_jsonl(path) == records


@pytest.mark.parametrize("cut", range(1, 20))
def test_a_line_torn_by_a_kill_is_left_out_and_the_next_append_repairs_it(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "metrics.jsonl"
    append_jsonl(path, {"epoch": 1})
    whole = path.read_bytes()
    last = b'{"epoch": 2, "x": 1}'
    path.write_bytes(whole + last[:cut])
    assert read_jsonl(path) == [{"epoch": 1}]
    append_jsonl(path, {"epoch": 2})
    assert read_jsonl(path) == [{"epoch": 1}, {"epoch": 2}]


def test_a_last_line_that_lacks_only_its_end_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"epoch": 1}')
    assert read_jsonl(path) == [{"epoch": 1}]
    append_jsonl(path, {"epoch": 2})
    assert read_jsonl(path) == [{"epoch": 1}, {"epoch": 2}]


def test_a_broken_line_in_the_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"epoch": 1}\n{"epo\n{"epoch": 3}\n', encoding="utf-8")
    with pytest.raises(FormatError, match=r"metrics\.jsonl: line 2 is not JSON"):
        read_jsonl(path)


def test_a_file_that_is_not_json_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "options.json"
    path.write_text('{\n  "seed": 0,\n  oops\n}', encoding="utf-8")
    with pytest.raises(FormatError, match=r"options\.json: line 3 is not JSON"):
        read_json(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FormatError, match="not text in UTF-8"):
        read_json(path)


def test_a_table_keeps_names_text_and_every_digit(tmp_path: Path) -> None:
    path = tmp_path / "coordinates.csv"
    x = np.array([0.1, -1 / 3, np.nan], dtype=np.float32)
    y = np.array([1e-300, 2 / 3, np.inf])
    write_csv(path, {"class": ["a,b", 'say "c"', "ü"], "x": x, "y": y, "adversarial": [True, False, True]})
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["class", "x", "y", "adversarial"]
    assert [row[0] for row in rows] == ["a,b", 'say "c"', "ü"]
    assert [row[1] for row in rows][2] == ""
    np.testing.assert_array_equal(np.float32([row[1] for row in rows[:2]]), x[:2])
    np.testing.assert_array_equal(np.float64([row[2] for row in rows]), y)
    assert [row[3] for row in rows] == ["True", "False", "True"]


def test_no_name_becomes_a_formula_or_a_line_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "records.csv"
    names = ["=1+1", "+1", "-1", "@x", "a\r=1+1", "a\n=1+1", "\x1b[2J", "caf\udce9"]
    numbers = np.linspace(-1, 1, len(names))
    write_csv(path, {"=name": names, "x": numbers, "mixed": np.array([*numbers[:-1], None], dtype=object)})
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["'=name", "x", "mixed"]
    shown = ["'=1+1", "'+1", "'-1", "'@x", r"a\r=1+1", r"a\n=1+1", r"\x1b[2J", r"caf\xe9"]
    assert [row[0] for row in rows] == shown
    np.testing.assert_array_equal(np.float64([row[1] for row in rows]), numbers)
    assert [row[2] for row in rows] == [*(row[1] for row in rows[:-1]), ""]
    assert path.read_bytes().count(b"\n") == len(path.read_text(encoding="utf-8").splitlines()) == 1 + len(names)


def test_columns_of_different_lengths_are_refused_with_their_shapes(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    with pytest.raises(ValueError, match=r"t\.csv: a table needs columns of one length.*x \(3,\), y \(2,\)"):
        write_csv(path, {"x": np.zeros(3), "y": np.zeros(2)})
    with pytest.raises(ValueError, match=r"x \(3, 2\)"):
        write_csv(path, {"x": np.zeros((3, 2))})
    assert not path.exists()


def test_arrays_come_back_as_they_were_and_objects_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "map.npz"
    write_npz(path, {"xy": np.ones((3, 2), np.float32), "classes": ["mug", "table"]})
    with np.load(path) as stored:
        assert stored["xy"].dtype == np.float32
        assert list(stored["classes"]) == ["mug", "table"]
    content = path.read_bytes()
    with pytest.raises(ValueError, match=r"map\.npz: bad holds Python objects"):
        write_npz(path, {"bad": [{}]})
    assert path.read_bytes() == content


def test_npz_files_that_are_damaged_are_named(tmp_path: Path) -> None:
    path = tmp_path / "map.npz"
    with pytest.raises(FormatError, match=r"map\.npz: there is no such file"):
        read_npz(path, ["xy"])
    write_npz(path, {"xy": np.ones((3, 2)), "label": [1, 2, 3]})
    assert list(read_npz(path, ["label", "xy"])) == ["label", "xy"]
    whole = path.read_bytes()
    for content in (whole[:100], b"text", b""):
        path.write_bytes(content)
        with pytest.raises(FormatError, match=r"map\.npz: it is damaged; remove it"):
            read_npz(path, ["xy", "label"])
    path.write_bytes(whole)
    with pytest.raises(FormatError, match="it is damaged"):
        read_npz(path, ["z"])
