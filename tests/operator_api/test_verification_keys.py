import pytest

from firmware_store.models import VerificationKey
from otaserver.tenants.states import Role
from tests.factories import make_package
from tests.firmware_store.formats.builders import Identity

SIGNER = Identity()


def declaration(**fields):
    return {"name": "releases", "format": "swu", "pem": SIGNER.pem} | fields


def test_a_key_is_added_listed_and_retired(caller):
    added = caller.post("/verification-keys", declaration(hardware_id="gateway"))

    assert added.status_code == 201
    key = added.json()
    assert (key["name"], key["hardware_id"], key["created_by"], key["retired_at"]) == (
        "releases",
        "gateway",
        "token:a administrator",
        None,
    )
    assert caller.get("/verification-keys?hardware_id=gateway").json()["results"] == [key]
    assert caller.get("/verification-keys?hardware_id=brake").json()["results"] == []
    assert caller.post(f"/verification-keys/{key['id']}/retire").json()["retired_at"] is not None
    assert caller.post(f"/verification-keys/{key['id']}/retire").json()["code"] == "verification_key.retired"


@pytest.mark.parametrize("role", [each for each in Role if each != Role.ADMINISTRATOR])
def test_only_administrators_say_what_is_trusted(tenant, as_role, role):
    caller = as_role(role)

    assert caller.post("/verification-keys", declaration()).json()["code"] == "permission.missing"
    assert caller.get("/verification-keys").status_code == 200
    assert not VerificationKey.objects.exists()


def test_another_tenant_s_key_is_not_seen_and_not_retired(caller, stranger):
    key = caller.post("/verification-keys", declaration()).json()

    assert stranger.get("/verification-keys").json()["results"] == []
    assert stranger.post(f"/verification-keys/{key['id']}/retire").status_code == 404
    assert VerificationKey.objects.get().retired_at is None


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"pem": "no PEM"}, "verification_key.refused"),
        ({"format": "mender"}, "verification_key.refused"),
        ({"format": "zip"}, "request.fields_invalid"),
        ({"name": ""}, "request.fields_invalid"),
    ],
)
def test_a_key_that_checks_nothing_is_refused(caller, fields, code):
    answer = caller.post("/verification-keys", declaration(**fields))

    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert not VerificationKey.objects.exists()


def test_what_was_read_in_a_package_is_shown(tenant, caller):
    package = make_package(tenant, contents={"format": "swu", "version": "1.1"})

    assert caller.get(f"/packages/{package.pk}").json()["contents"] == {"format": "swu", "version": "1.1"}
