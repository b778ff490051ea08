"""Credentials that vehicles with aktualizr share, from the command line."""

import zipfile

import pytest

from otaserver.fleet import operations as fleet
from otaserver.fleet.provisioning_models import ProvisioningCredential, ProvisioningPermit
from tests.factories import NOON, make_vehicle
from tests.fleet import provisioned

ADDRESS = "https://ota.example/aktualizr/default"


@pytest.fixture
def issue(bench, command, settings, tmp_path):
    provisioned.write_server_ca(settings, tmp_path)
    fleet.create_fleet_authority(bench.tenant, at=NOON)
    return lambda file, *more: command("provisioning", "issue", "line-1", ADDRESS, str(tmp_path / file), *more)


def test_a_credential_is_written_for_its_owner_alone_listed_and_ended(issue, command, tmp_path):
    code, out, _ = issue("credentials.zip", "--days", "30")

    file = tmp_path / "credentials.zip"
    assert (code, out.startswith(f"{file} is good until ")) == (0, True)
    assert file.stat().st_mode & 0o077 == 0
    with zipfile.ZipFile(file) as archive:
        assert archive.read("autoprov.url").decode() == ADDRESS
    assert "line-1" in command("provisioning", "list")[1]
    assert command("provisioning", "revoke", "line-1")[:2] == (0, "line-1 is ended.\n")
    assert ProvisioningCredential.objects.get().revoked_at is not None
    assert command("provisioning", "revoke", "line-2")[0] == 2


def test_what_cannot_be_kept_is_not_issued_and_what_is_refused_leaves_no_file(issue, settings, tmp_path):
    (tmp_path / "there.zip").write_text("mine")
    assert issue("there.zip")[0] == 2
    assert (tmp_path / "there.zip").read_text() == "mine"
    settings.SERVER_CA = ""

    assert issue("credentials.zip")[0] == 3

    assert not (tmp_path / "credentials.zip").exists()
    assert not ProvisioningCredential.objects.exists()


def test_a_known_vehicle_is_permitted_with_a_reason(bench, command):
    vehicle = make_vehicle(bench.tenant, "CAR1")

    code, out, _ = command("provisioning", "permit", "CAR1", "--reason", "New disk.", "--hours", "2")

    assert (code, out) == (0, "CAR1 may be provisioned once within 2 hours.\n")
    permit = ProvisioningPermit.objects.get()
    assert (permit.vehicle, permit.reason) == (vehicle, "New disk.")
