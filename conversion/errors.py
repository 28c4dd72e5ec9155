"""How can a conversion end without a model, and with which exit code?"""


class Refused(Exception):
    """We looked, and it does not hold. The text says what, where, and what to do."""

    exit_code, prefix = 1, "refused"


class Unreadable(Exception):
    """We could not look."""

    exit_code, prefix = 2, "cannot read"


class NotCovered(Exception):
    """A model that uses what is not written here; the text names it."""
