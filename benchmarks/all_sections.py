"""python -m benchmarks.all_sections OUT.npz: every section that the training-only package AeroSandbox brings, for comparison.

No terms are stated for most of them, so none is in the catalogue that ships (training/whitelist.csv says which may be). Writes
heights (n, 130) and family (n,), the letters that a file's name begins with; those nearer than 0.05 % chord to another once.
"""

import re
import sys
from contextlib import suppress

import numpy as np

from recommender.contour import ContourRefused
from training.sources import distinct, folder, heights_of


def main() -> None:
    found: list[tuple[str, np.ndarray]] = []
    for file in sorted(path.name for path in folder().iterdir() if path.name.endswith(".dat")):
        with suppress(ContourRefused):
            found.append((file, heights_of(file)))
    heights = np.array([one for _, one in found])
    kept = distinct(heights)
    families = np.array([(re.match("[a-z]+", found[row][0].lower()) or [""])[0] for row in kept])
    np.savez(sys.argv[1], heights=heights[kept], family=families)


if __name__ == "__main__":
    main()
