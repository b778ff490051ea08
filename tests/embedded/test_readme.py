"""The README's five minutes, typed as they stand there, against a server that was just started."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import ROOT, Server, environment

pytestmark = [pytest.mark.long, pytest.mark.e2e]


def five_minutes():
    text = (ROOT / "README.md").read_text()
    chapter = text[text.index("## Five minutes") : text.index("## Going on")]
    return "\n".join(re.findall(r"^```sh\n(.*?)^```", chapter, re.M | re.S))


def test_five_minutes_lead_from_nothing_to_a_vehicle_that_has_updated_itself(tmp_path):
    server = Server(tmp_path / "var", migrates=True)
    script = five_minutes().replace("var/", f"{server.var}/").replace("http://127.0.0.1:8000", server.url)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    try:
        server.start()
        typed = subprocess.run(
            ["bash", "-e", "-u", "-o", "pipefail", "-c", script],
            cwd=ROOT,
            env=environment(server.var, PATH=path),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    finally:
        server.end()

    assert typed.returncode == 0, typed.stdout + typed.stderr
    assert "first: completed; 1 succeeded" in typed.stdout
    assert '"target": "supplier/engine-1.0"' in typed.stdout
