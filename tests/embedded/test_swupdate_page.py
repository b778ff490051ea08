"""The commands of docs/swupdate.md, typed as they stand there: a started server, and Debian's real SWUpdate."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import ROOT, Server, environment
from tests.vehicle_api.ddi import swupdate

pytestmark = [
    pytest.mark.long,
    pytest.mark.e2e,
    pytest.mark.skipif(bool(swupdate.missing()), reason=swupdate.missing() or "it is here"),
]
BEFORE = """
python -m clients.publisher keys init --tenant default --role supplier
python -m clients.publisher trust init
"""


def test_the_page_leads_from_nothing_to_a_board_that_was_updated(tmp_path):
    server = Server(tmp_path / "var")
    page = (ROOT / "docs" / "swupdate.md").read_text()
    script = BEFORE + "\n".join(re.findall(r"^```sh\n(.*?)^```", page, re.M | re.S))
    script = re.sub(r"^cd (\.\./?)+$", f"cd {ROOT}", script.replace("var/swu", f"{server.var}/swu"), flags=re.M)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    try:
        server.start()
        token = (server.var / "operator-token").read_text().strip()
        typed = subprocess.run(
            ["bash", "-e", "-u", "-o", "pipefail", "-c", script],
            cwd=ROOT,
            env=environment(server.var, PATH=path, OTA_URL=server.url, OTA_TOKEN=token, OTA_KEYS=server.var / "keys"),
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
    finally:
        server.end()

    assert typed.returncode == 0, typed.stdout + typed.stderr
    assert "boards: completed; 1 succeeded" in typed.stdout
