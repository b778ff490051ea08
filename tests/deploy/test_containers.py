"""`docs/compose.md`, done word for word but for `docker` itself: any password, back, and to another machine."""

import re
import shutil
from contextlib import ExitStack

import pytest

from tests.deploy.containers import Containers
from tests.deploy.host import steps

pytestmark = [pytest.mark.long, pytest.mark.e2e, pytest.mark.xdist_group("heavy"), pytest.mark.any_database]

FILES, STARTING, BACKUP, AWAY, BACK, ELSEWHERE = steps("compose.md")
FUNCTIONS = "\n".join(re.findall(r"^(?:compose|manage)\(\).*$", STARTING, re.M))
# Each sign of it means something in an address, in a file of variables or to a shell.
PASSWORD = "p@s/s:w%41o#r?d&=$HOME'\"\\ end"
TENANTS = "SELECT name, version_floor FROM tenants_tenant ORDER BY name"


@pytest.fixture
def machine():
    with ExitStack() as stack:

        def make(password):
            made = Containers(password)
            stack.callback(made.end)
            return made

        yield make


def test_with_any_password_the_page_leads_to_a_server_back_to_its_backup_and_to_another_machine(machine):
    old, new = machine(PASSWORD), machine("another")
    old.do(FILES, STARTING)
    assert old.rows(TENANTS) == [("north", 0)]
    assert (old.volume / "nginx" / "authorities.pem").exists()
    package = old.volume / "packages" / "ab" / "cd" / "abcd"
    package.parent.mkdir(parents=True)
    package.write_text("a package")

    old.do(FUNCTIONS, BACKUP, "manage create_tenant south", AWAY)
    assert old.rows(TENANTS) == [("north", 0), ("south", 0)]
    old.do(FUNCTIONS, BACK)

    assert old.rows(TENANTS) == [("north", 2_000_000)]
    stopped = old.asked.index("stop beat worker web-8000 web-8001")
    assert [line.split()[:4] for line in old.asked[stopped + 2 :]] == [
        ["run", "migrate", "python", "manage.py"],
        ["up"],
    ]
    carried = new.folder / "opt/ota/deploy/ota.env"
    shutil.copy(old.folder / "opt/ota/deploy/ota.env", carried)
    shutil.copy(old.folder / "root/ota.tar", new.folder / "root")
    new.do(FUNCTIONS, ELSEWHERE)
    assert new.rows(TENANTS) == [("north", 2_000_000)]
    assert (new.volume / package.relative_to(old.volume)).read_text() == "a package"
    keys = sorted(path.name for path in (old.volume / "online-keys" / "north").glob("*.pem"))
    assert sorted(path.name for path in (new.volume / "online-keys" / "north").glob("*.pem")) == keys != []
    assert len(old.given()["OTA_SECRET_KEY"]) == 64
