"""Daft hands columns to a class in processes of its own."""

import os
import sys

import daft
import pyarrow as pa
from shard import answer

source, out, model = sys.argv[1:4]
KIND = daft.DataType.fixed_size_list(daft.DataType.float32(), 32)


@daft.cls(max_concurrency=2, use_process=True)
class Answer:
    def __init__(self, model: str) -> None:
        self.model = model

    @daft.method.batch(return_dtype=KIND, batch_size=16384)
    def __call__(self, ids: daft.Series, X: daft.Series) -> pa.Array:
        batch = pa.RecordBatch.from_arrays([ids.to_arrow(), X.to_arrow()], ["id", "X"])
        return answer(self.model, batch).column("Y")


answers = Answer(model)
rows = daft.read_parquet(source)
rows.select(rows["id"], answers(rows["id"], rows["X"]).alias("Y")).write_parquet(out)
# Its threads may still run when the interpreter ends, which aborts the process now and then: PyGILState_Release.
os._exit(0)
