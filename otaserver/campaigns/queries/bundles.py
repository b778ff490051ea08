"""Releases and vehicles in the form that the matching rules judge."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter
from typing import Any

from firmware_store.models import Package, Release, ReleaseItem
from firmware_store.states import PackageState
from otaserver.campaigns.queries import block_lists
from otaserver.campaigns.rules import capabilities, stepping
from otaserver.campaigns.rules.matching import Bundle, Candidate, Computer, Condition, Item, Software
from otaserver.fleet.models import Ecu, Vehicle
from otaserver.tenants.models import Tenant

CHUNK = 2000
ITEM_COLUMNS = (
    "package_id",
    *(f"package__{name}" for name in ("name", "version", "target_name", "sha256", "hardware_ids", "release_counter")),
    "position",
)


@dataclass(frozen=True)
class ReleaseView:
    """A release as the rules judge it, with the packages that orders are made of, by id."""

    release: Release
    bundle: Bundle
    packages: Mapping[int, Package]
    # Its stepping stones, the earliest first.
    stones: Sequence["ReleaseView"] = ()

    @property
    def chain(self) -> list["ReleaseView"]:
        """Return the stones and, last, the release itself."""
        return [*self.stones, self]

    @property
    def longest_hop(self) -> int:
        """Return how many bytes one order asks for at most: a stepping stone has an order of its own."""
        return max(sum(package.length for package in hop.packages.values()) for hop in self.chain)

    def route(self, vehicle: Candidate) -> stepping.Route:
        """Return a vehicle's next hop towards this release; see `rules.stepping`."""
        return stepping.route([hop.bundle for hop in self.chain], vehicle)

    @property
    def label(self) -> str:
        """Return the name by which orders call it."""
        return f"{self.release.name} {self.release.version}"

    @property
    def unpublished(self) -> list[str]:
        """Return the packages of it, and of its stones, that may not be installed: never published, or withdrawn."""
        needed = [package for hop in self.chain for package in hop.packages.values()]
        return sorted({str(p) for p in needed if p.state != PackageState.PUBLISHED})


@dataclass(frozen=True)
class VehicleView:
    """A vehicle as the rules judge it, with what an order needs to be numbered."""

    pk: int
    vehicle_id: str
    # What its client calls itself.
    client: str
    candidate: Candidate


def release_view(release: Release) -> ReleaseView:
    """Read a release with its packages and conditions, in two queries; in three more for each stepping stone."""
    stone = release.stepping_stone
    stones = [] if stone is None else release_view(stone).chain
    rows = list(release.items.select_related("package"))
    items = [item(_columns(row)) for row in rows]
    conditions = [Condition(row.kind, row.package_name, frozenset(row.versions)) for row in release.conditions.all()]
    packages = {row.package_id: row.package for row in rows}
    return ReleaseView(release, Bundle(items, conditions), packages, stones)


@dataclass(frozen=True)
class Contents:
    """What some releases consist of: the items of each, by its row's id, and all their packages, by theirs."""

    items: Mapping[int, Sequence[Item]]
    packages: Mapping[int, Package]


def contents_of(releases: Collection[int]) -> Contents:
    """Read what releases consist of, in one query: what a proof is held against."""
    items: dict[int, list[Item]] = {release: [] for release in releases}
    packages: dict[int, Package] = {}
    if items:
        for row in ReleaseItem.objects.filter(release__in=items).select_related("package"):
            items[row.release_id].append(item(_columns(row)))
            packages[row.package_id] = row.package
    return Contents(items, packages)


def item(values: Sequence[Any]) -> Item:
    """Return one package of a release from its `ITEM_COLUMNS`, as a query has read them from its item."""
    package_id, name, version, target_name, sha256, hardware_ids, counter, position = values
    return Item(package_id, name, version, target_name, sha256, frozenset(hardware_ids), counter, position)


def _columns(row: ReleaseItem) -> list[Any]:
    return [attrgetter(column.replace("__", "."))(row) for column in ITEM_COLUMNS]


def vehicle_views(tenant: Tenant, vehicles: Sequence[int]) -> Iterator[VehicleView]:
    """Read vehicles by their rows' ids, a chunk at a time, in the order of the ids given."""
    software = KnownSoftware(tenant)
    lists = block_lists.block_lists(tenant)
    pending = iter(vehicles)
    while chunk := list(islice(pending, CHUNK)):
        ecus = _ecus(chunk)
        listed = block_lists.listed(lists, chunk)
        rows = {
            row[0]: row
            for row in Vehicle.objects.filter(pk__in=chunk).values_list(
                "pk", "vehicle_id", "enrolled_at", "blocked_at", "protocol", "client"
            )
        }
        for pk, vehicle_id, enrolled_at, blocked_at, protocol, client in (rows[pk] for pk in chunk if pk in rows):
            found = ecus[pk]
            computers = [Computer(serial, hw, sha256, software.of(name, sha256)) for serial, hw, name, sha256 in found]
            candidate = Candidate(
                computers,
                is_enrolled=enrolled_at is not None,
                is_blocked=blocked_at is not None,
                block_list=listed.get(pk, ""),
                protocol=protocol,
                takes_one=capabilities.takes_one(protocol, client),
            )
            yield VehicleView(pk, vehicle_id, client, candidate)


def _ecus(vehicles: Sequence[int]) -> dict[int, list[tuple[str, str, str, str]]]:
    found: dict[int, list[tuple[str, str, str, str]]] = defaultdict(list)
    for vehicle, *ecu in Ecu.objects.filter(vehicle__in=vehicles).values_list(
        "vehicle_id", "serial", "hardware_id", "installed_target", "installed_sha256"
    ):
        found[vehicle].append((ecu[0], ecu[1], ecu[2], ecu[3]))
    return found


class KnownSoftware:
    """The tenant's packages by what a manifest tells of them.

    The same bytes may be published under several names (signed again as a roll-back): where the name does not tell, the
    highest release counter is taken, which bars rather than breaks.
    """

    def __init__(self, tenant: Tenant) -> None:
        self._by_name: dict[tuple[str, str], Software] = {}
        self._by_digest: dict[str, Software] = {}
        rows = Package.objects.filter(tenant=tenant, state__in=[PackageState.PUBLISHED, PackageState.WITHDRAWN])
        for target_name, sha256, name, version, counter, pk in rows.values_list(
            "target_name", "sha256", "name", "version", "release_counter", "pk"
        ).order_by("release_counter", "pk"):
            self._by_name[target_name, sha256] = self._by_digest[sha256] = Software(name, version, counter, pk)

    def of(self, target_name: str, sha256: str) -> Software | None:
        return self._by_name.get((target_name, sha256)) or self._by_digest.get(sha256)
