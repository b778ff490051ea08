"""A TUF client that knows nothing of us: python-tuf's Updater, and one file, the Image repository's first root."""

import subprocess
import sys
from pathlib import Path

import pytest

from clients.publisher.packages import PackageSpec
from otaserver.demo.fleet_plan import ROLE
from tests.processes import get

pytestmark = [pytest.mark.e2e, pytest.mark.any_database, pytest.mark.xdist_group("heavy")]


PROGRAM = """
import sys
from tuf.ngclient import Updater

base, root, folder, target_name = sys.argv[1:]
updater = Updater(
    f"{folder}/metadata", f"{base}/metadata/", target_dir=f"{folder}/targets", target_base_url=f"{base}/targets/",
    bootstrap=open(root, "rb").read(),
)
target = updater.get_targetinfo(target_name)
sys.stdout.write(updater.download_target(target))
"""


def download(stage, folder, target_name):
    """Follow the metadata from the first root to the target, as any TUF client would, in a process of its own."""
    for name in ("metadata", "targets"):
        (folder / name).mkdir(parents=True)
    base, root = f"{stage.server.url}/uptane/default/repo", stage.operator.roots / "image-root.tuf-1.0.json"
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, base, str(root), str(folder), target_name],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Path(done.stdout).read_bytes()


def test_python_tuf_verifies_a_published_package_from_the_first_root_alone_also_after_a_rotation(
    shared_stage, tmp_path
):
    trust, packages = shared_stage.operator.publisher.trust, shared_stage.operator.publisher.packages
    image = tmp_path / "image"
    image.write_bytes(b"firmware " * 50_000)
    first = packages.publish(image, PackageSpec(ROLE, "engine", "1", ["engine"]))

    assert download(shared_stage, tmp_path / "before", first.target_name) == image.read_bytes()

    trust.rotate_root("image", new_keys=True)
    trust.rotate_root("image", new_keys=True)
    second = packages.publish(image, PackageSpec(ROLE, "engine", "2", ["engine"]))

    assert download(shared_stage, tmp_path / "after", second.target_name) == image.read_bytes()


def test_targets_are_for_vehicles_alone_unless_the_tenant_says_otherwise(shared_stage, tmp_path):
    publisher = shared_stage.operator.publisher
    image = tmp_path / "image"
    image.write_bytes(b"firmware")
    package = publisher.packages.publish(image, PackageSpec(ROLE, "brake", "1", ["brake"]))
    role, _, name = package.target_name.partition("/")
    base = f"{shared_stage.server.url}/uptane/default/repo"
    target = f"{base}/targets/{role}/{package.sha256}.{name}"

    assert get(target).status_code == 302
    publisher.api.patch("/tenant", {"has_public_targets": False})
    try:
        refused = get(target)
    finally:
        publisher.api.patch("/tenant", {"has_public_targets": True})

    assert (refused.status_code, refused.json()["code"]) == (401, "credential.invalid")
    assert get(f"{base}/metadata/timestamp.json").status_code == 200
