"""Is there a PostgreSQL to keep reports in?

Where none is installed the tests keep them in DuckDB alone, and the run says so. In CI (CI=true) that is a failure instead.
"""

from pathlib import Path

import pytest

_PLACES = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True), Path("/usr/local/bin"), Path("/usr/bin")]
PROGRAMS = next((place for place in _PLACES if (place / "initdb").exists() and (place / "postgres").exists()), None)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if PROGRAMS is None:
        terminalreporter.write_line("tests/monitoring: reports were kept in DuckDB alone, no PostgreSQL is installed")
