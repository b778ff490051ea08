import hashlib
import io

import pytest
from django.test import RequestFactory

from firmware_store.models import Package
from otaserver.operator_api.views.packages import PackageContent
from tests.factories import make_package, make_release

CONTENT = bytes(range(256)) * 64
BYTES = "application/octet-stream"


def declaration(**fields):
    return {
        "role": "supplier",
        "name": "engine",
        "version": "1.0",
        "hardware_ids": ["gateway"],
        "filename": "engine.bin",
        "length": len(CONTENT),
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
    } | fields


def declare(caller, **fields):
    response = caller.post("/packages", declaration(**fields))
    assert response.status_code == 201, response.content
    return response.json()


def send(caller, package, data, offset, **headers):
    headers = {"Upload-Offset": str(offset), "content_type": BYTES} | headers
    return caller("PATCH", f"/packages/{package['id']}/content", data, **headers)


class Endless:
    """A chunked body as a WSGI server hands it over: bytes until the end, and no length."""

    def __init__(self, data, fails_after=None):
        self._stream = io.BytesIO(data)
        self._left = fails_after

    def read(self, size=-1):
        if self._left is not None:
            size = min(size, self._left)
            self._left -= size
            if not size:
                raise ConnectionResetError("the client is gone")
        return self._stream.read(size)


def send_chunked(caller, package, body, offset=0, **environ):
    request = RequestFactory().generic(
        "PATCH",
        "/",
        headers={"Authorization": f"Bearer {caller.token}", "Upload-Offset": str(offset), "Content-Type": BYTES},
    )
    request.META.pop("CONTENT_LENGTH", None)
    request.META |= {"wsgi.input": body, "wsgi.input_terminated": True, "CONTENT_TYPE": BYTES} | environ
    return PackageContent.as_view()(request, pk=package["id"])


def test_a_declared_package_waits_for_its_bytes(caller):
    declared = declare(caller)

    assert (declared["state"], declared["received"], declared["target_name"]) == (
        "uploading",
        0,
        "supplier/engine-1.0",
    )
    assert declared["created_by"] == "token:a administrator"


def test_the_same_declaration_again_is_the_same_upload(caller):
    first = declare(caller)
    send(caller, first, CONTENT[:1000], 0)

    again = declare(caller)

    assert (again["id"], again["received"]) == (first["id"], 1000)
    assert Package.objects.count() == 1


def test_bytes_are_appended_where_the_upload_is(caller):
    package = declare(caller)

    first = send(caller, package, CONTENT[:1000], 0)
    second = send(caller, package, CONTENT[1000:], 1000)

    assert [(each.status_code, each["Upload-Offset"]) for each in (first, second)] == [
        (204, "1000"),
        (204, str(len(CONTENT))),
    ]
    for method in ("HEAD", "GET"):
        assert caller(method, f"/packages/{package['id']}/content", content_type=BYTES)["Upload-Offset"] == str(
            len(CONTENT)
        )


@pytest.mark.parametrize("offset", [0, 999, 1001, 10**17])
def test_bytes_for_another_place_are_refused_and_tell_where_to_go_on(caller, offset):
    package = declare(caller)
    send(caller, package, CONTENT[:1000], 0)

    response = send(caller, package, CONTENT[:10], offset)

    assert (response.status_code, response.json()["code"], response.json()["offset"]) == (409, "upload.offset", 1000)
    assert caller.get(f"/packages/{package['id']}").json()["received"] == 1000


@pytest.mark.parametrize("offset", ["", "-1", "1.5", "x", "\u0661", "9" * 30])
def test_an_offset_that_is_no_number_of_bytes_is_refused(caller, offset):
    package = declare(caller)

    response = send(caller, package, CONTENT, 0, **{"Upload-Offset": offset.encode().decode("latin-1")})

    assert (response.status_code, response.json()["code"]) == (400, "header.invalid")
    assert caller.get(f"/packages/{package['id']}").json()["received"] == 0


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", ""])
def test_bytes_under_another_media_type_are_refused(caller, content_type):
    package = declare(caller)

    response = send(caller, package, CONTENT, 0, content_type=content_type)

    assert (response.status_code, response.json()["code"]) == (415, "request.media_type")
    assert caller.get(f"/packages/{package['id']}").json()["received"] == 0


def test_a_body_larger_than_django_would_hold_is_taken(caller, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    package = declare(caller)

    assert send(caller, package, CONTENT, 0).status_code == 204


def test_a_chunked_body_is_read_to_its_end(db, caller):
    package = declare(caller)

    response = send_chunked(caller, package, Endless(CONTENT))

    assert response["Upload-Offset"] == str(len(CONTENT))


def test_a_chunked_body_longer_than_declared_is_cut_off_and_dropped(caller):
    package = declare(caller)

    response = send_chunked(caller, package, Endless(CONTENT * 1000))

    assert response.status_code == 413
    assert caller.get(f"/packages/{package['id']}").json()["received"] == 0


def test_what_arrived_before_the_line_broke_stays(caller):
    package = declare(caller)

    with pytest.raises(ConnectionResetError):
        send_chunked(caller, package, Endless(CONTENT, fails_after=5000))

    assert caller.get(f"/packages/{package['id']}").json()["received"] == 5000
    assert send(caller, package, CONTENT[5000:], 5000).status_code == 204


def test_a_body_whose_end_nobody_knows_is_refused(caller):
    package = declare(caller)

    response = send_chunked(
        caller, package, Endless(CONTENT), **{"wsgi.input_terminated": False, "HTTP_TRANSFER_ENCODING": "chunked"}
    )

    assert response.status_code == 411
    assert caller.get(f"/packages/{package['id']}").json()["received"] == 0


def test_a_content_length_that_is_no_number_is_refused(caller):
    package = declare(caller)

    response = send_chunked(caller, package, Endless(CONTENT), CONTENT_LENGTH="many")

    assert response.status_code == 400


@pytest.mark.parametrize(
    ("header", "status", "code"),
    [
        (None, 428, "precondition.required"),
        ("", 428, "precondition.required"),
        ("1", 400, "header.invalid"),
        ("*", 400, "header.invalid"),
        ('"one"', 400, "header.invalid"),
        ('"1", "2"', 400, "header.invalid"),
        ('"-1"', 400, "header.invalid"),
    ],
)
def test_a_publication_names_the_version_that_it_replaces(caller, header, status, code):
    package = declare(caller)
    send(caller, package, CONTENT, 0)
    headers = {} if header is None else {"If-Match": header}

    response = caller.post(f"/packages/{package['id']}/publish", {"metadata": {"tuf-1.0": "e30="}}, **headers)

    assert (response.status_code, response.json()["code"]) == (status, code)
    assert Package.objects.get().state == "uploading"


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        None,
        {"tuf-1.0": 1},
        {"tuf-1.0": "not base64!"},
        {"tuf-1.0": "ü"},
        {"tuf-2.0": "e30="},
        ["e30="],
        {"tuf-1.0": None},
    ],
)
def test_metadata_that_is_none_is_named_as_the_field_and_the_package_stays(caller, metadata):
    package = declare(caller)

    response = caller.post(f"/packages/{package['id']}/publish", {"metadata": metadata}, **{"If-Match": '"1"'})

    assert (response.status_code, response.json()["code"]) == (422, "request.fields_invalid")
    assert next(iter(response.json()["fields"])).startswith("metadata")
    assert Package.objects.get().state == "uploading"


def test_a_release_of_an_unpublished_package_is_refused(tenant, caller):
    package = declare(caller)

    response = caller.post("/releases", {"name": "autumn", "version": "1", "packages": [{"package": package["id"]}]})

    assert (response.status_code, response.json()["code"]) == (422, "release.package_unpublished")


def test_a_release_shows_what_it_holds(tenant, caller):
    package = make_package(tenant)
    made = caller.post(
        "/releases",
        {
            "name": "autumn",
            "version": "1",
            "packages": [{"package": package.pk, "position": 2}],
            "conditions": [{"kind": "requires", "package_name": "brake", "versions": ["1"]}],
            "notes": {"de-AT": "Jänner"},
        },
    ).json()

    assert caller.get(f"/releases/{made['id']}").json() == made
    assert made["packages"] == [{"package": package.pk, "target_name": "supplier/engine-1.0", "position": 2}]
    assert made["notes"] == {"de-AT": "Jänner"}


def test_a_release_states_signals_and_codes_that_halt(tenant, caller):
    package = make_package(tenant)
    signal = {"name": "boots", "limit": 3.5, "acceptable_rate": 0.01, "unacceptable_rate": 0.05}
    body = {"name": "autumn", "version": "1", "packages": [{"package": package.pk}]}

    made = caller.post("/releases", body | {"signals": [signal], "halt_codes": ["brakes_lost"]}).json()

    assert (made["signals"], made["halt_codes"]) == ([signal], ["brakes_lost"])
    assert caller.get(f"/releases/{made['id']}").json() == made


@pytest.mark.parametrize("changes", [{"name": "Boots"}, {"acceptable_rate": 0.05}, {"unacceptable_rate": 1}])
def test_signals_that_cannot_be_tested_are_refused(tenant, caller, changes):
    package = make_package(tenant)
    signal = {"name": "boots", "limit": 3.5, "acceptable_rate": 0.01, "unacceptable_rate": 0.05} | changes
    body = {"name": "autumn", "version": "1", "packages": [{"package": package.pk}], "signals": [signal]}

    response = caller.post("/releases", body)

    assert (response.status_code, response.json()["code"]) == (422, "release.signals")


@pytest.mark.parametrize("notes", [{"not a tag": "x"}, {"en": {}}, {"": "x"}, ["en"], "en"])
def test_notes_without_a_language_are_refused(tenant, caller, notes):
    package = make_package(tenant)

    response = caller.post(
        "/releases", {"name": "a", "version": "1", "packages": [{"package": package.pk}], "notes": notes}
    )

    assert (response.status_code, response.json()["code"]) == (422, "request.fields_invalid")


def test_a_release_can_be_found_by_name_and_version(tenant, caller):
    make_release(tenant, make_package(tenant), name="autumn", version="1")
    make_release(tenant, make_package(tenant, "brake"), name="autumn", version="2")

    found = caller.get("/releases?name=autumn&version=2").json()["results"]

    assert [(row["name"], row["version"]) for row in found] == [("autumn", "2")]
