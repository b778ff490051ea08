import re
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """One kind of record that grows with every day, and for how many days it is kept by default."""

    name: str
    days: int
    description: str


KINDS = {
    kind.name: kind
    for kind in (
        Kind("manifests", 400, "signed manifests; a vehicle's last ones, and those that proved a change, stay"),
        Kind("reports", 1100, "what vehicles reported of orders, once the campaign has ended"),
        Kind("logs", 90, "ends of logs that came with failures"),
        Kind("health", 400, "health readings, once the campaign has ended"),
        Kind("drafts", 90, "what people gave in the steps of a new campaign and did not finish"),
        Kind("imports", 400, "files of vehicles that were taken in, with the lines that were left out"),
    )
}
# Of each vehicle so many manifests stay, however old they are.
MANIFESTS_KEPT = 5


def replacer(known: dict[str, str]) -> Callable[[str], str]:
    """Return a function that replaces each of these names where it stands as a word of its own in a text."""
    # The longest first: a serial may begin with the vehicle's id.
    names = sorted(known, key=len, reverse=True)
    pattern = re.compile(rf"(?<![0-9A-Za-z])({'|'.join(re.escape(name) for name in names)})(?![0-9A-Za-z])")

    def replaced(text: str) -> str:
        return pattern.sub(lambda found: known[found.group(1)], text)

    return replaced
