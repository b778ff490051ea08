import base64
import stat
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command

from otaserver import clock
from otaserver.fleet import operations
from otaserver.fleet.provisioning_models import ProvisioningCredential, ProvisioningPermit
from tests.factories import NOON, make_tenant, make_vehicle
from tests.fleet import provisioned

PATH = "/provisioning-credentials"
WANTED = {"name": "line-1", "address": provisioned.ADDRESS, "valid_days": 30}


@pytest.fixture(autouse=True)
def _ready(tenant, settings, tmp_path):
    provisioned.write_server_ca(settings, tmp_path)
    operations.create_fleet_authority(tenant, at=NOON)


def test_a_shared_credential_is_issued_once_and_listed_without_its_key(caller):
    answer = caller.post(PATH, WANTED)

    shown = answer.json()
    address, packed = provisioned.unpacked(base64.b64decode(shown.pop("archive")))
    assert (answer.status_code, answer["Cache-Control"], address) == (201, "no-store", provisioned.ADDRESS)
    assert f"{provisioned.opened(packed).cert.certificate.serial_number:x}" == shown["fingerprint"]
    assert (shown["created_by"], shown["expires_at"]) == ("token:a administrator", "2026-07-01T12:00:00Z")
    assert caller.get(PATH).json()["results"] == [shown]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"name": "Line 1"}, "provisioning.name_refused"),
        ({"address": "ota.example"}, "provisioning.name_refused"),
        ({"valid_days": 0}, "request.fields_invalid"),
        ({"valid_days": 5000}, "request.fields_invalid"),
    ],
)
def test_what_can_be_no_shared_credential_is_refused(caller, changes, code):
    answer = caller.post(PATH, WANTED | changes)

    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert not ProvisioningCredential.objects.exists()


def test_without_the_servers_ca_it_says_which_setting_is_missing(caller, settings):
    settings.SERVER_CA = ""

    answer = caller.post(PATH, WANTED)

    assert (answer.status_code, answer.json()["code"]) == (409, "provisioning.unavailable")
    assert "OTA_SERVER_CA" in answer.json()["detail"]


def test_a_revoked_one_says_so_and_another_tenant_cannot_revoke_it(caller, stranger):
    pk = caller.post(PATH, WANTED).json()["id"]

    assert stranger.post(f"{PATH}/{pk}/revoke").status_code == 404
    assert ProvisioningCredential.objects.get().revoked_at is None
    assert caller.post(f"{PATH}/{pk}/revoke").json()["revoked_at"] == "2026-06-01T12:00:00Z"
    assert stranger.get(PATH).json()["results"] == []


def test_a_vehicle_may_be_permitted_to_provision_itself_again(caller, stranger, tenant):
    vehicle = make_vehicle(tenant, "VIN1")

    assert stranger.post("/vehicles/VIN1/provisioning", {"reason": "x"}).status_code == 404
    assert caller.post("/vehicles/VIN1/provisioning", {}).status_code == 422
    assert not ProvisioningPermit.objects.exists()
    answer = caller.post("/vehicles/VIN1/provisioning", {"reason": "New disk.", "valid_hours": 5})

    assert (answer.status_code, answer.json()["vehicle_id"]) == (200, "VIN1")
    permit = ProvisioningPermit.objects.get()
    assert (permit.vehicle, permit.reason, permit.expires_at) == (vehicle, "New disk.", NOON + timedelta(hours=5))


# The command


def create(tmp_path, *arguments, name="line-1"):
    path = tmp_path / "credentials.zip"
    with clock.using(lambda: NOON):
        call_command("create_provisioning", "acme", name, provisioned.ADDRESS, str(path), *arguments)
    return path


def test_the_command_writes_a_file_that_only_its_owner_can_read(tmp_path, capsys):
    path = create(tmp_path, "--days", "30")

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert provisioned.unpacked(path.read_bytes())[0] == provisioned.ADDRESS
    assert capsys.readouterr().out == f"{path} is good until 2026-07-01.\n"
    assert ProvisioningCredential.objects.get().created_by == "command"


def test_the_command_overwrites_nothing_and_leaves_nothing_half_done(tmp_path):
    with pytest.raises(CommandError, match="line 1"):
        create(tmp_path, name="line 1")
    assert not (tmp_path / "credentials.zip").exists()
    (tmp_path / "credentials.zip").write_bytes(b"another")

    with pytest.raises(CommandError, match="cannot be written"):
        create(tmp_path)

    assert (tmp_path / "credentials.zip").read_bytes() == b"another"
    assert not ProvisioningCredential.objects.exists()


def test_the_command_knows_its_tenants(tmp_path):
    make_tenant("north")

    with pytest.raises(CommandError, match="'south'"):
        call_command("create_provisioning", "south", "line-1", provisioned.ADDRESS, str(tmp_path / "it.zip"))
