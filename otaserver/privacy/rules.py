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
