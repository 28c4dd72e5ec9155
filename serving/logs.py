"""How does the server say what happened: one JSON line per event on stderr, readable lines on a terminal.

No line holds anything of an input: an exception is its type and the place it came from, never its text.
"""

import json
import logging
import sys
import time
import traceback
from typing import TextIO

LOGGER = logging.getLogger("unjar")


def event(name: str, *, level: int = logging.INFO, error: BaseException | None = None, **fields: object) -> None:
    if error is not None:
        fields |= described(error)
    fields = {name: value for name, value in fields.items() if value is not None}
    LOGGER.log(level, name, extra={"fields": fields})


def described(error: BaseException) -> dict[str, object]:
    frames = traceback.extract_tb(error.__traceback__)
    where = [f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno} {frame.name}" for frame in frames[-5:]]
    return {"error": type(error).__name__, "where": where}


class _Line(logging.Formatter):
    def fields(self, record: logging.LogRecord) -> dict[str, object]:
        fields = dict(getattr(record, "fields", {}))
        if record.name != LOGGER.name:
            fields["logger"] = record.name
        if record.exc_info and record.exc_info[1] is not None:
            fields |= described(record.exc_info[1])
        return fields


class _Json(_Line):
    def format(self, record: logging.LogRecord) -> str:
        when = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"
        line = {"time": when, "level": record.levelname.lower(), "event": record.getMessage()}
        return json.dumps(line | self.fields(record), default=str)


class _Readable(_Line):
    def format(self, record: logging.LogRecord) -> str:
        when = time.strftime("%H:%M:%S", time.localtime(record.created))
        parts = [f"{key}={value}" for key, value in self.fields(record).items()]
        return " ".join([when, record.levelname.lower(), record.getMessage(), *parts])


def log_to(stream: TextIO = sys.stderr) -> None:
    """Sends every logger of the process to `stream`, libraries from warnings on."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Readable() if stream.isatty() else _Json())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    LOGGER.setLevel(logging.INFO)
    # Requests that a stop has cut off are no failures.
    logging.getLogger("uvicorn.error").addFilter(lambda record: not _is_cancelled(record))
    # uvicorn warns once per malformed request, which would let a client fill the disk.
    logging.getLogger("uvicorn").setLevel(logging.ERROR)


def _is_cancelled(record: logging.LogRecord) -> bool:
    return bool(record.exc_info) and type(record.exc_info[1]).__name__ == "CancelledError"  # type: ignore[index]
