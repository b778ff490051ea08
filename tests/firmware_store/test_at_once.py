"""Several publishers in the same moment, in transactions of their own: exactly one wins, and nothing is lost."""

import hashlib
import io
import threading

import pytest

from firmware_store import operations
from firmware_store.errors import UploadBusyError, UploadTooLongError
from firmware_store.models import OnlineKey, Package, RoleMetadata
from firmware_store.states import PackageState, Repository
from firmware_store.trust import operations as trust
from firmware_store.trust import queries
from firmware_store.trust.errors import MetadataStaleError
from otaserver.audit import queries as audit
from otaserver.errors import ConflictError
from tests.factories import NOON, make_tenant
from tests.firmware_store.ceremony import Ceremony, new_keys, target_entry

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def ceremony():
    return Ceremony(make_tenant(), roles=("supplier", "other")).establish()


def publisher(ceremony, package, content):
    """Return what publishes the package on top of an empty role."""
    bodies = ceremony.role(package.role, 1, entries={package.target_name: target_entry(package, content)})
    return lambda: operations.publish_package(
        Package.objects.get(pk=package.pk), metadata=bodies, expected_version=0, by="alice", at=NOON
    )


def test_of_two_publishers_in_one_role_exactly_one_wins(ceremony, at_once):
    packages = [ceremony.upload(b"content", version=version) for version in ("1", "2")]

    outcomes = at_once(*(publisher(ceremony, package, b"content") for package in packages))

    assert sorted(type(one) for one in outcomes if one is not None) == [MetadataStaleError]
    assert sorted(Package.objects.values_list("state", flat=True)) == [PackageState.PUBLISHED, PackageState.UPLOADING]
    assert queries.latest_version(ceremony.tenant, Repository.IMAGE, "supplier") == 1
    assert audit.first_break(ceremony.tenant) is None


def test_two_publishers_in_two_roles_both_win_and_the_snapshot_lists_both(ceremony, at_once):
    packages = [ceremony.upload(b"content", role=role) for role in ("supplier", "other")]

    outcomes = at_once(*(publisher(ceremony, package, b"content") for package in packages))

    assert outcomes == [None, None]
    assert set(Package.objects.values_list("state", flat=True)) == {PackageState.PUBLISHED}
    assert queries.latest_version(ceremony.tenant, Repository.IMAGE, "snapshot") == 3
    assert RoleMetadata.objects.filter(role="snapshot").count() == 6


def test_one_package_published_twice_at_once_is_published_once(ceremony, at_once):
    package = ceremony.upload(b"content")

    outcomes = at_once(*[publisher(ceremony, package, b"content")] * 2)

    assert outcomes.count(None) == 1
    assert all(isinstance(one, ConflictError) for one in outcomes if one is not None)
    assert Package.objects.get().state == PackageState.PUBLISHED
    assert queries.latest_version(ceremony.tenant, Repository.IMAGE, "supplier") == 1


def test_a_package_is_not_published_while_a_connection_could_still_change_its_bytes(ceremony, at_once):
    package = operations.begin_package(
        ceremony.tenant,
        role="supplier",
        name="engine",
        version="1.0",
        hardware_ids=["gateway"],
        release_counter=0,
        filename="engine.bin",
        length=7,
        sha256=hashlib.sha256(b"content").hexdigest(),
        by="alice",
        at=NOON,
    )
    has_come, may_end = threading.Event(), threading.Event()

    class Open:
        blocks = [b"content"]

        def read(self, size):
            if self.blocks:
                return self.blocks.pop()
            has_come.set()
            may_end.wait(10)
            return b"x"

    def publish():
        has_come.wait(10)
        try:
            publisher(ceremony, package, b"content")()
        finally:
            may_end.set()

    outcomes = at_once(lambda: operations.append_bytes(package, Open(), offset=0, at=NOON), publish)

    assert [type(one) for one in outcomes] == [UploadTooLongError, UploadBusyError]
    package.refresh_from_db()
    assert (package.state, operations.received_bytes(package)) == (PackageState.UPLOADING, 0)
    operations.append_bytes(package, io.BytesIO(b"content"), offset=0, at=NOON)
    publisher(ceremony, package, b"content")()
    package.refresh_from_db()
    assert (package.state, operations.received_bytes(package)) == (PackageState.PUBLISHED, 7)


def test_of_two_next_roots_exactly_one_wins(ceremony, at_once):
    roots = []
    for _ in range(2):
        old, new = ceremony.keys["image root"], new_keys()
        roles = ceremony.root_roles("image") | {"root": ([new[0].public_key.to_dict()], 1)}
        roots.append(ceremony.root("image", 2, signers=[*old, *new], roles=roles))

    outcomes = at_once(
        *(
            lambda root=root: trust.publish_root(ceremony.tenant, Repository.IMAGE, root, by="alice", at=NOON)
            for root in roots
        )
    )

    assert sorted(type(one) for one in outcomes if one is not None) == [MetadataStaleError]
    assert queries.latest_version(ceremony.tenant, Repository.IMAGE, "root") == 2


def test_a_package_declared_twice_at_once_is_one_upload(ceremony, at_once):
    outcomes = at_once(*[lambda: ceremony.upload(b"content").pk] * 2)

    assert Package.objects.count() == 1
    assert {one for one in outcomes if isinstance(one, int)} == {Package.objects.get().pk}
    assert operations.received_bytes(Package.objects.get()) == len(b"content")


def test_online_keys_made_twice_at_once_are_made_once(at_once):
    tenant = make_tenant()

    outcomes = at_once(*[lambda: trust.create_online_keys(tenant, at=NOON)] * 2)

    assert sorted(len(one) for one in outcomes) == [0, 5]
    assert OnlineKey.objects.count() == 5


def test_two_refreshes_at_once_sign_once(ceremony, at_once):
    later = NOON.replace(day=7)

    outcomes = at_once(*[lambda: trust.refresh_online(ceremony.tenant, at=later)] * 2)

    assert sorted(outcomes) == [False, True]
    assert queries.latest_version(ceremony.tenant, Repository.IMAGE, "snapshot") == 2


def test_an_upload_read_while_it_is_published_takes_no_more_bytes(ceremony):
    package = ceremony.publish(b"content")

    with pytest.raises(ConflictError):
        operations.append_bytes(package, io.BytesIO(b"x"), offset=7, at=NOON)
