"""How high a restore raises versions: pure."""

from collections.abc import Iterable

# A mark may be as old as the backup beside which it was kept, or of one host of several: between that and the loss
# nobody was signed for a million times.
STEP = 1_000_000
# Versions are read as 32-bit integers by aktualizr, and numbers of attempts are such in DDI.
HIGHEST = 2**31 - 1 - 2 * STEP


def floor_above(seen: Iterable[int]) -> int | None:
    """Return the round number, at least a million above all of these, above which versions go on; None: there is none.

    What is read as a version of a restored server tells how often it was: the millions.
    """
    highest = max(seen, default=0)
    return None if highest > HIGHEST else (highest // STEP + 2) * STEP
