import pytest

from otaserver.campaigns import operations
from otaserver.campaigns.models import Campaign
from otaserver.fleet.models import Vehicle
from tests.campaigns.campaign_factories import make_campaign
from tests.factories import NOON

pytestmark = pytest.mark.django_db


@pytest.fixture
def campaign(tenant):
    made = make_campaign(vehicles=4, waves=(25, 100), tenant=tenant)
    Vehicle.objects.update(last_contact_at=NOON)
    return made


def test_a_forecast_says_what_comes_of_each_rate(caller, campaign):
    response = caller("POST", f"/campaigns/{campaign.pk}/forecast", {"rates": [0, 1], "runs": 2})

    answer = response.json()
    assert response.status_code == 200
    assert (answer["fitting"], answer["places"]) == (4, [1, 3])
    healthy, broken = answer["outlooks"]
    assert (healthy["rate"], healthy["broken"], healthy["halted"], len(healthy["wave_ends"])) == (0, 0, 0, 2)
    assert (broken["rate"], broken["most_broken"]) == (1, 4)


@pytest.mark.parametrize("body", [{"rates": []}, {"rates": [2]}, {"runs": 0}, {"runs": 51}, {"seed": -1}])
def test_what_cannot_be_rehearsed_is_refused_with_its_field(caller, campaign, body):
    response = caller("POST", f"/campaigns/{campaign.pk}/forecast", body)

    assert (response.status_code, response.json()["code"]) == (422, "request.fields_invalid")
    assert [field.partition("[")[0] for field in response.json()["fields"]] == list(body)


def test_what_is_kept_of_a_campaign_is_told_and_before_that_there_is_none(caller, campaign):
    none = caller("GET", f"/campaigns/{campaign.pk}/forecast")
    Campaign.objects.filter(pk=campaign.pk).update(state="in_review")
    operations.keep_forecast(campaign.pk, at=NOON)
    kept = caller("GET", f"/campaigns/{campaign.pk}/forecast")

    assert (none.status_code, none.json()["code"]) == (404, "forecast.not_made")
    answer = kept.json()
    assert (kept.status_code, answer["fitting"], answer["basis"], answer["refusal"]) == (200, 4, "group", "")
    assert answer["inputs"]["rates"] == [campaign.acceptable_rate, campaign.unacceptable_rate]
    bars = answer["outlooks"][0]["prospect"]["bars"]
    assert round(sum(bar["succeeded"] + bar["failed"] for bar in bars), 6) == 4
