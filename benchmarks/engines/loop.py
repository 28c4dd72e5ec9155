"""python loop.py IN OUT MODEL I N: every Nth file, from I on."""

import os
import sys

from shard import encode

source, out, model, index, total = *sys.argv[1:4], int(sys.argv[4]), int(sys.argv[5])
for name in sorted(os.listdir(source))[index::total]:
    encode(source, out, model, name)
