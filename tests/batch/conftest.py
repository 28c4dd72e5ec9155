"""Which model and which tables do the tests of batch share?"""

from pathlib import Path

import numpy as np
import pytest

from tests.batch.working import graphs, numbers, parquet, vectors


@pytest.fixture(scope="session")
def linear(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """predict = X @ W, three columns to two."""
    path = tmp_path_factory.mktemp("model") / "linear.onnx"
    path.write_bytes(graphs.linear())
    return path


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four files of 5,000 rows in groups of 250, some rows of which the model refuses: 80 shards with --shard-rows 250."""
    place = tmp_path_factory.mktemp("in")
    for i in range(4):
        rows = numbers(5000)
        rows[[7, 300, 4999], [0, 1, 2]] = np.nan
        parquet(place / f"{i}.parquet", {"part": np.arange(5000) + 10_000 * i, "X": vectors(rows)}, 250)
    return place
