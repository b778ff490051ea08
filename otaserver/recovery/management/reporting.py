"""What a restore has done, in lines."""

from collections.abc import Iterable, Iterator

from otaserver.recovery.operations import Recovered


def lines(recovered: Iterable[Recovered], unknown: Iterable[str]) -> Iterator[str]:
    """Yield what was done for each tenant, and what is left to do by hand."""
    for one in recovered:
        yield (
            f"{one.tenant}: versions go on above {one.floor}; {len(one.adopted)} signed files taken back; "
            f"{len(one.packages.published)} packages published and {len(one.packages.withdrawn)} withdrawn since; "
            f"{one.vehicles} vehicles are asked what they run."
        )
        yield from (f"{one.tenant}: the file of {name} is not stored; send it again." for name in one.packages.missing)
    yield from (
        f"{name}: was opened after this database was copied, and is not in it; its vehicles trust its own keys alone."
        for name in unknown
    )
