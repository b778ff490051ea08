"""What a vehicle's owner is asked about before anything is ordered: for clients that ask, and could not wait."""

from collections.abc import Sequence
from dataclasses import dataclass

from firmware_store.models import Release
from otaserver.campaigns.models import Assignment
from otaserver.campaigns.rules.consent import WITHHELD_FOR_CONSENT
from otaserver.campaigns.states import AssignmentState, CampaignState
from otaserver.fleet.models import Vehicle

# Of the release's notes the owner is shown those in this language, or else the first by its tag.
LANGUAGE = "en"


@dataclass(frozen=True)
class AwaitedConsent:
    """One question. `length` is that of all packages that fit the vehicle; `text` is empty where there are no notes."""

    assignment_id: int
    campaign: str
    length: int
    language: str
    text: str


def awaited_consents(vehicle: Vehicle) -> Sequence[AwaitedConsent]:
    """Return the orders of a vehicle that are kept back until its owner agrees, oldest campaign first."""
    rows = Assignment.objects.filter(
        vehicle=vehicle,
        state=AssignmentState.WAITING,
        code=WITHHELD_FOR_CONSENT,
        campaign__state=CampaignState.RUNNING,
    )
    return [awaited(row, vehicle) for row in rows.select_related("campaign__release").order_by("campaign")]


def awaited(assignment: Assignment, vehicle: Vehicle) -> AwaitedConsent:
    """Return what the owner is asked for an assignment."""
    release = assignment.campaign.release
    hardware = set(vehicle.ecus.values_list("hardware_id", flat=True))
    items = release.items.values_list("package__length", "package__hardware_ids")
    length = sum(size for size, hardware_ids in items if hardware & set(hardware_ids))
    language, text = _text(release)
    return AwaitedConsent(assignment.pk, assignment.campaign.name, length, language, text)


def _text(release: Release) -> tuple[str, str]:
    language = LANGUAGE if LANGUAGE in release.notes else min(release.notes, default=LANGUAGE)
    return language, release.notes.get(language, "")
