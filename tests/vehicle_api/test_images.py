from urllib.parse import parse_qs, urlsplit

import pytest

from firmware_store import signed_urls
from firmware_store.models import Package
from firmware_store.states import PackageState, Repository
from otaserver.tenants.models import Tenant
from tests.factories import NOON, make_package
from tests.vehicle_api.conftest import check_problem

pytestmark = pytest.mark.any_database


@pytest.fixture
def package(trust) -> Package:
    package = make_package(trust.tenant, "gateway", "2.0")
    trust.publish_images(package)
    return package


def path_of(package, digest):
    return f"repo/targets/{package.role}/{digest}.{package.name}-{package.version}"


def test_metadata_is_public(client, package):
    names = ["timestamp.json", "1.root.json", "root.json", "2.snapshot.json", "1.targets.json", "1.supplier.json"]

    found = [client.get(f"/uptane/Acme/repo/metadata/{name}") for name in names]

    assert [response.status_code for response in found] == [200] * 6
    assert list(found[-1].json()["signed"]["targets"]) == ["supplier/gateway-2.0"]
    assert ["immutable" in response["Cache-Control"] for response in found] == [False, True, False, True, True, True]


def test_unchanged_metadata_is_304(client, package):
    etag = client.get("/uptane/acme/repo/metadata/timestamp.json")["ETag"]

    response = client.get("/uptane/acme/repo/metadata/timestamp.json", headers={"If-None-Match": etag})

    assert (response.status_code, response.content, response["ETag"]) == (304, b"", etag)


def test_every_root_is_kept_after_a_rotation(client, trust, package):
    trust.rotate(Repository.IMAGE, at=NOON)

    versions = [
        client.get(f"/uptane/acme/repo/metadata/{name}").json()["signed"]["version"]
        for name in ("1.root.json", "2.root.json", "root.json")
    ]

    assert versions == [1, 2, 2]


@pytest.mark.parametrize("name", ["9.root.json", "9.targets.json", "1.nobody.json", "999999999999999999.root.json"])
def test_metadata_that_does_not_exist_is_404(client, package, name):
    check_problem(client.get(f"/uptane/acme/repo/metadata/{name}"), 404, "metadata.not_found")


# A21: names that would lead out of the repository are no addresses here.
@pytest.mark.parametrize(
    "path",
    [
        "repo/metadata/../../secrets.json",
        "repo/metadata/%2e%2e%2fsecrets.json",
        "repo/metadata/0.root.json",
        "repo/metadata/1.ROOT.json",
        "repo/targets/../etc/passwd",
        "repo/targets/supplier/%2e%2e/x",
        "repo/targets//etc",
        "repo/targets/supplier/a/b",
    ],
)
def test_a21_odd_names_are_404(caller, package, path):
    check_problem(caller.get(path), 404, "resource.not_found")


@pytest.mark.parametrize("digest", ["sha256", "sha512"])
def test_a_target_leads_to_a_signed_address_that_ends(caller, package, digest, settings):
    response = caller.get(path_of(package, getattr(package, digest)))

    address = urlsplit(response["Location"])
    query = {name: values[0] for name, values in parse_qs(address.query).items()}
    assert (response.status_code, response["Cache-Control"]) == (302, "no-store")
    assert (address.scheme, address.netloc, address.path) == ("http", "testserver", f"/downloads/{package.sha256}")
    assert int(query["expires"]) == NOON.timestamp() + settings.DOWNLOAD_URL_SECONDS
    assert signed_urls.verify(package.sha256, **query, secret=settings.URL_SECRET, at=NOON)


def test_a_target_by_its_bare_name_leads_to_the_same_address(caller, package):
    bare = caller.get("repo/targets/supplier/gateway-2.0")

    assert bare["Location"] == caller.get(path_of(package, package.sha256))["Location"]


def test_downloads_may_have_a_server_of_their_own(caller, package, settings):
    settings.DOWNLOAD_URL = "https://cdn.example/ota/"

    response = caller.get(path_of(package, package.sha256))

    assert response["Location"].startswith(f"https://cdn.example/ota/downloads/{package.sha256}?expires=")


def test_a_package_whose_name_begins_like_a_digest_is_found(caller, trust):
    make_package(trust.tenant, f"{'a' * 64}.firmware", "1.0")

    assert caller.get(f"repo/targets/supplier/{'a' * 64}.firmware-1.0").status_code == 302


def test_a_target_under_another_digest_is_404(caller, package):
    check_problem(caller.get(path_of(package, "0" * 64)), 404, "target.not_found")


@pytest.mark.parametrize("state", [PackageState.UPLOADING, PackageState.VERIFYING, PackageState.WITHDRAWN])
def test_an_unpublished_or_withdrawn_target_is_404(caller, package, state):
    Package.objects.update(state=state)

    check_problem(caller.get(path_of(package, package.sha256)), 404, "package.not_found")


def test_targets_need_a_credential_unless_the_tenant_made_them_public(client, package):
    path = "/uptane/acme/" + path_of(package, package.sha256)

    check_problem(client.get(path), 401, "credential.invalid")
    Tenant.objects.update(has_public_targets=True)

    assert client.get(path).status_code == 302
