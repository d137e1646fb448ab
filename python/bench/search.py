"""The questions of `cargo bench -p minutebook-index --bench search`, asked of DuckDB over the same rows as plain Parquet, and both beside each other.

Called by `cargo xtask bench search` with a file of the lines that the benchmark printed.
"""

from __future__ import annotations

import json
import statistics
import sys
import time

import duckdb

WARM = 5


def measured(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[int, float, float]:
    """Rows, and ms of the first time and of the median of the next five."""
    times = []
    rows = 0
    for _ in range(1 + WARM):
        begin = time.perf_counter()
        rows = len(connection.execute(query).fetchall())
        times.append((time.perf_counter() - begin) * 1e3)
    return rows, times[0], statistics.median(times[1:])


def main(path: str) -> None:
    lines = [json.loads(line) for line in open(path, encoding="utf-8") if line.startswith("{")]
    figures = {line["figure"]: line["value"] for line in lines if "figure" in line}
    plain = figures.pop("plain").replace("'", "''")
    for name, value in figures.items():
        print(f"{name:32} {value:>14,}")
    print(f"\n{'ms':38}{'rows':>9}{'cold':>9}{'warm':>9}{'DuckDB':>9}{'warm':>9}{'ratio':>8}")
    for line in lines:
        if "question" not in line:
            continue
        beside = ""
        if line["duckdb"] is not None:
            # A connection of its own: nothing of the question before is in memory.
            with duckdb.connect() as connection:
                connection.execute("SET TimeZone = 'UTC'")
                connection.execute(f"CREATE VIEW rows AS SELECT * FROM read_parquet('{plain}')")
                rows, cold, warm = measured(connection, line["duckdb"])
            if rows != line["rows"] and "limit" not in line["question"]:
                sys.exit(f"{line['question']}: DuckDB finds {rows} rows, we {line['rows']}")
            beside = f"{cold:9.1f}{warm:9.1f}{line['warm_ms'] / warm:8.2f}"
        print(f"{line['question']:38}{line['rows']:9,}{line['cold_ms']:9.1f}{line['warm_ms']:9.1f}{beside}")


if __name__ == "__main__":
    main(sys.argv[1])
