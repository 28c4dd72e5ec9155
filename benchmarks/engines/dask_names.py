"""Dask is given the names of files."""

import os
import sys

import dask
from distributed import Client, LocalCluster
from shard import encode

if __name__ == "__main__":
    source, out, model = sys.argv[1:4]
    dask.config.set({"distributed.worker.memory.target": False, "distributed.worker.memory.spill": False})
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        names = sorted(os.listdir(source))
        client.gather([client.submit(encode, source, out, model, name) for name in names])
