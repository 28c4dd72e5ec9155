"""Our own command asks a Dask cluster of this machine."""

import subprocess
import sys

from distributed import LocalCluster

if __name__ == "__main__":
    source, out, model = sys.argv[1:4]
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        words = ["encode", source, out, "--model", model, "--id", "id", "--on", f"dask:{cluster.scheduler_address}"]
        subprocess.run([sys.executable, "-m", "batch", *words], check=True)
