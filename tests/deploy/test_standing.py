"""What is in `deploy/`, standing as `docs/debian.md` makes it stand, with Debian's nginx, PostgreSQL and Redis."""

import re
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psycopg
import pytest

from otaserver.fleet.credentials.servers import make_server_authority
from tests.clients.vehicle.vehicles import what_runs
from tests.deploy.host import Host, missing, steps
from tests.deploy.road import TARGETS, TIMESTAMP, Road, Traffic, came_through, tokens_in, versions_seen
from tests.deploy.units import UnitError
from tests.processes import ROOT, get, wait_for

pytestmark = [pytest.mark.long, pytest.mark.e2e, pytest.mark.xdist_group("heavy"), pytest.mark.any_database]

*SETTING_UP, RESTORING = steps("debian.md")
(MOVING,) = steps("moving.md")
MANAGE = re.search(r"^manage\(\).*$", "\n".join(SETTING_UP), re.M)[0]
ARCHIVING, COPYING, STOPPING, RECOVERING, RAISING = steps("point-in-time.md")
ROLLING = next(block for block in steps("migrations.md") if "systemctl" in block)
BEHIND_NGINX = ("ota-web@8000", "ota-web@8001", "ota-worker", "ota-beat")


@pytest.fixture(scope="module")
def host():
    if missing():
        pytest.skip(f"not installed: {', '.join(missing())}")
    found = Host()
    try:
        yield found
    finally:
        found.end()


@pytest.fixture(scope="module")
def road(host):
    first = host.do(*SETTING_UP)
    second = host.do(MANAGE, "manage create_token north boss administrator")
    found = Road(host, tokens_in(f"{first}\n{second}"))
    yield found
    found.end()


def written(pids):
    """How many bytes these processes have handed to the kernel: into sockets, files and pipes."""
    return sum(int(re.search(r"wchar: (\d+)", Path(f"/proc/{pid}/io").read_text())[1]) for pid in pids)


def test_vehicles_with_certificates_alone_install_a_signed_release_that_nginx_sends(road):
    cars = road.vehicles("CAR1", "CAR2")
    web = [pid for name in ("ota-web@8000", "ota-web@8001") for pid in road.host.service(name).pids]
    nginx = road.host.service("ota-nginx").pids
    before = written(web), written(nginx)
    road.start_campaign("second", cars, to="2.0", way_back="1.0")

    # One as its maker would drive it, and one as the program that a vehicle runs.
    ended = cars[0].run()
    program = [sys.executable, "-m", "clients.vehicle", "--config", str(cars[1].file), "--once"]
    subprocess.run(program, cwd=ROOT, check=False, capture_output=True)

    assert (ended.status, ended.detail) == ("installed", "city-car 2.0")
    for car in cars:
        assert what_runs(car.config.state_dir) == {f"{car.name}-GATE": "supplier/gateway-2.0"}
    # The images went to both vehicles through nginx; all that the web processes wrote is much less than one of them.
    assert written(web) - before[0] < road.firmware("2.0").stat().st_size / 4
    assert written(nginx) - before[1] > 2 * road.firmware("2.0").stat().st_size


def test_the_signed_address_opens_the_package_at_the_downloads_process_too_and_the_server_itself_sends_none(road):
    (car,) = road.vehicles("CAR3")
    with car.client() as client:
        address = client.get("/uptane/north/repo/targets/supplier/gateway-1.0").headers["location"]
        through_nginx = client.get(address)
    path = address.removeprefix(road.host.url)
    road.host.do("systemctl start ota-downloads")

    by_itself = wait_for(lambda: get(road.host.port_url("8002") + path), what="downloads")
    host = {"Host": "localhost", "X-Forwarded-Proto": "https"}
    with httpx.Client(transport=httpx.HTTPTransport(local_address="127.0.0.2")) as nginx:
        as_nginx = nginx.get(road.host.port_url("8000") + path, headers=host)

    road.host.do("systemctl stop ota-downloads")
    assert through_nginx.content == by_itself.content == road.firmware("1.0").read_bytes()
    assert (as_nginx.status_code, as_nginx.content) == (200, b"")
    assert as_nginx.headers["x-accel-redirect"].startswith("/_packages/")


def test_a25_forged_headers_make_nobody_a_vehicle(road):
    one, other = road.vehicles("CAR4", "CAR5")
    with one.client() as client, httpx.Client(verify=road.host.tls(), base_url=road.host.url) as stranger:
        serial = subprocess.run(
            ["openssl", "x509", "-noout", "-serial", "-in", other.certificate[0]],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        forged = {
            "X-Client-Verify": "SUCCESS",
            "X-Client-Serial": serial.removeprefix("serial="),
            "X-Client-Subject": f"CN={other.name},O=north",
        }

        with_a_certificate = client.get(TARGETS, headers=forged)
        without_one = stranger.get(TIMESTAMP, headers=forged)
        past_nginx = get(road.host.port_url("8000") + TIMESTAMP, headers=forged | {"Host": "localhost"})

    assert with_a_certificate.json()["signed"]["vehicle_id"] == one.name
    assert (without_one.status_code, without_one.json()["code"]) == (401, "credential.invalid")
    assert (past_nginx.status_code, past_nginx.json()["code"]) == (401, "credential.invalid")


def stored_reports(host):
    with psycopg.connect(host.cluster.url("ota")) as connection:
        return {row[0] for row in connection.execute("SELECT report_id FROM campaigns_report")}


def test_a_new_version_is_rolled_out_while_vehicles_poll_and_report_and_no_request_fails(road):
    idle, *cars = road.vehicles("CAR6", "CAR7", "CAR8")
    road.start_campaign("under load", cars, to="2.0", way_back="1.0")
    before = {name: road.host.service(name).pids for name in BEHIND_NGINX}

    with Traffic(cars, [idle]).flowing() as traffic:
        road.host.do("systemctl reload ota-migrate", ROLLING, "systemctl restart ota-worker ota-beat")
        seen = traffic.requests
        wait_for(lambda: traffic.requests > seen + 50, what="traffic afterwards")

    assert set(traffic.answers) == {("GET", 200), ("GET", 304), ("POST", 200)}
    assert traffic.accepted - stored_reports(road.host) == set()
    assert len(traffic.accepted) == traffic.answers["POST", 200]
    for name in BEHIND_NGINX:
        assert set(road.host.service(name).pids).isdisjoint(before[name])


def test_a_vehicle_that_has_seen_more_than_the_backup_knows_goes_on_after_a_restore(road):
    cars = road.vehicles("CAR9")
    road.host.do("systemctl start ota-backup")
    road.start_campaign("after the backup", cars, to="2.0", way_back="1.0")
    assert cars[0].run().status == "installed"
    seen = versions_seen(cars[0])

    road.host.do(MANAGE, RESTORING)
    back = wait_for(lambda: came_through(cars[0]), what="the server", seconds=60)

    assert (back.status, back.detail) == ("idle", "")
    assert "after the backup" not in [each["name"] for each in road.publisher.api.rows("/campaigns")]
    road.start_campaign("once more", cars, to="3.0", way_back="2.0")
    assert cars[0].run().status == "installed"
    assert what_runs(cars[0].config.state_dir) == {"CAR9-GATE": "supplier/gateway-3.0"}
    now = versions_seen(cars[0])
    assert set(now) == set(seen)
    assert {name: seen[name] < 1_000_000 < now[name] for name in seen} == dict.fromkeys(seen, True)


def test_after_a_recovery_to_a_moment_versions_are_above_what_vehicles_have_seen_and_what_came_before_is_there(road):
    road.host.do(ARCHIVING)
    wait_for(lambda: get(f"{road.host.url}/readyz").status_code == 200, what="the server")
    road.host.do(COPYING)
    # What only the archive has.
    cars = road.vehicles("CAR10")
    time.sleep(1.1)
    moment = datetime.now(tz=UTC)
    time.sleep(1.1)
    road.start_campaign("after the moment", cars, to="2.0", way_back="1.0")
    assert cars[0].run().status == "installed"
    seen = versions_seen(cars[0])

    road.host.do(STOPPING)
    with pytest.raises(AssertionError, match="restore-unfinished is there"):
        road.host.do(MANAGE, "cd /opt/ota; manage shell -c 'import otaserver.wsgi'")
    recovering = RECOVERING.replace("2026-06-01 12:00:00+00", moment.isoformat(sep=" "))
    assert recovering != RECOVERING
    # As PostgreSQL's own default has it: it can only be read.
    road.host.do(recovering.replace("'promote'", "'pause'").partition("until ")[0])
    with pytest.raises(AssertionError, match="can only be read"):
        road.host.do(MANAGE, "manage after_restore")
    road.host.do(
        "runuser -u postgres -- psql -c 'SELECT pg_wal_replay_resume()'", recovering[recovering.index("until ") :]
    )
    road.host.do(MANAGE, RAISING)

    back = wait_for(lambda: came_through(cars[0]), what="the server", seconds=60)
    assert (back.status, back.detail) == ("idle", "")
    assert "after the moment" not in [each["name"] for each in road.publisher.api.rows("/campaigns")]
    road.start_campaign("again", cars, to="3.0", way_back="2.0")
    assert cars[0].run().status == "installed"
    now = versions_seen(cars[0])
    assert {name: seen[name] + 900_000 < now[name] for name in seen} == dict.fromkeys(seen, True)
    # The history that is written now is another one, and is archived too.
    assert "recovery_target_time" not in road.host.place("/var/lib/postgresql/15/main/postgresql.auto.conf").read_text()
    road.host.do("rm -r /var/lib/postgresql/15/main.2*", COPYING)


def test_a_renewed_certificate_is_taken_by_a_reload_and_one_that_does_not_fit_is_not_taken_in_silence(road):
    place = road.host.place("/srv/ota/nginx/server.pem")
    served = f"openssl s_client -connect localhost:{road.host.ports['443']} < /dev/null 2> /dev/null"
    before, good = road.host.do(served), place.read_text()
    authority = make_server_authority(at=datetime.now(tz=UTC))
    key = road.host.place("/srv/ota/nginx/server.key")
    old_key = key.read_bytes()

    place.write_text(authority.certificate_pem)
    with pytest.raises(AssertionError, match="key values mismatch"):
        road.host.do("systemctl reload ota-nginx")
    assert certificate_in(road.host.do(served)) == certificate_in(before)
    key.write_bytes(authority.key_pem)
    road.host.do("systemctl reload ota-nginx")
    taken = wait_for(lambda: certificate_in(road.host.do(served)) == authority.certificate_pem.strip(), what="nginx")

    assert taken
    place.write_text(good)
    key.write_bytes(old_key)
    road.host.do("systemctl reload ota-nginx")
    wait_for(lambda: certificate_in(road.host.do(served)) == certificate_in(before), what="the old certificate")


def certificate_in(text):
    return re.search(r"-----BEGIN.*?CERTIFICATE-----.*?END CERTIFICATE-----", text, re.S)[0]


def test_where_postgresql_comes_later_than_the_rest_of_the_host_all_of_it_comes_up_by_itself(road):
    systemd, units = road.host.systemd, [road.host.here(name) for name in ("ota-migrate", *BEHIND_NGINX)]
    for name in reversed(units):
        systemd.stop(name)
    road.host.cluster.kill()

    for name in units:
        with pytest.raises(UnitError):
            systemd.start(name)
    assert [name for name in BEHIND_NGINX if road.host.service(name).pids] == []
    road.host.cluster.start()
    wait_for(systemd.tend, seconds=60, what="all units")

    assert wait_for(lambda: get(f"{road.host.url}/readyz").status_code == 200, what="the server")


def test_everything_keeps_to_what_its_unit_lets_it_write(road):
    folder, allowed = str(road.host.folder), str(road.host.place("/srv/ota"))
    found = {service.unit.name: service for service in road.host.systemd.services.values() if service.pids}

    assert len(found) == 5
    for name, service in found.items():
        assert service.unit.all("ReadWritePaths") == [allowed]
        written = {path for pid in service.pids for path in open_for_writing(pid)}
        # Its own /tmp is open to each, and the journal. But not what this host has below its own folder.
        elsewhere = {path for path in written if path.startswith(folder) or not path.startswith(("/dev/", "/tmp/"))}
        assert {path for path in elsewhere if not path.startswith((allowed, f"{folder}/log/"))} == set(), name
    # What is written and closed again at once.
    units = {path.name for path in (ROOT / "deploy" / "systemd").iterdir()}
    assert {path.name for path in Path(folder, "etc").rglob("*") if path.is_file()} == {"ota.env", *units}


def open_for_writing(pid):
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        path = str(descriptor.readlink())
        flags = int(re.search(r"flags:\s+(\d+)", Path(f"/proc/{pid}/fdinfo/{descriptor.name}").read_text())[1], 8)
        # Others than files have no folder: sockets, pipes, memory.
        if flags & 3 and path.startswith("/") and not path.startswith("/memfd:"):
            yield path


def test_vehicles_go_on_at_another_machine_that_has_the_name_now(road):
    """The last: the old machine ends with it."""
    (car,) = road.vehicles("CAR11")
    road.start_campaign("before the move", [car], to="2.0", way_back="1.0")
    old = road.host
    old.do("systemctl stop ota-beat ota-worker ota-web@8000 ota-web@8001", "systemctl start ota-backup")
    new = Host(in_place_of=old)
    try:
        copies = new.folder / "root" / "copies"
        shutil.copytree(old.place("/srv/ota/packages"), copies / "packages")
        shutil.copytree(max(old.place("/srv/ota/backups").glob("2*")), copies / "backup")
        # The same file, but for the places that differ here.
        secrets = re.findall(
            r"^OTA_\w+SECRET\w*=.+$|^OTA_SECRET_KEY=.+$", old.place("/etc/ota/ota.env").read_text(), re.M
        )
        example = new.place("/opt/ota/deploy/ota.env.example").read_text()
        (copies / "ota.env").write_text("\n".join([example, *secrets]))
        old.do("systemctl stop ota-nginx")

        new.do(*SETTING_UP[:2], MANAGE, MOVING, SETTING_UP[-1])

        assert len(secrets) == 2
        assert wait_for(lambda: came_through(car), what="the new machine").status == "installed"
        assert what_runs(car.config.state_dir) == {"CAR11-GATE": "supplier/gateway-2.0"}
    finally:
        new.end()
