"""python -m batch.process GIVEN: a worker. How does it begin, and how does it end, in the least time?

GIVEN: what its driver was asked for, as JSON. It reads no command line, waits for nothing that it does not need, and does not
take apart what the end of the process removes.
"""

import atexit
import gc
import json
import os
import signal
import sys
from argparse import Namespace

from serving.guard import refuse_unpickling


def command(given: Namespace) -> list[str]:
    """Workers plan as they would alone, so they are told all that was asked."""
    told = {name: value for name, value in vars(given).items() if name != "run"}
    return [sys.executable, "-m", "batch.process", json.dumps(told)]


def main() -> int:
    refuse_unpickling()
    # It ends with its driver's pipe; a signal for the whole group is the driver's to handle.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # What is loaded now stays until the end, so it need not be looked through for what may go.
    gc.disable()
    from batch import worker

    gc.freeze()
    gc.enable()
    return worker.work(Namespace(**json.loads(sys.argv[1])))


if __name__ == "__main__":
    code = main()
    # Who asked to be told of the end is told; what is loaded need not be unloaded.
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
