"""What the pages of `docs/` have a host do where something goes wrong, or again: by a shell, with other folders."""

import os
import re
import subprocess

import pytest

from tests.deploy.host import steps
from tests.deploy.units import read_unit
from tests.processes import ROOT

NEW_FILES = next(block for block in steps("migrations.md") if "/opt/ota-new" in block)
COPYING = next(block for block in steps("point-in-time.md") if "pg_basebackup" in block)
NIGHTLY = next(block for block in steps("compose.md") if "manage backup" in block)


def shell(script, folder, **programs):
    """Do it as a person does who pastes it: what fails does not end it."""
    for name, text in programs.items():
        path = folder / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
    script = script.replace("/opt/", f"{folder}/opt/").replace("/srv/", f"{folder}/srv/")
    path = f"{folder}/bin:{os.environ['PATH']}"
    return subprocess.run(["sh", "-c", script], env={"PATH": path}, capture_output=True, text=True, check=False)


def test_before_the_third_version_is_the_second_one_and_not_the_first_with_the_second_in_it(tmp_path):
    versions = tmp_path / "opt"
    for number in ("1", "2", "3"):
        place = versions / ("ota" if number == "1" else "ota-new")
        (place / ".venv" / "bin").mkdir(parents=True)
        (place / ".venv" / "bin" / "python").symlink_to("/bin/true")
        (place / "version").write_text(number)
        if number != "1":
            assert shell(NEW_FILES, tmp_path, python3="exit 0").returncode == 0

    assert sorted(path.name for path in versions.iterdir()) == ["ota", "ota-before"]
    assert ((versions / "ota" / "version").read_text(), (versions / "ota-before" / "version").read_text()) == ("3", "2")
    assert not (versions / "ota-before" / "ota").exists()


@pytest.mark.parametrize("has_failed", [True, False])
def test_old_copies_go_only_once_a_new_one_is_there(tmp_path, has_failed):
    old = [tmp_path / "srv/archive/base/2020-01-01T000000", tmp_path / "srv/archive/wal/000000010000000000000001.gz"]
    for path in old:
        path.parent.mkdir(parents=True)
        path.touch()
        os.utime(path, (0, 0))

    done = shell(COPYING, tmp_path, runuser=f"exit {int(has_failed)}")

    assert done.returncode == int(has_failed)
    assert [path.exists() for path in old] == [has_failed, has_failed]


@pytest.mark.parametrize("has_failed", [True, False])
def test_old_backups_of_containers_go_only_once_a_new_one_is_there(tmp_path, has_failed):
    functions = f"manage() {{ return {int(has_failed)}; }}\ncompose() {{ echo compose $3 $4; }}\n"

    done = shell(functions + NIGHTLY, tmp_path)

    assert done.stdout == ("" if has_failed else "compose migrate find\n")


def test_after_a_boot_the_host_asks_for_the_containers_of_the_page():
    page = (ROOT / "docs" / "compose.md").read_text()
    (text,) = re.findall(r"^```ini\n(.*?)^```", page, re.M | re.S)
    unit = read_unit("ota-containers.service", text)
    (asked,) = re.findall(r"^compose\(\) \{ (docker .*?) \"", page, re.M)

    assert "systemctl enable ota-containers" in page
    assert unit.all("ExecStart") == [f"/usr/bin/{asked} up --detach"]
    assert unit.names("After") == unit.names("Requires") == ["docker.service"]
    assert unit.one("WantedBy", section="Install") == "multi-user.target"
