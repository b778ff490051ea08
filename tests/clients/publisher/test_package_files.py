"""Files of SWUpdate, RAUC and Mender, published from the command line."""

import json

import pytest

from firmware_store.models import Package
from tests.firmware_store.formats.builders import Identity, mender, swu

SIGNER = Identity("release key")


@pytest.fixture
def publish(ready, command, tmp_path):
    def publish(content, name="gateway.swu", *more):
        (tmp_path / name).write_bytes(content)
        return command(
            "publish", str(tmp_path / name), "--role", "supplier", "--name", "gateway", "--version", "1.1",
            "--hardware-id", "gateway", *more,
        )  # fmt: skip

    return publish


def test_publishing_says_what_is_in_the_file(publish):
    code, out, _ = publish(swu(signer=SIGNER))

    assert code == 0
    assert out.splitlines()[1:] == [
        "swu: 1.1, for 1.0, 1.2",
        "  raw rootfs.img: 2048 bytes",
        "  signed by CN=release key (not checked)",
    ]


def test_a_program_gets_the_facts_as_json(publish):
    _, out, _ = publish(mender(), "x.mender", "--json")

    assert json.loads(out)["contents"]["details"]["artifact_name"] == "gateway-1.1"


def test_the_list_of_packages_names_formats(publish, command):
    publish(swu())

    _, out, _ = command("packages", "--json")

    assert [row["format"] for row in json.loads(out)] == ["swu"]


def test_a_file_that_its_client_would_refuse_is_refused_with_the_reason(publish):
    code, _, err = publish(swu(image=b"others"))

    assert code == 3
    assert err.startswith("package.payload_mismatch: 'rootfs.img' has the SHA-256")
    assert Package.objects.get().state == "refused"


def test_keys_are_added_shown_and_retired(publish, command, tmp_path):
    (tmp_path / "ca.pem").write_text(SIGNER.pem)
    added = command("verification-key", "add", "releases", "--format", "swu", "--pem", str(tmp_path / "ca.pem"))
    assert added[:2] == (0, "swu packages for all hardware are checked with releases.\n")
    assert "releases" in command("verification-key", "list")[1]

    assert publish(swu())[2].startswith("package.signature_missing")
    assert "(holds against releases)" in publish(swu(signer=SIGNER))[1]

    assert command("verification-key", "retire", "releases")[0] == 0
    assert command("verification-key", "retire", "other")[0] == 2
    assert command("verification-key", "add", "x", "--format", "swu", "--pem", str(tmp_path / "none"))[0] == 2
