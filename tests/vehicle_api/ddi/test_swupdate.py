"""Debian's real SWUpdate, unmodified, against the server: in campaigns, with signed images, as nobody."""

import hashlib
import os

import pytest

from otaserver.campaigns import operations
from otaserver.campaigns.models import Attempt, Campaign, Report
from otaserver.fleet import operations as fleet
from otaserver.fleet.models import Ecu, Vehicle
from otaserver.tenants.models import Tenant
from tests.campaigns.campaign_factories import make_started, make_versions, tick
from tests.factories import NOON, make_group, make_release, make_tenant
from tests.processes import wait_for
from tests.vehicle_api.conftest import make_stored_package
from tests.vehicle_api.ddi import swupdate
from tests.vehicle_api.ddi.conftest import GATEWAY, TOKEN, make_device
from tests.vehicle_api.ddi.swupdate import Board, CuttingProxy, Signer, make_image

pytestmark = [
    pytest.mark.any_database,
    pytest.mark.e2e,
    pytest.mark.skipif(bool(swupdate.missing()), reason=swupdate.missing() or "it is here"),
    pytest.mark.django_db(transaction=True),
]
BY_TOKEN = ["-k", TOKEN]


@pytest.fixture(scope="module")
def signer(tmp_path_factory):
    return Signer.make(tmp_path_factory.mktemp("swupdate") / "signer")


class Bench:
    """A tenant with boards on it, and a campaign that brings them an image."""

    def __init__(self, live_server, signer, tmp_path):
        self.url, self.port = live_server.url, int(live_server.url.rpartition(":")[2])
        self.signer, self.tmp_path = signer, tmp_path
        self.tenant = make_tenant("acme", polling_seconds=1)
        self.boards = []

    def board(self, controller="dev1", token=BY_TOKEN, **more):
        make_device(self.tenant, controller)
        return self.unknown_board(controller, token, **more)

    def unknown_board(self, controller, token, *, port=None, **more):
        url = f"http://127.0.0.1:{port or self.port}"
        made = Board(url, controller, token, self.signer.certificate, **more)
        self.boards.append(made)
        return made

    def campaign(self, content, *, signer=None, target=None, **plan):
        """Bring an image that each board writes to its own `installed.bin`."""
        folder = self.tmp_path / "image"
        image = make_image(signer or self.signer, folder, content=content, target=target or "installed.bin")
        package = make_stored_package(
            self.tenant,
            image,
            "board",
            "2.0",
            hardware_ids=("board",),
            filename="board.swu",
            **digests(image),
        )
        self.image = image
        release = make_release(self.tenant, package, name="car", version="2.0")
        old = make_versions(self.tenant, hardware=("board",))
        group = make_group(self.tenant, *Vehicle.objects.filter(tenant=self.tenant))
        campaign = make_started(tenant=self.tenant, old=old, release=release, group=group, **plan)
        tick(campaign)
        return campaign


def digests(content):
    return {name: hashlib.new(name, content).hexdigest() for name in ("sha1", "md5")}


@pytest.fixture
def bench(live_server, server_clock, signer, tmp_path):
    made = Bench(live_server, signer, tmp_path)
    yield made
    for board in made.boards:
        board.remove()


def state(board, campaign):
    return campaign.assignments.get(vehicle__vehicle_id=board.controller).state


def until(board, campaign, wanted):
    wait_for(lambda: state(board, campaign) == wanted, what=f"{board.controller} {wanted}", seconds=120)


def said(board):
    rows = Report.objects.filter(attempt__vehicle__vehicle_id=board.controller).order_by("pk")
    return [line for message in rows.values_list("message", flat=True) for line in message.split("\n")]


def until_installed(board):
    wait_for(lambda: "All Chunks Installed." in said(board), what=f"{board.controller} installed", seconds=120)


def restart(board, *, confirm):
    board.stop()
    board.start(confirm=confirm)


def test_two_boards_are_updated_wave_by_wave_and_confirm_after_their_restart(bench, server_clock):
    boards = [bench.board("dev1"), bench.board("dev2")]
    content = os.urandom(200_000)
    campaign = bench.campaign(content, waves=(50, 100), acceptable_rate=0.1, unacceptable_rate=0.5)
    first = next(board for board in boards if state(board, campaign) == "offered")
    second = next(board for board in boards if board is not first)
    for board in boards:
        board.start()

    until(first, campaign, "installing")
    until_installed(first)
    assert first.installed.read_bytes() == content
    assert not second.installed.exists()
    restart(first, confirm=2)
    until(first, campaign, "soaking")
    assert state(second, campaign) == "waiting"
    server_clock.advance(hours=9)
    tick(campaign, server_clock.now)
    assert state(first, campaign) == "succeeded"
    until(second, campaign, "installing")
    until_installed(second)
    restart(second, confirm=2)
    until(second, campaign, "soaking")
    server_clock.advance(hours=9)
    tick(campaign, server_clock.now)

    assert Campaign.objects.get().state == "completed"
    assert [board.installed.read_bytes() == content for board in boards] == [True, True]
    assert set(Ecu.objects.values_list("installed_target", "is_asserted")) == {("supplier/board-2.0", True)}
    assert "Update Installed." in said(first)
    steps = Report.objects.filter(attempt__vehicle__vehicle_id="dev1", progress__isnull=False)
    assert set(steps.values_list("progress", flat=True)) == {0, 100}


def test_an_image_of_another_signer_is_refused_by_the_board_and_reported(bench, tmp_path):
    board = bench.board()
    campaign = bench.campaign(b"evil" * 1000, signer=Signer.make(tmp_path / "other"))
    board.start()

    until(board, campaign, "failed")

    assert not board.installed.exists()
    assert Attempt.objects.get().outcome == "failure"
    assert any(line.startswith("ERROR") for line in said(board))


def test_an_update_that_does_not_start_is_reported_after_the_restart(bench):
    board = bench.board()
    campaign = bench.campaign(os.urandom(50_000))
    board.start()
    until_installed(board)

    restart(board, confirm=3)

    until(board, campaign, "failed")
    assert Ecu.objects.get().installed_target == ""


def test_withdrawn_before_it_is_fetched_nothing_is_installed(bench):
    board = bench.board()
    campaign = bench.campaign(os.urandom(50_000))
    operations.stop_campaign(campaign, reason="smoke", by="alice", at=NOON)
    board.start()

    until(board, campaign, "withdrawn")

    assert not board.installed.exists()
    assert "cancellation acknowledged." in said(board)


def test_withdrawn_while_it_downloads_the_board_stops(bench):
    # Much more than what the sockets between them hold: what was sent whole counts as being installed.
    board = bench.board(speed="500k")
    campaign = bench.campaign(bytes(24_000_000))
    board.start()
    wait_for(board.installed.exists, what="the beginning of the image", seconds=120)

    operations.stop_campaign(campaign, reason="smoke", by="alice", at=NOON)

    until(board, campaign, "withdrawn")
    assert "cancellation acknowledged." in said(board)
    assert board.installed.stat().st_size < 24_000_000


def test_a_download_that_was_cut_goes_on_where_it_stopped(bench):
    proxy = CuttingProxy(bench.port, cut_after=150_000)
    board = bench.board()
    board.url = f"http://127.0.0.1:{proxy.port}"
    content = os.urandom(400_000)
    campaign = bench.campaign(content)
    board.start()

    until(board, campaign, "installing")
    until_installed(board)

    assert proxy.cuts == 1
    assert board.installed.read_bytes() == content
    proxy.close()


def test_with_a_gateway_token_a_board_registers_itself_and_is_updated(bench):
    fleet.create_gateway_token(bench.tenant, name="line", token=GATEWAY, by="alice", at=NOON)
    fleet.change_ddi_settings(bench.tenant, {"default_hardware_id": "board"}, by="alice", at=NOON)
    board = bench.unknown_board("dev9", ["-g", GATEWAY])
    board.start()
    wait_for(lambda: Vehicle.objects.filter(vehicle_id="dev9").exists(), what="the vehicle", seconds=120)
    campaign = bench.campaign(b"new" * 10_000)

    until(board, campaign, "installing")
    until_installed(board)
    restart(board, confirm=2)

    until(board, campaign, "soaking")
    assert board.installed.read_bytes() == b"new" * 10_000
    assert Tenant.objects.get().name == "acme"
