"""`parquet`: the two tables of `csv`, typed, for pandas, Arrow, DuckDB or Spark.

    <record>.readings.parquet   <record>.events.parquet

Rules:
- The rows are those of `csv` (`tidy.rows`), column for column.
- `time` and `received` are timestamps in UTC to the microsecond, `seq` is a 64-bit integer, `value` a double; all else
  is text. What is empty there is null here: a bad value, no actor, `broken` of a record that verifies.
- A time or number of a broken record that is none is null as well; `csv` has it as it stands.
- Row groups of bounded size are written as they fill: a record of any length needs the memory of one of each.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from esi_room.audit.export.case import Case
from esi_room.audit.export.files import named, written
from esi_room.audit.export.tidy import TABLES, Row, Table, rows
from esi_room.clock import parse_rfc3339

ROW_GROUP = 50_000
"""Rows: some 2 MB on disk, and some 30 MB while they are gathered."""
_INT64 = 1 << 63


def export(case: Case, to: Path) -> list[Path]:
    """Both tables."""
    paths = [named(case, to, f"{table.name}.parquet") for table in TABLES]
    with ExitStack() as stack:
        files = {}
        for table, path in zip(TABLES, paths, strict=True):
            files[table.name] = stack.enter_context(_File(table, stack.enter_context(written(path)), case))
        for table, row in rows(case):
            files[table.name].add(row)
    return paths


class _File:
    """A table on its way to the disk, a row group at a time."""

    def __init__(self, table: Table, file: BinaryIO, case: Case) -> None:
        types = [_KINDS.get(column, _TEXT) for column in table.columns]
        self._converters = [converter for _, converter in types]
        fields = [pa.field(column, kind) for column, (kind, _) in zip(table.columns, types, strict=True)]
        self._schema = pa.schema(fields, metadata={"record": case.record, "broken": case.broken or ""})
        self._writer = pq.ParquetWriter(file, self._schema, compression="zstd")
        self._rows: list[Row] = []

    def __enter__(self) -> _File:
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()
        self._writer.close()

    def add(self, row: Row) -> None:
        self._rows.append(row)
        if len(self._rows) >= ROW_GROUP:
            self._flush()

    def _flush(self) -> None:
        if not self._rows:
            return
        columns = zip(*self._rows, strict=True)
        arrays = [
            pa.array([convert(value) for value in column], kind)
            for column, convert, kind in zip(columns, self._converters, self._schema.types, strict=True)
        ]
        self._writer.write_batch(pa.record_batch(arrays, schema=self._schema))
        self._rows.clear()


@lru_cache(maxsize=64)  # the readings of one message have the same
def _microseconds(text: str) -> int | None:
    try:
        return parse_rfc3339(text) // 1000
    except (ValueError, OverflowError):
        return None


def _whole(value: int) -> int | None:
    return value if -_INT64 <= value < _INT64 else None


def _double(value: float | None) -> float | None:
    try:
        return None if value is None else float(value)
    except OverflowError:  # an integer of hundreds of digits
        return None


def _text(value: object) -> str | None:
    return None if value in ("", None) else str(value)


_TIMESTAMP = pa.timestamp("us", tz="UTC")
_TEXT: tuple[pa.DataType, Callable[[Any], Any]] = (pa.string(), _text)
_KINDS: dict[str, tuple[pa.DataType, Callable[[Any], Any]]] = {
    "time": (_TIMESTAMP, _microseconds),
    "received": (_TIMESTAMP, _microseconds),
    "seq": (pa.int64(), _whole),
    "value": (pa.float64(), _double),
}
