"""The reader of units by which the standing host is made: what systemd would not take, it does not take either."""

import os
import re
import shutil
import subprocess
import time

import pytest

from tests.deploy.host import steps
from tests.deploy.systemd import Systemd
from tests.deploy.units import UnitError, read_environment, read_unit, words
from tests.processes import ROOT, is_running, wait_for

FOLDER = ROOT / "deploy" / "systemd"
INSTANCES = {"ota-web@.service": ("ota-web@8000.service", "ota-web@8001.service")}
NAMES = [name for path in sorted(FOLDER.iterdir()) for name in INSTANCES.get(path.name, (path.name,))]


def unit(name):
    return read_unit(name, (FOLDER / re.sub(r"@\d+", "@", name)).read_text())


@pytest.mark.parametrize("name", NAMES)
def test_every_unit_is_read(name):
    assert unit(name).one("Description", section="Unit").startswith("OTA server: ")


def test_no_two_units_listen_on_one_port():
    """Two graniens would both be let in, and each get some of the connections."""
    ports = [
        port for name in NAMES for line in unit(name).all("ExecStart") for port in re.findall(r"--port (\d+)", line)
    ]

    assert sorted(ports) == ["8000", "8001", "8002"]


def test_the_page_starts_every_unit_but_the_one_that_it_leaves_off():
    started = set(re.findall(r"ota-[\w@.]+", " ".join(re.findall(r"enable --now (.*)", "\n".join(steps("debian.md"))))))
    full = {name if "." in name else f"{name}.service" for name in started}

    assert set(NAMES) - full == {"ota-downloads.service", "ota-backup.service"}
    assert full - set(NAMES) == set()


def test_backups_are_made_as_often_as_wanted_and_the_old_ones_do_not_fill_the_disk(tmp_path):
    make, remove = (
        line.replace("/srv/ota/backups", str(tmp_path)) for line in unit("ota-backup.service").all("ExecStart")
    )
    make = words(make.replace("/opt/ota/.venv/bin/python manage.py backup", "mkdir"), {})
    old = [tmp_path / name for name in ("2020-01-01T023000", ".2020-01-02T023000.making")]
    for path in old:
        path.mkdir()
        (path / "database.dump").touch()
        os.utime(path, (0, 0))

    for _ in range(2):
        subprocess.run(make, check=True)
        time.sleep(1.1)
    subprocess.run(words(remove, {}), check=True)

    assert len(list(tmp_path.iterdir())) == 2
    assert [path for path in old if path.exists()] == []
    # As the page finds the newest.
    assert sorted(tmp_path.iterdir()) == sorted(tmp_path.glob("2*"))


@pytest.mark.parametrize(
    "text",
    [
        "[Service]\nExecStrat=/bin/true\n",
        "[Srevice]\nExecStart=/bin/true\n",
        "[Service]\nExecStart=/bin/date +%F\n",
        "[Service]\nExecStart=/bin/echo %i\n",
    ],
)
def test_what_is_not_known_is_refused(text):
    with pytest.raises(UnitError):
        read_unit("ota-x.service", text)


def test_lines_are_joined_specifiers_and_variables_replaced():
    text = "[Service]\nExecStart=/bin/echo %i \\\n  100%% $MAINPID ${A}b '$(date)'\n"

    found = read_unit("ota-x@7.service", text).one("ExecStart")

    assert words(found, {"MAINPID": "5", "A": "x y"}) == ["/bin/echo", "7", "100%", "5", "x yb", "$(date)"]
    with pytest.raises(UnitError):
        words(found, {})


def test_variables_are_read_as_they_stand():
    assert read_environment("# A comment\n\nA=b=c\nB='d e'\n") == {"A": "b=c", "B": "d e"}
    with pytest.raises(UnitError):
        read_environment("no variable\n")


STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"


@pytest.fixture
def systemd(tmp_path):
    found = Systemd(tmp_path, tmp_path)
    yield found
    found.end()


def write(systemd, folder, name, *lines, needs=""):
    (folder / f"{name}.service").write_text("\n".join([f"[Unit]\n{needs}", "[Service]", *lines]))


def test_what_a_service_needs_is_started_first_and_what_fails_is_said(systemd, tmp_path):
    needs = "Requires=first.service\nAfter=first.service"
    write(systemd, tmp_path, "first", "Type=oneshot", "ExecStart=/bin/false")
    write(systemd, tmp_path, "second", "ExecStart=/bin/sleep 600", needs=needs)
    write(systemd, tmp_path, "third", "ExecStart=/bin/sleep 600", needs="Requires=first.service")

    with pytest.raises(UnitError):
        systemd.call(["start", "second"])
    with pytest.raises(AssertionError, match="does not wait"):
        systemd.call(["start", "third"])

    assert [service.is_active for service in systemd.services.values()] == [False] * 3


def test_what_has_failed_is_started_again_where_its_unit_says_so(systemd, tmp_path):
    needs = "Wants=first.service\nAfter=first.service"
    is_there = f"/usr/bin/test -e {tmp_path}/there"
    write(systemd, tmp_path, "first", "Type=oneshot", f"ExecStart={is_there}", "Restart=on-failure")
    write(
        systemd,
        tmp_path,
        "second",
        f"ExecStartPre=+{is_there}",
        "ExecStart=/bin/sleep 600",
        "Restart=always",
        needs=needs,
    )
    write(systemd, tmp_path, "third", f"ExecStart={is_there}", "Type=oneshot")
    for name in ("second", "third"):
        with pytest.raises(UnitError):
            systemd.call(["start", name])
    assert not systemd.tend()

    (tmp_path / "there").touch()

    assert not systemd.tend()
    assert {name: service.has_failed for name, service in systemd.services.items()} == {
        "first.service": False,
        "second.service": False,
        "third.service": True,
    }
    systemd.is_active("second")
    with pytest.raises(UnitError, match="inactive"):
        systemd.is_active("third")


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="this kernel runs no systemd")
def test_systemd_itself_takes_every_unit(tmp_path):
    for path in FOLDER.iterdir():
        text = re.sub(
            r"(?<=[=+])(/opt/ota/.venv/bin/python|/usr/sbin/nginx|/bin/systemctl)", "/bin/true", path.read_text()
        )
        (tmp_path / path.name).write_text(text)

    said = subprocess.run(
        ["systemd-analyze", "verify", *(str(tmp_path / name) for name in NAMES), str(tmp_path / "ota-backup.timer")],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (said.returncode, said.stderr) == (0, "")


def test_a_service_that_does_not_end_in_time_is_an_error_and_gone(systemd, tmp_path, monkeypatch):
    write(systemd, tmp_path, "stubborn", f'ExecStart=/usr/bin/python3 -c "{STUBBORN}"', "TimeoutStopSec=0.2")
    systemd.call(["enable", "--now", "stubborn"])
    service = systemd.services["stubborn.service"]
    wait_for(service.said)
    (pid,) = service.pids

    with pytest.raises(UnitError, match="had to be killed"):
        systemd.call(["stop", "stubborn"])

    assert not is_running(pid)
