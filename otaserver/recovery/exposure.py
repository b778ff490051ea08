"""How much a stolen key or a bad package reaches, in numbers."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Q, QuerySet

from firmware_store.models import Package, ReleaseItem
from firmware_store.states import PackageState
from otaserver.campaigns.models import Attempt, Campaign
from otaserver.campaigns.states import AssignmentState, CampaignState
from otaserver.director.models import Direction
from otaserver.fleet.models import Vehicle
from otaserver.tenants.models import Tenant

_UNDER_WAY = (CampaignState.SCHEDULED, CampaignState.RUNNING, CampaignState.PAUSED)


@dataclass(frozen=True)
class Exposure:
    """Packages, the campaigns under way that bring one, the vehicles that are ordered to run one, and those that do."""

    packages: int
    campaigns: int
    ordered: int
    running: int

    def __str__(self) -> str:
        return (
            f"{self.packages} packages; {self.campaigns} campaigns under way bring them; {self.ordered} vehicles have "
            f"an order with one, and {self.running} run one"
        )


def packages_of(tenant: Tenant, role: str) -> list[int]:
    """Return the published packages that a release role has signed."""
    rows = Package.objects.filter(tenant=tenant, role=role, state=PackageState.PUBLISHED)
    return list(rows.values_list("pk", flat=True))


def exposure(tenant: Tenant, packages: Iterable[int]) -> Exposure:
    """Return what these packages of a tenant reach now."""
    rows = Package.objects.filter(pk__in=packages)
    hashes = list(rows.values_list("sha256", flat=True))
    names = list(rows.values_list("target_name", flat=True))
    return Exposure(
        packages=len(names),
        campaigns=campaigns_with(tenant, packages).count(),
        ordered=ordered(tenant, names).count(),
        running=Vehicle.objects.filter(tenant=tenant, ecus__installed_sha256__in=hashes).distinct().count(),
    )


def campaigns_with(tenant: Tenant, packages: Iterable[int]) -> QuerySet[Campaign]:
    """Return the campaigns under way, or about to be, whose release has one of these packages.

    A halt may have let go on what stood at vehicles (`hold_offers`): such a campaign still brings it.
    """
    releases = ReleaseItem.objects.filter(package__in=packages).values("release")
    brings = Q(state__in=_UNDER_WAY) | Q(state=CampaignState.HALTED, keeps_orders=True)
    return Campaign.objects.filter(brings, tenant=tenant, release__in=releases).order_by("pk")


def ordered(tenant: Tenant, target_names: Iterable[str]) -> QuerySet[Direction]:
    """Return the directions whose order names one of these targets."""
    named = Q(pk__in=[])
    for name in target_names:
        named |= Q(content__targets__has_key=name)
    return Direction.objects.filter(named, vehicle__tenant=tenant)


def installing(tenant: Tenant, target_names: Iterable[str]) -> int:
    """Return how many of the vehicles with such an order are installing it, which nobody interrupts."""
    attempts = ordered(tenant, target_names).values("attempt_id")
    open_attempts = Attempt.objects.filter(pk__in=attempts, closed_at=None)
    return open_attempts.filter(assignment__state=AssignmentState.INSTALLING).count()
