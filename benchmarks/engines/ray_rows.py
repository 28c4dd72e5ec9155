"""Ray Data reads, hands on and writes rows."""

import os
import sys

import pyarrow as pa
import ray
from shard import answer


class Answer:
    def __init__(self, model: str) -> None:
        self.model = model

    def __call__(self, table: pa.Table) -> pa.Table:
        batches = [answer(self.model, batch) for batch in table.to_batches()]
        return pa.Table.from_batches(batches)


source, out, model = sys.argv[1:4]
ray.init(num_cpus=2, include_dashboard=False, object_store_memory=1_000_000_000, _temp_dir=os.environ["TMPDIR"])
ray.data.DataContext.get_current().enable_progress_bars = False
rows = ray.data.read_parquet(source)
pool = ray.data.ActorPoolStrategy(size=1)
rows.map_batches(Answer, fn_constructor_args=[model], batch_size=16384, batch_format="pyarrow", compute=pool).write_parquet(out)
