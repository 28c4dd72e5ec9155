"""python -m training [--check]: makes model.pkl, the catalogue, polar.onnx, the metrics and the picture from real airfoils.

Exit code: 0 every bound is met (and, with --check, the committed files are the same bytes), 1 not so, 2 could not look.
"""

import argparse
import os
import sys
import time

# Before numpy is imported: one thread and AVX2 kernels only, so that every x86-64 processor since 2013 rounds alike.
os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OPENBLAS_CORETYPE": "Haswell"}
os.environ |= {"NPY_DISABLE_CPU_FEATURES": "X86_V4,AVX512_ICL", "ORT_DISABLE_TELEMETRY": "1"}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m training", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; compare with the committed files")
    check, start = parser.parse_args().check, time.monotonic()
    try:
        from training.run import ROOT, make

        made = make(lambda message: print(f"{time.monotonic() - start:5.0f} s  {message}", flush=True))
        differs = made.differences(ROOT) if check else made.write(ROOT)
    except (ImportError, OSError, ValueError) as problem:
        print(f"training: {problem}; scripts/train makes the environment it needs", file=sys.stderr)
        return 2
    for path, content in made.files.items():
        print(f"{'differs' if path in differs else 'same bytes' if check else 'wrote'}: {path}, {len(content):,} bytes")
    for bound in made.missed:
        print(bound)
    print("does not hold" if made.missed or differs else "holds: every bound is met")
    return 1 if made.missed or differs else 0


if __name__ == "__main__":
    sys.exit(main())
