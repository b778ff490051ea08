"""Judging a group before there is a campaign: who would take part, and why others would not."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from firmware_store.models import Release
from otaserver.campaigns.models import Campaign
from otaserver.campaigns.operations import checks, staging, starts
from otaserver.campaigns.states import Verdict
from otaserver.fleet.models import Group


@dataclass(frozen=True)
class Fit:
    """How many vehicles of a group have each verdict for a release."""

    verdicts: Mapping[str, int]

    @property
    def fitting(self) -> int:
        return self.verdicts.get(Verdict.FITS, 0)

    @property
    def total(self) -> int:
        return sum(self.verdicts.values())


@transaction.atomic
def judge_group(release: Release, group: Group, *, at: datetime) -> Fit:
    """Return the verdict of each vehicle of a group on a release, counted, as a campaign's start would judge them now.

    Nothing is stored.

    Raises:
        ReleaseNotPublishedError: see `checks`.
    """
    view = checks.require_published(release)
    probe = Campaign(tenant=group.tenant, release=release, group=group)
    with staging.staged(probe, view, starts.targets(probe), at=at):
        return Fit(staging.verdicts())


@transaction.atomic
def count_fitting(campaign: Campaign, *, at: datetime) -> int:
    """Return how many vehicles would take part if a campaign that has not started started now. Nothing is stored.

    Raises:
        ReleaseNotPublishedError: see `checks`.
    """
    view = checks.require_published(campaign.release)
    return sum(starts.fitting_now(campaign, view, at=at).values())
