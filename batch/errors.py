"""Is there something wrong with what was given, or could it not be looked at? Only the second is worth another try."""


class Hopeless(Exception):
    """Exit 1: looked at and refused; the same command would end the same way."""


class Retryable(Exception):
    """Exit 2: could not look, or could not write; the same command goes on from here."""


def sorted_out(error: Exception, where: str, local: bool) -> Hopeless | Retryable:
    """Which of the two an error of a file or a store is. Arrow raises OSError without a number for bad bytes."""
    said = (str(error).splitlines() or [repr(error)])[0]
    if isinstance(error, OSError) and (error.errno is not None or not local):
        return Retryable(f"{where}: {error.strerror or said}")
    return Hopeless(f"{where}: cannot be read: {said}")
