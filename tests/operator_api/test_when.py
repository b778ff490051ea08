import pytest

from otaserver.campaigns import operations
from otaserver.campaigns.models import Blackout, Campaign, ConsentRecord
from otaserver.fleet.models import Vehicle
from tests.campaigns.campaign_factories import attempt_of, in_turn, make_fleet, make_running, make_versions
from tests.factories import NOON, make_group, make_vehicle


@pytest.fixture
def plan(tenant):
    old = make_versions(tenant)
    return {
        "name": "night",
        "release": make_versions(tenant, "2.0").pk,
        "fallback_release": old.pk,
        "group": make_group(tenant, *make_fleet(tenant, 1, old)).pk,
        "waves": [{"percent": 100}],
    }


WHEN = {
    "ends_at": "2026-07-01T12:00:00Z",
    "windows": [{"weekdays": ["mon", "sun"], "start": "22:30", "length_minutes": 90}],
    "downloads_early": False,
    "offers_per_minute": 5,
    "bytes_per_hour": 10**9,
    "preconditions": [
        {"name": "battery_12v", "operator": ">=", "value": 12.4},
        {"name": "parked", "operator": "==", "value": True},
    ],
    "consent": "ask_with_deadline",
    "consent_postponements": 3,
    "consent_deadline_seconds": 86400,
}


def test_all_that_a_plan_says_of_when_comes_back_as_it_was_given(caller, plan):
    made = caller.post("/campaigns", plan | WHEN)

    assert made.status_code == 201, made.content
    shown = caller.get(f"/campaigns/{made.json()['id']}").json()
    assert {name: shown[name] for name in WHEN} == WHEN


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ends_at": "2026-06-01T12:00:00Z"}, "must come after the start"),
        ({"windows": [{"weekdays": [], "start": "22:00", "length_minutes": 60}]}, "weekdays 0 never open"),
        ({"windows": [{"weekdays": ["mon"], "start": "22:00", "length_minutes": 0}]}, "0 never opens"),
        (
            {"windows": [{"weekdays": ["mon"], "start": "24:00", "length_minutes": 60}]},
            'windows[0].start: Must be a time of day from 00:00 to 23:59. Given was "24:00".',
        ),
        ({"windows": [{"weekdays": ["funday"], "start": "22:00", "length_minutes": 60}]}, '"funday" is not a valid'),
        ({"waves": [{"percent": 120}]}, "waves[0].percent: Ensure this value is less than or equal to 100. Given was"),
        ({"waves": [{"percent": "NaN"}]}, 'waves[0].percent: A valid number is required. Given was "NaN".'),
        ({"max_in_flight": 0}, "greater than or equal to 1. Given was 0."),
        ({"retry_seconds": -1}, "greater than or equal to 0. Given was -1."),
        ({"soak_seconds": True}, "soak_seconds: Must be a whole number. Given was true."),
        ({"preconditions": [{"name": "speed", "operator": "<", "value": 0}]}, "speed < 0: it measures 0 to 500 km/h"),
        ({"offers_per_minute": 0}, "not 0"),
        ({"bytes_per_hour": -5}, "-5 bytes an hour"),
        ({"preconditions": [{"name": "state_of_charge", "operator": ">=", "value": "full"}]}, "'full' is not"),
        ({"preconditions": [{"name": "mood", "operator": "==", "value": 1}]}, "'mood'"),
        ({"consent": "ask_with_deadline"}, "needs a number of postponements"),
        ({"consent": "ask", "consent_postponements": 1}, "ask has 1"),
    ],
)
def test_a_plan_that_cannot_be_is_refused_with_the_value(caller, plan, change, said):
    refused = caller.post("/campaigns", plan | change)

    assert refused.status_code in (400, 422), refused.content
    assert said in refused.json()["detail"]
    assert not Campaign.objects.exists()


def test_a_draft_requires_neither_itself_nor_what_was_drafted_after_it(caller, plan):
    first = caller.post("/campaigns", plan).json()["id"]
    later = caller.post("/campaigns", plan | {"name": "later"}).json()["id"]
    version = {"If-Match": caller.get(f"/campaigns/{first}")["ETag"]}

    for required, name in ((first, "night"), (later, "later")):
        refused = caller("PATCH", f"/campaigns/{first}", {"requires": [required]}, **version)
        assert (refused.status_code, refused.json()["code"]) == (422, "campaign.plan_refused")
        assert refused.json()["detail"] == f"night requires campaigns that were drafted before it; {name} was not."

    assert caller.get(f"/campaigns/{first}").json()["requires"] == []


def test_a_start_at_the_end_of_time_is_refused(caller, plan):
    made = caller.post("/campaigns", plan).json()["id"]
    Campaign.objects.update(state="approved")

    refused = caller.post(f"/campaigns/{made}/schedule", {"starts_at": "9999-12-31T23:59:59Z"})

    assert (refused.status_code, refused.json()["code"]) == (422, "campaign.plan_refused")
    assert refused.json()["detail"] == "A campaign starts within 3660 days; 9999-12-31 23:59:59 UTC is later."
    assert Campaign.objects.get().state == "approved"


def test_the_fleet_is_frozen_and_thawed(caller):
    made = caller.post("/blackouts", {"name": "freeze", "reason": "Holidays."})

    assert made.status_code == 201, made.content
    body = made.json()
    assert (body["starts_at"], body["ends_at"], body["group"]) == ("2026-06-01T12:00:00Z", None, None)
    assert caller.post("/blackouts", {"name": "freeze", "reason": "Again."}).status_code == 409
    lifted = caller.post(f"/blackouts/{body['id']}/lift", {"reason": "Over."})
    assert lifted.json()["lifted_at"] == "2026-06-01T12:00:00Z"
    assert caller.post(f"/blackouts/{body['id']}/lift", {"reason": "Over."}).json()["code"] == "blackout.lifted"
    assert [row["name"] for row in caller.get("/blackouts").json()["results"]] == ["freeze"]


def test_a_blackout_of_a_group_has_its_time(caller, tenant):
    group = make_group(tenant)
    times = {"starts_at": "2026-06-02T00:00:00Z", "ends_at": "2026-06-03T00:00:00Z"}

    made = caller.post("/blackouts", {"name": "summit", "reason": "Roads are closed.", "group": group.pk, **times})

    assert made.json() | times | {"group": group.pk} == made.json()
    over = caller.post("/blackouts", {"name": "b", "reason": "x", "ends_at": "2026-05-01T00:00:00Z"})
    assert (over.status_code, over.json()["code"]) == (422, "blackout.refused")
    assert Blackout.objects.count() == 1


def test_a_vehicles_time_zone_is_a_name_of_the_iana_database(caller, tenant):
    make_vehicle(tenant, "VIN1")

    changed = caller.post("/vehicles/VIN1/time-zone", {"time_zone": "Europe/Berlin"})
    assert changed.json()["time_zone"] == "Europe/Berlin"
    for zone in ("Mars/Olympus", "europe/berlin", "../etc/passwd", "localtime", "CEST"):
        refused = caller.post("/vehicles/VIN1/time-zone", {"time_zone": zone})
        assert (refused.status_code, refused.json()["code"]) == (422, "vehicle.time_zone_unknown")
        assert repr(zone) in refused.json()["detail"]
    assert Vehicle.objects.get(vehicle_id="VIN1").time_zone == "Europe/Berlin"


def test_what_a_vehicle_measured_and_its_owner_answered_stand_with_its_assignment(caller, tenant):
    charged = {"name": "state_of_charge", "operator": ">=", "value": 40}
    campaign = make_running(vehicles=1, tenant=tenant, preconditions=[charged])
    (assignment,) = in_turn(campaign)
    said = operations.VehicleReport(
        attempt_of(assignment).pk, "r1", "held", code="precondition", measured={"state_of_charge": 12}
    )
    operations.record_report(assignment.vehicle, said, can_prove=True, at=NOON)
    answer = {"decision": "yes", "by": "Erika", "language": "de", "text_sha256": "0" * 64}

    recorded = caller.post(f"/assignments/{assignment.pk}/consents", answer)
    refused = caller.post(f"/assignments/{assignment.pk}/consents", answer | {"text_sha256": "0"})

    assert (recorded.status_code, refused.status_code, refused.json()["code"]) == (201, 422, "consent.refused")
    (row,) = caller.get(f"/campaigns/{campaign.pk}/assignments").json()["results"]
    assert row["attempts"][0]["measured"][0]["measured"] == {"state_of_charge": 12}
    assert "state_of_charge is 12, must be >= 40" in row["explanation"]
    (consent,) = row["consents"]
    assert consent | answer == consent
    assert (consent["recorded_by"], consent["is_text_known"]) == (ConsentRecord.objects.get().recorded_by, False)
    assert consent["recorded_by"] != ""
