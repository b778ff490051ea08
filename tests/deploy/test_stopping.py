"""The unit of the web processes, of another application: stopped as systemd stops it, it answers what it has begun."""

import sys
import threading
from collections import Counter

import httpx
import pytest

from tests.deploy.systemd import Systemd
from tests.processes import ROOT, free_port, get, wait_for

pytestmark = [pytest.mark.e2e]


@pytest.fixture
def group(tmp_path):
    """The unit on a port of its own, started; and its systemd."""
    port = free_port()
    text = (ROOT / "deploy" / "systemd" / "ota-web@.service").read_text()
    for place, here in (
        ("/opt/ota/.venv/bin/python", sys.executable),
        ("+/bin/systemctl is-active --quiet ota-migrate.service", "/bin/true"),
        ("/opt/ota", str(ROOT)),
        ("/etc/ota/ota.env", str(tmp_path / "ota.env")),
        ("otaserver.wsgi:application", "tests.embedded.said:application"),
    ):
        assert place in text
        text = text.replace(place, here)
    (tmp_path / "ota-web@.service").write_text(text)
    (tmp_path / "ota-migrate.service").write_text("[Service]\nType=oneshot\nExecStart=/bin/true\n")
    (tmp_path / "ota.env").write_text(f"OTA_VAR={tmp_path}\n")
    systemd = Systemd(tmp_path, tmp_path)
    try:
        systemd.start(f"ota-web@{port}")
        wait_for(lambda: get(f"http://127.0.0.1:{port}/").status_code == 200, what="a group of web processes")
        yield systemd, port
    finally:
        systemd.end()


def test_what_has_been_asked_before_the_stop_is_answered_and_nothing_is_taken_after_it(group, tmp_path):
    systemd, port = group
    found = Counter()

    def ask():
        try:
            found[get(f"http://127.0.0.1:{port}/slow", timeout=20).status_code] += 1
        except httpx.HTTPError as error:
            found[type(error).__name__] += 1

    # More than one for each of the two processes.
    callers = [threading.Thread(target=ask) for _ in range(6)]
    for caller in callers:
        caller.start()
    wait_for(lambda: len((tmp_path / "begun").read_text().splitlines()) == len(callers), what="callers")

    systemd.stop(f"ota-web@{port}")

    for caller in callers:
        caller.join()
    assert found == {200: 6}
    with pytest.raises(httpx.ConnectError):
        get(f"http://127.0.0.1:{port}/")
