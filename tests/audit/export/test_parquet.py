"""`export --format parquet`: typed, the same rows as `csv`, as pandas and Arrow read them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from esi_room.audit.export import parquet
from esi_room.cli import main


def export(built: Any, to: Path, *more: str, name: str = "parquet") -> Result:
    return CliRunner().invoke(main, ["export", str(built.directory), "--format", name, "--to", str(to), *more])


@pytest.fixture
def to(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.mark.parametrize("table", ["readings", "events"])
def test_it_holds_what_the_csv_holds(built, to, table):
    assert export(built, to).exit_code == 0
    export(built, to, name="csv")
    typed = pd.read_parquet(to / f"{built.record}.{table}.parquet")
    plain = pd.read_csv(to / f"{built.record}.{table}.csv", dtype={"code": "str", "corrected_by": "str"})
    for column in ("time", "received"):
        plain[column] = pd.to_datetime(plain[column], format="ISO8601")
    assert list(typed.columns) == list(plain.columns) and len(typed) == len(plain) > 10
    pd.testing.assert_frame_equal(typed, plain, check_dtype=False)


def test_its_columns_are_typed(built, to):
    export(built, to)
    schema = pq.read_schema(to / f"{built.record}.readings.parquet")
    assert schema.field("time").type == schema.field("received").type == pa.timestamp("us", tz="UTC")
    assert (schema.field("value").type, schema.field("seq").type) == (pa.float64(), pa.int64())


def test_a_value_that_the_device_marked_bad_is_null(built, to):
    export(built, to)
    readings = pd.read_parquet(to / f"{built.record}.readings.parquet")
    spo2 = readings[readings["name"] == "spo2_pct"]
    assert list(spo2["status"]) == ["ok", "invalid", "ok"]
    assert spo2["value"].isna().tolist() == [False, True, False]
    assert int(spo2["seq"].iloc[1]) == built.seqs["invalid"]


def test_a_broken_record_says_so_on_every_row_and_in_the_metadata(broken, to):
    assert export(broken, to).exit_code == 1
    assert not to.exists()
    assert export(broken, to, "--even-if-broken").exit_code == 1
    for path in to.iterdir():
        assert ".BROKEN." in path.name
        assert pd.read_parquet(path)["broken"].str.contains("journal.jsonl").all()
        assert b"journal.jsonl" in (pq.read_schema(path).metadata or {})[b"broken"]


def test_times_and_numbers_of_a_broken_record_that_are_none_are_null(built, to):
    path = built.directory / "journal.jsonl"
    line = next(each for each in path.read_bytes().splitlines() if b'"clinical.pain"' in each)
    wrong = line.replace(b'"time":"2026', b'"time":"once 2026').replace(b'"seq":4', b'"seq":%d' % 10**30)
    assert wrong != line
    path.write_bytes(path.read_bytes() + wrong + b"\n")
    assert export(built, to, "--even-if-broken").exit_code == 1
    events = pd.read_parquet(to / f"{built.record}.BROKEN.events.parquet")
    assert events["time"].isna().sum() <= 1 and len(events) > 20


def test_a_long_table_is_written_in_row_groups(built, to, monkeypatch):
    monkeypatch.setattr(parquet, "ROW_GROUP", 5)
    export(built, to)
    file = pq.ParquetFile(to / f"{built.record}.readings.parquet")
    assert file.num_row_groups > 3
    assert max(file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)) == 5


def test_who_the_patient_is_is_not_in_it(built, to):
    export(built, to, "--identity")
    for path in to.iterdir():
        assert "Muster" not in pd.read_parquet(path).to_csv()


def test_it_is_private_and_the_same_every_time(built, to, tmp_path):
    export(built, to)
    export(built, tmp_path / "again")
    for path in to.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


@pytest.mark.parametrize(("name", "module", "needs"), [("parquet", "parquet", "pyarrow"), ("pdf", "pdf", "reportlab")])
def test_what_is_not_installed_is_said_in_one_sentence(built, to, monkeypatch, name, module, needs):
    for known in [each for each in sys.modules if each.startswith(f"esi_room.audit.export.{module}")]:
        monkeypatch.delitem(sys.modules, known)
    for known in [needs, *(each for each in sys.modules if each.startswith(f"{needs}."))]:
        monkeypatch.setitem(sys.modules, known, None)
    done = export(built, to, name=name)
    assert done.exit_code == 2
    assert done.output == (
        f"Error: the format {name} needs {needs}, which is not installed: pip install 'esi-room[export]'\n"
    )
    assert not to.exists()
