"""How is an onnxruntime session opened, here and nowhere else?

onnxruntime sends telemetry unless the variable below is set before it is imported, so nothing else may import it.
"""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

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
