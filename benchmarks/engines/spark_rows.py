"""Spark hands Arrow batches to Python."""

import sys
from collections.abc import Iterator

import pyarrow as pa
from pyspark.sql import SparkSession

source, out, model = sys.argv[1:4]
# It takes no list of a fixed size.
KIND = pa.schema({"id": pa.int64(), "Y": pa.list_(pa.float32())})


def answers(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    from shard import answer

    for batch in batches:
        yield answer(model, batch).cast(KIND)


settings = {
    "spark.ui.enabled": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "16384",
}
spark = SparkSession.builder.master("local[2]").config(map=settings).getOrCreate()
spark.read.parquet(source).mapInArrow(answers, "id long, Y array<float>").write.mode("overwrite").parquet(out)
spark.stop()
