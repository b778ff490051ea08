import base64

import pytest

from firmware_store.models import RoleMetadata
from firmware_store.trust import operations as trust
from tests.factories import NOON


def store(tenant, role="root", version=1, repository="image", profile="tuf-1.0"):
    RoleMetadata.objects.create(
        tenant=tenant,
        repository=repository,
        role=role,
        profile=profile,
        version=version,
        body=f"{profile} {version}".encode(),
        sha256="0" * 64,
        expires_at=NOON,
        created_at=NOON,
    )


def test_metadata_is_served_verbatim_with_its_version_as_the_tag(tenant, caller):
    store(tenant, version=1)
    store(tenant, version=2)
    store(tenant, version=2, profile="aktualizr")

    newest = caller.get("/trust/image/root")
    first = caller.get("/trust/image/root?version=1")
    other = caller.get("/trust/image/root?profile=aktualizr")

    assert [(each["ETag"], each.content) for each in (newest, first, other)] == [
        ('"2"', b"tuf-1.0 2"),
        ('"1"', b"tuf-1.0 1"),
        ('"2"', b"aktualizr 2"),
    ]


@pytest.mark.parametrize("path", ["image/root", "image/targets", "director/root", "image/supplier", "other/root"])
def test_metadata_that_there_is_not_is_not_found(caller, path):
    assert caller.get(f"/trust/{path}").status_code == 404


@pytest.mark.parametrize("query", ["profile=other", "version=x", "version=-1", "version=", "version=1e3"])
def test_a_profile_or_version_that_cannot_be_is_named(tenant, caller, query):
    store(tenant)

    response = caller.get(f"/trust/image/root?{query}")

    assert (response.status_code, response.json()["code"]) == (422, "request.fields_invalid")
    assert list(response.json()["fields"]) == [query.partition("=")[0]]


def test_online_keys_are_the_ones_that_the_next_root_must_name(tenant, caller):
    trust.create_online_keys(tenant, at=NOON)

    keys = caller.get("/trust/online-keys").json()["keys"]

    assert sorted((key["repository"], key["role"]) for key in keys) == [
        ("director", "snapshot"),
        ("director", "targets"),
        ("director", "timestamp"),
        ("image", "snapshot"),
        ("image", "timestamp"),
    ]
    assert all(set(key["public_key"]) == {"keytype", "scheme", "keyval"} for key in keys)


@pytest.mark.parametrize("path", ["image/snapshot", "image/timestamp", "director/targets", "director/snapshot"])
def test_what_the_server_signs_itself_cannot_be_put(caller, path):
    response = caller("PUT", f"/trust/{path}", {"metadata": {"tuf-1.0": "e30="}}, **{"If-Match": '"0"'})

    assert response.status_code == 404
    assert not RoleMetadata.objects.exists()


@pytest.mark.parametrize("path", ["image/root", "director/root", "image/targets", "image/supplier"])
@pytest.mark.parametrize("body", [b"", b"{}", b"null", b"\xff", b'{"signed":{},"signatures":[]}', b"[" * 100_000])
def test_bytes_that_are_no_signed_metadata_are_refused(tenant, caller, path, body):
    encoded = base64.b64encode(body).decode()

    response = caller("PUT", f"/trust/{path}", {"metadata": {"tuf-1.0": encoded}}, **{"If-Match": '"0"'})

    assert response.status_code in (409, 422), response.content
    assert response.json()["code"] != "request.fields_invalid"
    assert not RoleMetadata.objects.exists()


def test_targets_name_the_version_that_they_replace(caller):
    response = caller("PUT", "/trust/image/targets", {"metadata": {"tuf-1.0": "e30="}})

    assert (response.status_code, response.json()["code"]) == (428, "precondition.required")
