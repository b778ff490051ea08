import pytest
from django.core.files.storage import default_storage

from firmware_store import blobs
from otaserver.campaigns import operations
from otaserver.campaigns.models import Report
from otaserver.campaigns.rules.windows import Window
from tests.factories import NOON
from tests.vehicle_api.ddi.conftest import CONTENT, RAUC, make_world

pytestmark = pytest.mark.any_database

LENGTH = len(CONTENT)


def test_a_download_is_the_file_with_all_that_hawkbit_says_of_it(world):
    answer, content = world.device.fetch(world.artifact)

    assert (answer.status_code, content) == (200, CONTENT)
    assert {name: answer[name] for name in answer.headers if name not in ("Vary", "X-Request-Id")} == {
        "Content-Type": "application/octet-stream",
        "Content-Length": str(LENGTH),
        "Content-Disposition": "attachment;filename=board.swu",
        "ETag": f'"{world.package.sha1}"',
        "Accept-Ranges": "bytes",
        "Last-Modified": "Mon, 01 Jun 2026 12:00:00 GMT",
        "X-Content-Type-Options": "nosniff",
    } | {name: answer[name] for name in answer.headers if name.startswith(("Cross-", "Referrer-", "X-Frame"))}


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=100-", 100, LENGTH),
        ("bytes=0-0", 0, 1),
        ("bytes=5-9", 5, 10),
        ("bytes=-7", LENGTH - 7, LENGTH),
        (f"bytes=0-{LENGTH * 2}", 0, LENGTH),
    ],
)
def test_a_range_is_a_part(world, asked, start, stop):
    answer, content = world.device.fetch(world.artifact, Range=asked)

    assert (answer.status_code, content) == (206, CONTENT[start:stop])
    assert answer["Content-Range"] == f"bytes {start}-{stop - 1}/{LENGTH}"


@pytest.mark.parametrize(
    "asked",
    [
        f"bytes={'9' * 4500}-{'9' * 4500}",
        f"bytes={'9' * 20}-",
        f"bytes={LENGTH}-",
        "bytes=9-5",
        "bytes=x",
        "octets=0-1",
        "bytes=-0",
        "bytes=--1",
    ],
)
def test_a_range_that_cannot_be_is_refused(world, asked):
    answer = world.device.get(world.artifact, Range=asked)

    assert (answer.status_code, answer.content) == (416, b"")
    assert answer["Content-Range"] == f"bytes */{LENGTH}"


def test_several_ranges_get_the_whole_file(world):
    assert world.device.fetch(world.artifact, Range="bytes=0-1,4-5")[0].status_code == 200


def test_conditions_are_by_sha1_or_by_date(world):
    etag = f'"{world.package.sha1}"'

    def status(**headers):
        return world.device.fetch(world.artifact, **headers)[0].status_code

    assert status(If_Match=etag) == 200
    assert status(If_Match="*") == 200
    assert status(If_Match='"other"') == 412
    assert status(Range="bytes=1-", If_Range=etag) == 206
    assert status(Range="bytes=1-", If_Range="Mon, 01 Jun 2026 12:00:00 GMT") == 206
    assert status(Range="bytes=1-", If_Range="Tue, 02 Jun 2026 12:00:00 GMT") == 200
    assert status(Range="bytes=1-", If_Range='"other"') == 200


def test_head_tells_all_but_the_bytes(world):
    answer = world.device.head(world.artifact)

    assert (answer.status_code, answer["Content-Length"], answer.content) == (200, str(LENGTH), b"")
    assert Report.objects.count() == 0


def test_the_md5_sum_is_a_line_without_its_end(world):
    answer = world.device.get(world.artifact + ".MD5SUM")

    assert answer.content == f"{world.package.md5}  board.swu".encode()
    assert (answer["Content-Type"], answer["Content-Disposition"]) == (
        "text/plain",
        "attachment;filename=board.swu.MD5SUM",
    )


def test_with_the_last_byte_sent_the_client_may_be_installing(world):
    world.device.fetch(world.artifact, Range="bytes=0-99")
    assert world.state == "offered"

    world.device.fetch(world.artifact, Range="bytes=100-")

    assert world.state == "installing"
    operations.lapse_due(NOON.replace(month=7))
    assert (world.state, world.assignment.code) == ("failed", "silent")


def test_a_client_that_may_only_download_has_downloaded(db, server_clock):
    world = make_world(RAUC, windows=[Window(127, 1080, 60)])
    world.device.fetch(world.artifact)
    assert world.state == "downloaded"

    server_clock.advance(hours=6)
    assert world.device.get(world.artifact, Range=f"bytes={LENGTH}-").status_code == 416

    assert world.state == "installing"


def test_of_several_packages_the_last_one_begins_the_installation(db, server_clock):
    world = make_world(hardware=("linux", "mcu"))
    paths = [
        f"/softwaremodules/{item.package_id}/artifacts/{item.package.filename}"
        for item in world.campaign.release.items.order_by("pk")
    ]

    world.device.fetch(paths[0])
    assert world.state == "downloading"
    world.device.fetch(paths[1])

    assert world.state == "installing"


def test_the_files_of_a_module_are_listed_while_its_action_is_open_or_installed(world):
    path = f"/softwaremodules/{world.package.pk}/artifacts"
    assert [one["filename"] for one in world.device.get(path).json()] == ["board.swu"]

    world.device.say("closed", "success")

    assert len(world.device.get(path).json()) == 1
    assert world.device.get(world.artifact).status_code == 404
    assert world.device.get("/softwaremodules/999/artifacts").status_code == 404


@pytest.mark.parametrize(
    "name",
    ["other.swu", "..%2Fboard.swu", "%2e%2e%2f%2e%2e%2fsecrets.json", "board.swu%00", "../board.swu", "board.SWU"],
)
def test_only_the_files_own_name_leads_to_it(world, name):
    answer = world.device.get(f"/softwaremodules/{world.package.pk}/artifacts/{name}")

    assert answer.status_code == 404


def test_a_withdrawn_order_gives_no_bytes_not_even_a_part(world):
    operations.stop_campaign(world.campaign, reason="smoke", by="alice", at=NOON)

    assert world.device.get(world.artifact).status_code == 404
    assert world.device.get(world.artifact, Range="bytes=1-").status_code == 404
    assert world.device.get(world.artifact + ".MD5SUM").status_code == 404


def test_bytes_that_are_gone_are_gone(world):
    default_storage.delete(blobs.blob_path(world.package.sha256))

    answer = world.device.get(world.artifact)

    assert (answer.status_code, answer.json()["errorCode"]) == (410, "hawkbit.server.error.artifact.binaryDeleted")


def test_where_the_storage_serves_itself_the_client_is_sent_there(world, settings):
    settings.STORAGES = settings.STORAGES | {
        "default": {"BACKEND": "tests.vehicle_api.ddi.test_artifacts.Bucket", "OPTIONS": {}}
    }

    answer = world.device.get(world.artifact)

    assert (answer.status_code, answer["Cache-Control"]) == (302, "no-store")
    assert answer["Location"] == f"https://bucket.example/{blobs.blob_path(world.package.sha256)}?signed"


class Bucket:
    """A storage without a disk, that signs its own addresses."""

    def path(self, name):
        raise NotImplementedError

    def url(self, name):
        return f"https://bucket.example/{name}?signed"
