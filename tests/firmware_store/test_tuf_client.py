"""An independent client, given nothing but the Image repository's first root."""

import re
from datetime import UTC, datetime

import pytest
from tuf.api.exceptions import DownloadHTTPError, RepositoryError
from tuf.api.metadata import Metadata
from tuf.ngclient import Updater
from tuf.ngclient.fetcher import FetcherInterface

from firmware_store import blobs, operations, queries
from firmware_store.models import RoleMetadata
from firmware_store.states import Profile, Repository
from firmware_store.trust import operations as trust
from firmware_store.trust import queries as trust_queries
from firmware_store.trust.errors import MetadataNotFoundError
from otaserver.errors import NotFoundError
from tests.factories import make_tenant
from tests.firmware_store.ceremony import Ceremony, new_keys

pytestmark = pytest.mark.django_db
CONTENT = b"firmware" * 1000
# python-tuf reads the system clock.
NOW = datetime.now(tz=UTC).replace(microsecond=0)


class StoredRows(FetcherInterface):
    """Serves the addresses that the vehicle API serves, from the rows and blobs themselves."""

    def __init__(self, tenant):
        self.tenant = tenant

    def _fetch(self, url):
        found = re.fullmatch(r"repo:///metadata/(?:(\d+)\.)?([a-z0-9-]+)\.json", url)
        try:
            yield self._metadata(found[2], found[1]) if found else self._target(url)
        except NotFoundError as error:
            raise DownloadHTTPError(str(error), 404) from error

    def _metadata(self, role, version):
        number = int(version) if version else None
        row = trust_queries.role_metadata(self.tenant, Repository.IMAGE, role, Profile.TUF, number)
        return bytes(row.body)

    def _target(self, url):
        role, digest, name = re.fullmatch(r"repo:///targets/([a-z0-9-]+)/([0-9a-f]+)\.(.+)", url).groups()
        package = queries.published_package(self.tenant, f"{role}/{name}")
        assert digest in (package.sha256, package.sha512)
        with blobs.open_blob(package.sha256) as file:
            return file.read()


@pytest.fixture
def ceremony():
    return Ceremony(make_tenant(), at=NOW).establish()


@pytest.fixture
def updater(ceremony, tmp_path):
    first_root = trust_queries.role_metadata(ceremony.tenant, Repository.IMAGE, "root", Profile.TUF, 1)
    folder = tmp_path / "client"

    def make(name="client"):
        (folder / name / "targets").mkdir(parents=True, exist_ok=True)
        return Updater(
            str(folder / name),
            "repo:///metadata/",
            str(folder / name / "targets"),
            "repo:///targets/",
            fetcher=StoredRows(ceremony.tenant),
            bootstrap=bytes(first_root.body),
        )

    return make


def downloaded(updater, name="supplier/engine-1.0"):
    target = updater.get_targetinfo(name)
    with open(updater.download_target(target), "rb") as file:
        return file.read()


def test_it_verifies_a_published_package_from_only_the_first_root(ceremony, updater):
    ceremony.publish(CONTENT)

    assert downloaded(updater()) == CONTENT


def test_it_verifies_it_after_a_root_rotation_also_as_a_client_that_knew_the_first(ceremony, updater):
    ceremony.publish(CONTENT)
    assert downloaded(updater("old")) == CONTENT
    old = ceremony.keys["image root"]
    ceremony.keys["image root"] = new_keys(2)
    both = [*old, *ceremony.keys["image root"]]
    trust.create_online_keys(ceremony.tenant, at=NOW, rotate=True)

    trust.publish_root(ceremony.tenant, "image", ceremony.root("image", 2, signers=both), by="alice", at=NOW)

    assert downloaded(updater("old")) == CONTENT
    assert downloaded(updater("new")) == CONTENT


def test_it_verifies_it_after_the_targets_and_release_keys_were_replaced(ceremony, updater):
    ceremony.publish(CONTENT)
    assert downloaded(updater()) == CONTENT

    ceremony.keys["image targets"] = new_keys()
    trust.publish_root(
        ceremony.tenant, "image", ceremony.root("image", 2), targets=ceremony.targets(2), by="alice", at=NOW
    )
    ceremony.keys["supplier"] = new_keys()
    trust.publish_targets(
        ceremony.tenant,
        "targets",
        ceremony.targets(3),
        expected_version=2,
        resigned={"supplier": ceremony.role("supplier", 2)},
        by="alice",
        at=NOW,
    )

    assert downloaded(updater()) == CONTENT
    assert downloaded(updater("new")) == CONTENT


def test_a_withdrawn_package_is_not_found(ceremony, updater):
    package = ceremony.publish(CONTENT)
    ceremony.entries["supplier"] = {}
    operations.withdraw_package(package, metadata=ceremony.role("supplier", 2), expected_version=1, by="alice", at=NOW)

    assert updater().get_targetinfo("supplier/engine-1.0") is None


def test_of_a_role_without_packages_it_can_install_nothing(ceremony, updater):
    with pytest.raises((RepositoryError, KeyError)):
        updater().get_targetinfo("supplier/engine-1.0")


def test_every_body_in_its_profile_is_accepted_by_python_tuf(ceremony):
    ceremony.publish(CONTENT)

    rows = RoleMetadata.objects.filter(profile=Profile.TUF)
    read = {(row.repository, row.role, Metadata.from_bytes(bytes(row.body)).signed.version) for row in rows}
    assert read == {
        ("image", "root", 1),
        ("director", "root", 1),
        ("image", "targets", 1),
        ("image", "supplier", 1),
        *(("image", role, version) for role in ("snapshot", "timestamp") for version in (1, 2)),
    }


def test_there_is_no_metadata_but_what_was_published(ceremony):
    with pytest.raises(MetadataNotFoundError):
        trust_queries.role_metadata(ceremony.tenant, Repository.IMAGE, "supplier", Profile.TUF)
