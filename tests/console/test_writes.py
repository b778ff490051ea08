"""Settings, tokens, credentials, keys and files of vehicles, changed in the console: asked, done once, recorded."""

import base64
import hashlib

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from otaserver import clock
from otaserver.audit.models import Entry
from otaserver.console.pages.settings import TenantSettings
from otaserver.fleet import operations as fleet
from otaserver.fleet import queries
from otaserver.fleet.arrival_models import FleetImport
from otaserver.fleet.models import Vehicle
from otaserver.fleet.protocol_models import GatewayToken
from otaserver.people.models import Authenticator
from otaserver.tenants.models import Tenant, User
from otaserver.tenants.states import Role
from tests.console.conftest import make_member, signed_in
from tests.factories import NOON, make_vehicle
from tests.fleet import provisioned

pytestmark = pytest.mark.any_database
CONFIRMED = {"confirmed": "1"}


@pytest.fixture
def admin(tenant):
    return signed_in(make_member(tenant, Role.ADMINISTRATOR))


def settings_of(tenant, **changes):
    """What a browser sends of the settings as they are, with these changes."""
    form = TenantSettings().form(tenant)
    values = {name: field.initial if name == "reason" else form.initial[name] for name, field in form.fields.items()}
    values |= changes
    return {name: value for name, value in values.items() if value is not None and value is not False}


def told(answer):
    return [(effect.count, str(effect.of_what)) for effect in answer.context["effects"]]


def test_settings_are_shown_with_what_they_come_to_and_changed_once_confirmed(tenant, admin):
    for _ in range(3):
        make_vehicle(tenant)
    wanted = settings_of(tenant, polling_seconds=20, title="The north")

    asked = admin.post("/console/settings/", wanted)
    before = Tenant.objects.get(pk=tenant.pk).polling_seconds
    done = admin.post("/console/settings/", wanted | CONFIRMED)

    assert (asked.status_code, before, done.status_code) == (200, tenant.polling_seconds, 302)
    assert [value for _, value in asked.context["facts"]] == [
        "North → The north",
        f"{tenant.polling_seconds} → 20",
    ]
    assert told(asked) == [(3, "vehicles are enrolled"), (9, "calls a minute, if all of them keep to it")]
    changed = Tenant.objects.get(pk=tenant.pk)
    assert (changed.polling_seconds, changed.title) == (20, "The north")
    entry = Entry.objects.latest("pk")
    assert (entry.action, entry.actor, entry.details) == (
        "tenant.changed",
        "mia",
        {"polling_seconds": 20, "title": "The north"},
    )


def test_fewer_approvals_need_a_reason_and_without_one_nothing_is_changed(tenant, admin):
    Tenant.objects.filter(pk=tenant.pk).update(required_approvals=1)
    wanted = settings_of(tenant, required_approvals=0, polling_seconds=20) | CONFIRMED

    refused = admin.post("/console/settings/", wanted)
    unchanged = Tenant.objects.values().get(pk=tenant.pk)
    done = admin.post("/console/settings/", wanted | {"reason": "We are two people."})

    assert (refused.status_code, unchanged["polling_seconds"]) == (422, tenant.polling_seconds)
    assert (done.status_code, Entry.objects.latest("pk").details["reason"]) == (302, "We are two people.")


def test_who_would_lose_sight_for_want_of_a_second_factor_is_counted(tenant, admin):
    for user, is_confirmed in ((make_member(tenant, username="otto"), True), (User.objects.get(username="mia"), False)):
        Authenticator.objects.create(user=user, sealed_secret="sealed", is_confirmed=is_confirmed)

    asked = admin.post("/console/settings/", settings_of(tenant, second_factor_required="on"))

    assert told(asked)[-1] == (1, "members have no second factor, and see nothing of it until then")


def test_how_ddi_is_read_is_changed_line_by_line(tenant, admin):
    wanted = {
        "default_hardware_id": "gateway",
        "version_attribute": "sw",
        "chunk_parts": "gateway = os\nradio=bApp",
        "authorities": "CA one\n\n",
    }

    asked = admin.post("/console/settings/ddi/", wanted)
    assert queries.ddi_settings(tenant).pk is None
    done = admin.post("/console/settings/ddi/", wanted | CONFIRMED)

    assert (asked.status_code, done.status_code) == (200, 302)
    now = queries.ddi_settings(tenant)
    assert (now.default_hardware_id, now.hardware_attribute, now.version_attribute) == ("gateway", "", "sw")
    assert (now.chunk_parts, now.authorities) == ({"gateway": "os", "radio": "bApp"}, ["CA one"])
    wrong = admin.post("/console/settings/ddi/", wanted | {"chunk_parts": "gateway"})
    assert (wrong.status_code, list(wrong.context["form"].errors)) == (422, ["chunk_parts"])


def test_a_gateway_token_is_shown_once_and_revoked_after_a_question(tenant, admin):
    made = admin.post("/console/gateway-tokens/new/", {"name": "depot"})

    row, token = GatewayToken.objects.get(), made.context["text"]
    assert (row.name, row.sha256, row.created_by) == ("depot", hashlib.sha256(token.encode()).hexdigest(), "mia")
    assert (made.status_code, token in made.content.decode()) == (200, True)
    assert "no-store" in made["Cache-Control"]
    page = admin.get(f"/console/fleet/gatewaytoken/{row.pk}/change/").content.decode()
    assert (token in page, f"/console/gateway-tokens/{row.pk}/revoke/" in page) == (False, True)

    asked = admin.get(f"/console/gateway-tokens/{row.pk}/revoke/")
    done = admin.post(f"/console/gateway-tokens/{row.pk}/revoke/")

    assert told(asked) == [
        (0, "vehicles speak DDI; those that have only this token are heard no more"),
        (0, "other gateway tokens go on to hold"),
    ]
    assert (done.status_code, Entry.objects.latest("pk").action) == (302, "gateway_token.revoked")
    row.refresh_from_db()
    assert row.revoked_at is not None
    assert "/revoke/" not in admin.get(f"/console/fleet/gatewaytoken/{row.pk}/change/").content.decode()


def test_a_second_token_of_one_name_is_refused(tenant, admin):
    admin.post("/console/gateway-tokens/new/", {"name": "depot"})

    answer = admin.post("/console/gateway-tokens/new/", {"name": "depot"})

    assert (answer.status_code, GatewayToken.objects.count()) == (409, 1)
    assert "depot" in str(answer.context["form"].non_field_errors())


def test_a_provisioning_credential_is_saved_once(tenant, admin, settings, tmp_path):
    provisioned.write_server_ca(settings, tmp_path)
    fleet.create_fleet_authority(tenant, at=NOON)
    given = {"name": "line-1", "address": f"https://ota.example.com/aktualizr/{tenant.name}", "valid_days": 30}

    made = admin.post("/console/provisioning/new/", given)

    name, archive = made.context["download"]
    assert (made.status_code, name, base64.b64decode(archive)[:2]) == (200, "credentials.zip", b"PK")
    assert tenant.provisioning_credentials.get().name == "line-1"


def test_a_file_is_tried_first_and_then_the_same_one_is_taken_in(tenant, admin, settings, tmp_path):
    settings.MEDIA_ROOT = tmp_path
    lines = b'{"vehicle_id": "CAR1"}\n{"vehicle_id": "CAR2"}\nnonsense\n'

    def file(content):
        return SimpleUploadedFile("cars.jsonl", content)

    tried = admin.post("/console/imports/new/", {"kind": "jsonl", "file": file(lines)})
    row = FleetImport.objects.get()
    fleet.run_import(row.pk, now=clock.now)
    take_in = f"/console/imports/{row.pk}/take-in/"

    assert (tried["Location"], row.is_dry_run) == (f"/console/fleet/fleetimport/{row.pk}/change/", True)
    assert not Vehicle.objects.exists()
    assert take_in in admin.get(tried["Location"]).content.decode()
    assert told(admin.get(take_in)) == [
        (3, "lines were read"),
        (1, "lines are left out"),
        (2, "vehicles become known"),
    ]
    other = admin.post(take_in, {"file": file(lines + b"\n")})
    assert (other.status_code, FleetImport.objects.count()) == (422, 1)

    admin.post(take_in, {"file": file(lines)})
    taken = FleetImport.objects.latest("pk")
    assert (taken.is_dry_run, taken.sha256, taken.kind) == (False, row.sha256, "jsonl")
    fleet.run_import(taken.pk, now=clock.now)
    assert sorted(Vehicle.objects.values_list("vehicle_id", flat=True)) == ["CAR1", "CAR2"]
    assert "/take-in/" not in admin.get(f"/console/fleet/fleetimport/{taken.pk}/change/").content.decode()
