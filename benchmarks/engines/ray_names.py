"""Ray is given the names of files."""

import os
import sys

import ray
from shard import encode

source, out, model = sys.argv[1:4]
ray.init(num_cpus=2, include_dashboard=False, object_store_memory=200_000_000, _temp_dir=os.environ["TMPDIR"])
run = ray.remote(encode)
ray.get([run.remote(source, out, model, name) for name in sorted(os.listdir(source))])
