"""How is an onnxruntime session opened, here and nowhere else?

onnxruntime sends telemetry unless the variable below is set before it is imported, so nothing else may import it.
"""

import os
from collections.abc import Callable, Mapping
from typing import Any

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
# numpy's own threads would only be in the way of the loop's, and each has its buffers.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import onnxruntime

VERSION: str = onnxruntime.__version__


def open_session(graph: bytes) -> onnxruntime.InferenceSession:
    """A single-threaded CPU session. Raises onnxruntime's own exceptions when the graph cannot be loaded.

    One thread and no spinning: more threads gained nothing up to 1024 rows and cost 20 to 50 % more CPU; scale by
    processes instead.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def shrink(session: onnxruntime.InferenceSession, feeds: Mapping[str, Any]) -> None:
    """After this run its arena gives back what the largest one needed, which malloc_trim cannot reach.

    No arena at all would not do: the pieces that runs of mixed sizes leave behind are never given back under full load, and
    benchmarks/soak.py saw the heap grow to 275 MB in ten minutes.
    """
    options = onnxruntime.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    session.run(None, dict(feeds), options)


def runner(session: onnxruntime.InferenceSession) -> Callable[[list[str], Any], list[Any]]:
    """session.run without the looks at names and types that the signature has taken already: 3 of 14 µs for one row.

    Options that are there need not be made for each run.
    """
    native = getattr(session, "_sess", None)
    if native is None:
        return lambda names, feeds: session.run(names, feeds)
    options = onnxruntime.RunOptions()
    return lambda names, feeds: native.run(names, feeds, options)
