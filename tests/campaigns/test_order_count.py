import pytest

from otaserver import metrics
from otaserver.campaigns import operations
from otaserver.campaigns.models import Attempt
from tests.campaigns.campaign_factories import make_started
from tests.factories import NOON

pytestmark = [pytest.mark.any_database, pytest.mark.django_db]


def given():
    return metrics.orders.labels("rollout")._value.get()


def test_orders_are_counted_when_they_are_given_and_not_before(django_capture_on_commit_callbacks):
    campaign, before = make_started(vehicles=2), given()

    with django_capture_on_commit_callbacks(execute=True):
        operations.advance_campaign(campaign.pk, at=NOON)
        uncommitted = given()
    with django_capture_on_commit_callbacks(execute=True):
        operations.advance_campaign(campaign.pk, at=NOON)

    assert (uncommitted - before, given() - before, Attempt.objects.count()) == (0, 2, 2)


def test_orders_are_given_where_they_cannot_be_counted(monkeypatch, django_capture_on_commit_callbacks):
    monkeypatch.setattr(metrics, "orders", None)
    campaign = make_started(vehicles=2)

    with django_capture_on_commit_callbacks() as callbacks:
        while operations.advance_campaign(campaign.pk, at=NOON):
            pass

    # Django logs a callback that fails by its name, and not each has one.
    assert [callback.__qualname__ for callback in callbacks] == ["_order.<locals>.<lambda>"]
    assert Attempt.objects.count() == 2
