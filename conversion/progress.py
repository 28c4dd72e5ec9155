"""What is being tried just now? One line on a terminal, written over and over, and gone at the end."""

import shutil
import sys

_WIDEST = 200


class Progress:
    """Says nothing where nobody watches."""

    def __init__(self, shown: bool = False) -> None:
        self.shown = shown

    def say(self, text: str) -> None:
        if self.shown:
            columns = min(shutil.get_terminal_size().columns, _WIDEST)
            sys.stderr.write("\r\x1b[K" + text[: columns - 1])
            sys.stderr.flush()

    def end(self) -> None:
        if self.shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


SILENT = Progress()
