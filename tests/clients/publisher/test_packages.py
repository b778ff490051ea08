import shutil
from threading import Barrier

import httpx
import pytest

from clients.publisher import packages as packages_module
from clients.publisher.errors import InputError, ServerRefusalError, TrustError, UnreachableError
from clients.publisher.keystore import KeyStore
from firmware_store import blobs
from firmware_store.models import Package, RoleMetadata
from firmware_store.states import PackageState
from otaserver.audit.models import Entry
from tests.clients.publisher.conftest import FIRMWARE, Wire, spec

pytestmark = pytest.mark.any_database

SEGMENT = 4096


@pytest.fixture
def small_segments(monkeypatch):
    """Files of a few kilobytes then take several requests, as large ones do."""
    monkeypatch.setattr(packages_module, "SEGMENT_BYTES", SEGMENT)


def role_version(tenant, role="supplier"):
    rows = RoleMetadata.objects.filter(tenant=tenant, role=role, profile="tuf-1.0")
    return rows.order_by("-version").first().version


def signed_targets(ready, role="supplier"):
    return ready.publisher().trust.current(role).signed["targets"]


def test_a_published_file_is_on_the_server_signed_and_recorded(ready, firmware):
    published = ready.publisher().packages.publish(firmware, spec(release_counter=3))

    package = Package.objects.get()
    assert (package.pk, package.state, package.release_counter) == (published.id, PackageState.PUBLISHED, 3)
    assert published.target_name == "supplier/engine-1.0"
    assert list(signed_targets(ready)) == ["supplier/engine-1.0"]
    with blobs.open_blob(published.sha256) as stored:
        assert stored.read() == FIRMWARE
    assert Entry.objects.filter(action="package.published", actor="token:ci").count() == 1


def test_publishing_again_changes_nothing(ready, firmware):
    first = ready.publisher().packages.publish(firmware, spec())

    again = ready.publisher().packages.publish(firmware, spec())

    assert (again.id, again.is_new) == (first.id, False)
    assert Package.objects.count() == 1
    assert role_version(ready.tenant) == 2


def test_the_release_counter_defaults_to_the_highest_in_use_for_the_hardware(ready, firmware, tmp_path):
    packages = ready.publisher().packages
    packages.publish(firmware, spec("1.0", release_counter=4))
    packages.publish(firmware, spec("1.0", name="brake", hardware_ids=("brake",), release_counter=9))

    published = packages.publish(firmware, spec("1.1"))

    assert published.release_counter == 4


def test_an_upload_cut_off_goes_on_within_the_same_command(ready, firmware, small_segments):
    cuts = []

    def cut(request: httpx.Request) -> None:
        if request.method == "PATCH" and request.headers["Upload-Offset"] == str(SEGMENT) and not cuts:
            cuts.append(request)
            raise httpx.WriteError("gone")

    ready.wire.before = cut

    published = ready.publisher().packages.publish(firmware, spec())

    patches = [line for line in ready.wire.seen if line.startswith("PATCH")]
    assert published.is_new
    assert len(patches) == 4  # three segments, one of them twice


def test_an_upload_whose_answer_was_lost_is_not_sent_twice(ready, firmware, small_segments):
    lost = []

    def lose(request: httpx.Request, response: httpx.Response) -> None:
        if request.method == "PATCH" and not lost:
            lost.append(request)
            raise httpx.ReadError("gone")

    ready.wire.after = lose

    ready.publisher().packages.publish(firmware, spec())

    assert len([line for line in ready.wire.seen if line.startswith("PATCH")]) == 3


def test_an_upload_given_up_is_resumed_by_the_next_command(ready, firmware, small_segments):
    def cut(request: httpx.Request) -> None:
        if request.method == "PATCH" and request.headers["Upload-Offset"] != "0":
            raise httpx.WriteError("gone")

    ready.wire.before = cut
    with pytest.raises(UnreachableError):
        ready.publisher().packages.publish(firmware, spec())
    ready.wire.before = None
    ready.wire.seen.clear()
    seen = []

    ready.publisher().packages.publish(firmware, spec(), progress=lambda here, total: seen.append((here, total)))

    assert seen == [(SEGMENT, len(FIRMWARE)), (2 * SEGMENT, len(FIRMWARE)), (len(FIRMWARE), len(FIRMWARE))]
    assert len([line for line in ready.wire.seen if line.startswith("PATCH")]) == 2


def test_a_publication_whose_answer_was_lost_is_found_done(ready, firmware):
    def lose(request: httpx.Request, response: httpx.Response) -> None:
        if request.url.path.endswith("/publish"):
            raise httpx.ReadError("gone")

    ready.wire.after = lose

    published = ready.publisher().packages.publish(firmware, spec())

    assert Package.objects.get(pk=published.id).state == PackageState.PUBLISHED
    assert role_version(ready.tenant) == 2


def test_of_two_publishers_at_once_the_later_signs_on_top_of_the_earlier(ready, firmware, tmp_path):
    other_file = tmp_path / "brake.bin"
    other_file.write_bytes(b"brake")
    other_keys = tmp_path / "copied-keys"
    shutil.copytree(ready.keys.folder, other_keys)
    other = ready.publisher(Wire(), KeyStore(other_keys))
    raced = []

    def race(request: httpx.Request) -> None:
        if request.url.path.endswith("/publish") and not raced:
            raced.append(other.packages.publish(other_file, spec(name="brake", hardware_ids=("brake",))))

    ready.wire.before = race

    ready.publisher().packages.publish(firmware, spec())

    assert sorted(signed_targets(ready)) == ["supplier/brake-1.0", "supplier/engine-1.0"]
    assert role_version(ready.tenant) == 3
    assert len([line for line in ready.wire.seen if line.endswith("/publish")]) == 2


def test_a_file_that_changes_while_it_is_sent_is_refused_and_nothing_is_signed(ready, firmware):
    def truncate(request: httpx.Request) -> None:
        if request.method == "POST" and request.url.path.endswith("/packages"):
            firmware.write_bytes(bytes(len(FIRMWARE)))

    ready.wire.before = truncate

    with pytest.raises(ServerRefusalError) as caught:
        ready.publisher().packages.publish(firmware, spec())

    assert caught.value.code == "package.content_differs"
    assert Package.objects.get().state == PackageState.REFUSED
    assert role_version(ready.tenant) == 1


def test_a_package_that_was_refused_can_be_published_right_after(ready, firmware):
    packages = ready.publisher().packages
    package = packages._declare(spec(), 0, "engine.bin", packages_module.file_facts(firmware))
    ready.publisher().api.append(
        f"/packages/{package['id']}/content", [bytes(len(FIRMWARE))], offset=0, length=len(FIRMWARE)
    )
    with pytest.raises(ServerRefusalError):
        packages.publish(firmware, spec())

    published = packages.publish(firmware, spec())

    assert published.is_new
    assert sorted(Package.objects.values_list("state", flat=True)) == ["published", "refused"]


def test_a_file_beyond_the_servers_limit_is_refused_before_a_byte_is_sent(ready, firmware, settings):
    settings.MAX_PACKAGE_BYTES = len(FIRMWARE) - 1

    with pytest.raises(ServerRefusalError) as caught:
        ready.publisher().packages.publish(firmware, spec())

    assert (caught.value.code, caught.value.status) == ("package.too_large", 413)
    assert not Package.objects.exists()
    assert not any(line.startswith("PATCH") for line in ready.wire.seen)


def test_more_bytes_than_declared_are_refused_and_not_kept(ready, firmware):
    packages = ready.publisher().packages
    package = packages._declare(spec(), 0, "engine.bin", packages_module.file_facts(firmware))
    content = f"/packages/{package['id']}/content"

    with pytest.raises(ServerRefusalError) as caught:
        ready.publisher().api.append(content, [FIRMWARE + b"x"], offset=0, length=len(FIRMWARE) + 1)

    assert caught.value.code == "upload.too_long"
    assert ready.publisher().api.uploaded(content) == 0


def test_publishing_with_bytes_missing_is_refused_for_now(ready, firmware):
    packages = ready.publisher().packages
    package = packages._declare(spec(), 0, "engine.bin", packages_module.file_facts(firmware))
    bodies, _ = ready.publisher().trust.signed_targets("supplier", 2, {})

    with pytest.raises(ServerRefusalError) as caught:
        ready.publisher().api.post(
            f"/packages/{package['id']}/publish", {"metadata": packages_module.encoded(bodies)}, replaces=1
        )

    assert (caught.value.code, caught.value.status) == ("upload.incomplete", 409)
    assert Package.objects.get().state == PackageState.UPLOADING


def test_a_name_and_version_used_for_other_content_is_refused(ready, firmware):
    ready.publisher().packages.publish(firmware, spec())
    firmware.write_bytes(b"other content")

    with pytest.raises(ServerRefusalError) as caught:
        ready.publisher().packages.publish(firmware, spec())

    assert caught.value.code == "package.name_taken"
    assert Package.objects.count() == 1
    assert role_version(ready.tenant) == 2


def test_a_signature_by_keys_that_are_not_the_roles_is_refused(ready, firmware, tmp_path):
    stranger = KeyStore.create(tmp_path / "other-keys", tenant="acme", roles=["supplier"])
    packages = ready.publisher().packages
    package = packages._declare(spec(), 0, "engine.bin", packages_module.file_facts(firmware))
    packages._upload(package, firmware, None)
    entry = {"supplier/engine-1.0": {}}
    bodies, _ = ready.publisher(keys=stranger).trust.signed_targets("supplier", 2, entry)

    with pytest.raises(ServerRefusalError) as caught:
        ready.publisher().api.post(
            f"/packages/{package['id']}/publish", {"metadata": packages_module.encoded(bodies)}, replaces=1
        )

    assert caught.value.status == 422
    assert Package.objects.get().state == PackageState.REFUSED
    assert role_version(ready.tenant) == 1


def test_a_publisher_with_other_keys_stops_before_it_sends_anything(ready, firmware, tmp_path):
    stranger = KeyStore.create(tmp_path / "other-keys", tenant="acme", roles=["supplier"])

    with pytest.raises(TrustError):
        ready.publisher(keys=stranger).packages.publish(firmware, spec())

    assert not Package.objects.exists()


@pytest.mark.parametrize("name", ["two words", "a/b", ".hidden", "ä", ""])
def test_a_name_that_cannot_stand_in_signed_metadata_is_refused(ready, firmware, name):
    with pytest.raises((InputError, ServerRefusalError)):
        ready.publisher().packages.publish(firmware, spec(name=name))

    assert not Package.objects.exists()


def test_a_file_that_is_not_there_is_an_error_of_input(ready, tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        ready.publisher().packages.publish(tmp_path / "none.bin", spec())


def test_a_role_that_has_no_metadata_yet_is_named(bench, firmware):
    with pytest.raises(InputError, match="trust init"):
        bench.publisher().packages.publish(firmware, spec())


def test_a_withdrawn_package_leaves_the_signed_targets(ready, firmware):
    packages = ready.publisher().packages
    packages.publish(firmware, spec())

    packages.withdraw("supplier/engine-1.0")

    assert Package.objects.get().state == PackageState.WITHDRAWN
    assert signed_targets(ready) == {}
    assert packages.withdraw("supplier/engine-1.0") == Package.objects.get().pk


def test_republished_content_gets_a_new_name_and_a_counter_that_vehicles_accept(ready, firmware, tmp_path):
    packages = ready.publisher().packages
    old = packages.publish(firmware, spec("1.0", release_counter=1))
    newer = tmp_path / "newer.bin"
    newer.write_bytes(b"newer")
    packages.publish(newer, spec("2.0", release_counter=2))
    ready.wire.seen.clear()

    again = packages.republish("supplier/engine-1.0", version="1.0-again")

    assert (again.target_name, again.release_counter, again.sha256) == ("supplier/engine-1.0-again", 2, old.sha256)
    assert not any(line.startswith("PATCH") for line in ready.wire.seen)
    assert len(signed_targets(ready)) == 3


def test_a_withdrawn_package_can_be_republished(ready, firmware):
    packages = ready.publisher().packages
    packages.publish(firmware, spec())
    packages.withdraw("supplier/engine-1.0")

    again = packages.republish("supplier/engine-1.0", version="1.0-again")

    assert again.is_new
    assert list(signed_targets(ready)) == ["supplier/engine-1.0-again"]


def test_a_raised_counter_is_higher_than_any_in_use(ready, firmware):
    packages = ready.publisher().packages
    packages.publish(firmware, spec(release_counter=7))

    raised = packages.raise_counter("supplier/engine-1.0", version="1.0-final")
    again = packages.raise_counter("supplier/engine-1.0", version="1.0-final")

    assert (raised.release_counter, raised.is_new) == (8, True)
    assert (again.release_counter, again.is_new) == (8, False)


def test_a_counter_that_bars_nothing_is_refused(ready, firmware):
    packages = ready.publisher().packages
    packages.publish(firmware, spec(release_counter=7))

    with pytest.raises(InputError, match="bars nothing"):
        packages.raise_counter("supplier/engine-1.0", version="1.0-final", release_counter=7)

    assert Package.objects.count() == 1


def test_a_package_that_does_not_exist_is_named(ready):
    with pytest.raises(InputError, match="no package supplier/none-1"):
        ready.publisher().packages.withdraw("supplier/none-1")


@pytest.mark.django_db(transaction=True)
def test_two_publishers_really_at_once_both_end_published(transactional_db, at_once, firmware, tmp_path, request):
    bench = request.getfixturevalue("bench")
    bench.publisher().trust.init()
    start = Barrier(2, timeout=30)

    def publish(index):
        folder = tmp_path / f"keys-{index}"
        shutil.copytree(bench.keys.folder, folder)
        file = tmp_path / f"part-{index}.bin"
        file.write_bytes(bytes([index]) * 1000)
        first = []

        def together(request: httpx.Request) -> None:
            if request.url.path.endswith("/publish") and not first:
                first.append(request)
                start.wait()

        publisher = bench.publisher(Wire(before=together), KeyStore(folder))
        return publisher.packages.publish(file, spec(name=f"part-{index}", hardware_ids=(f"hw-{index}",)))

    results = at_once(lambda: publish(1), lambda: publish(2))

    assert [each.is_new for each in results] == [True, True]
    assert role_version(bench.tenant) == 3
    assert Package.objects.filter(state=PackageState.PUBLISHED).count() == 2
