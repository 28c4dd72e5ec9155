"""Polars streams frames through a function."""

import sys

import polars as pl
from shard import opened

source, out, model = sys.argv[1:4]


def answer(frame: pl.DataFrame) -> pl.DataFrame:
    rows = frame["X"].explode().to_numpy().reshape(-1, 130)
    answers = opened(model).run(None, {"X": rows})[0]
    return pl.DataFrame({"id": frame["id"], "Y": pl.Series(answers, dtype=pl.Array(pl.Float32, 32))})


schema = {"id": pl.Int64, "Y": pl.Array(pl.Float32, 32)}
pl.scan_parquet(f"{source}/*.parquet").map_batches(answer, schema=schema, streamable=True).sink_parquet(f"{out}/all.parquet")
