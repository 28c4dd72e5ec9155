"""Is a model of each kind still accepted, and does it answer a stranger's rows?"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_sample_is_accepted_without_a_silent_mismatch() -> None:
    command = [sys.executable, "benchmarks/conversion.py", "--sample"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout.splitlines()[-1] == "30 models, 30 accepted, 0 silent mismatches", done.stdout + done.stderr
    assert done.returncode == 0


def test_an_unknown_name_is_an_error_that_says_so() -> None:
    command = [sys.executable, "benchmarks/conversion.py", "--only", "Ridgee"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "no model is called 'Ridgee'" in done.stderr
