import pytest
from django.conf import settings as django_settings
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.campaigns.machine import CampaignMachine

pytestmark = [pytest.mark.long, pytest.mark.django_db]


def test_whoever_acts_whenever_nothing_contradicts_anything_and_every_campaign_ends():
    run_state_machine_as_test(
        CampaignMachine,
        settings=settings(
            # The machine is the same on both databases; SQLite is the faster one.
            max_examples=5 if django_settings.USES_POSTGRESQL else 20,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.explicit, Phase.generate, Phase.shrink],
        ),
    )
