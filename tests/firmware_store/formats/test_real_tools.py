"""Files made by the tools that people use, and the verdict of the real clients beside ours."""

import json
import os
import random
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from firmware_store.formats import verity
from firmware_store.formats.errors import (
    FormatMalformedError,
    FormatUnsupportedError,
    PayloadMismatchError,
    PayloadMissingError,
)
from firmware_store.formats.facts import Payload
from firmware_store.trust.errors import PayloadSignatureError
from otaserver.errors import RefusedError
from tests.factories import NOON
from tests.firmware_store.formats.builders import IMAGE, Identity, read, read_verified, sha256, sw_description
from tests.firmware_store.formats.tools import NOISE, make_raucb, needs, run, save

HOOK = b"#!/bin/sh\n"


@needs("rauc")
@pytest.mark.parametrize("form", ["plain", "verity"])
def test_a_bundle_tells_compatible_version_and_images(tmp_path, form):
    signer = Identity()
    data = make_raucb(tmp_path, signer, form=form)

    contents = read_verified(data, "x.raucb", signer.pem)

    assert (contents.version, contents.hardware, contents.signature) == ("1.1", ("gateway",), "cms")
    assert set(contents.payloads) == {
        Payload("rootfs.img", "rootfs", len(NOISE), sha256(NOISE)),
        Payload("hook.sh", "hooks", len(HOOK), sha256(HOOK)),
    }
    assert contents.details == {
        "form": form,
        "compatible": "gateway",
        "description": "autumn",
        "build": "",
        "hooks": ["hook.sh"],
    }


@needs("rauc")
@pytest.mark.parametrize("options", ["-comp xz", "-comp zstd", "-comp gzip -b 4096", "-noI -noD -noF", "-no-fragments"])
def test_images_are_read_whatever_they_are_packed_with(tmp_path, options):
    image = NOISE + bytes(300_000) + NOISE[:77]
    signer = Identity()

    contents = read_verified(make_raucb(tmp_path, signer, image=image, options=options), "x.raucb", signer.pem)

    assert Payload("rootfs.img", "rootfs", len(image), sha256(image)) in contents.payloads


@needs("rauc")
def test_a_bundle_packed_with_what_is_not_read_is_refused(tmp_path):
    with pytest.raises(FormatUnsupportedError, match="lz4"):
        read(make_raucb(tmp_path, Identity(), options="-comp lz4"), "x.raucb")


@needs("rauc")
@pytest.mark.parametrize("form", ["plain", "verity"])
def test_a_bundle_with_one_other_bit_in_its_image_is_refused(tmp_path, form):
    data = bytearray(make_raucb(tmp_path, Identity(), form=form))
    data[1000] ^= 1

    with pytest.raises(PayloadMismatchError):
        read(bytes(data), "x.raucb")


@needs("rauc")
def test_a_bundle_of_another_signer_is_refused(tmp_path):
    with pytest.raises(PayloadSignatureError):
        read_verified(make_raucb(tmp_path, Identity()), "x.raucb", Identity().pem)


@needs("mksquashfs")
@pytest.mark.parametrize(
    ("error", "manifest"),
    [
        (FormatMalformedError, "[update]\nversion=1\n"),
        (FormatMalformedError, "[update]\ncompatible=a\n[image.rootfs]\nfilename=rootfs.img\n"),
        (FormatMalformedError, "compatible=a\n"),
        (FormatMalformedError, "[update]\ncompatible\n"),
        (FormatMalformedError, "[update]\ncompatible=a\n[bundle]\nformat=verity\n"),
        (PayloadMissingError, "[update]\ncompatible=a\n[hooks]\nfilename=gone\n"),
        (PayloadMismatchError, f"[update]\ncompatible=a\n[image.a]\nfilename=rootfs.img\nsize=1\nsha256={'0' * 64}\n"),
        (PayloadMissingError, None),
        (RefusedError, f"[update]\ncompatible=a\n[image.a]\nfilename=../x\nsize=1\nsha256={'0' * 64}\n"),
        (FormatUnsupportedError, "#" * 300_000),
    ],
    # A test's name stands in the environment, where it may not be of any length.
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_a_bundle_that_rauc_would_not_install_is_refused(tmp_path, error, manifest):
    content = tmp_path / "content"
    content.mkdir()
    (content / "rootfs.img").write_bytes(IMAGE)
    if manifest is not None:
        (content / "manifest.raucm").write_text(manifest)
    run("mksquashfs", content, "x.squashfs", "-quiet", "-no-progress", "-all-root", at=tmp_path)
    squashfs = (tmp_path / "x.squashfs").read_bytes()
    signature = Identity().cms(squashfs)

    with pytest.raises(error):
        read(squashfs + signature + len(signature).to_bytes(8, "big"), "x.raucb")


@needs("mksquashfs")
def test_a_squashfs_that_is_no_bundle_is_plain_unless_its_name_says_otherwise(tmp_path):
    (tmp_path / "file").write_bytes(IMAGE)
    run("mksquashfs", tmp_path / "file", tmp_path / "x.squashfs", "-quiet", "-no-progress", at=tmp_path)
    data = (tmp_path / "x.squashfs").read_bytes()

    assert read(data, "rootfs.squashfs").format == "plain"
    with pytest.raises(FormatMalformedError):
        read(data, "x.raucb")


@needs("rauc")
def test_a_tree_of_several_levels_is_checked_in_each(tmp_path):
    signer = Identity()
    image = random.Random(2).randbytes(129 * 128 * 4096 // 30)
    make_raucb(tmp_path, signer, form="verity", image=image)
    path = tmp_path / "x.raucb"
    contents = read_verified(path.read_bytes(), "x.raucb", signer.pem)
    assert contents.details["form"] == "verity"

    size = path.stat().st_size
    for at in (4096 * 3 + 5, size - 4096 * 3, size // 2):
        spoiled = bytearray(path.read_bytes())
        spoiled[at] ^= 1
        with pytest.raises(RefusedError):
            read_verified(bytes(spoiled), "x.raucb", signer.pem)


def test_a_tree_has_the_sizes_that_dm_verity_gives_it():
    assert verity._levels(4096) == []
    assert verity._levels(4096 * 2) == [1]
    assert verity._levels(4096 * 128) == [1]
    assert verity._levels(4096 * 129) == [2, 1]
    assert verity._levels(4096 * (128 * 128 + 1)) == [129, 2, 1]


def make_swu(folder, signer, description, names=("sw-description", "sw-description.sig", "rootfs.img"), form="crc"):
    (folder / "sw-description").write_bytes(description)
    (folder / "rootfs.img").write_bytes(IMAGE)
    certificate, key = save(folder, signer)
    signing = ["openssl", "cms", "-sign", "-in", "sw-description", "-out", "sw-description.sig", "-outform", "DER"]
    run(*signing, "-signer", certificate, "-inkey", key, "-nosmimecap", "-binary", at=folder)
    done = subprocess.run(
        ["cpio", "-o", "-H", form, "--quiet"],
        cwd=folder,
        input="\n".join(names).encode(),
        capture_output=True,
        check=True,
    )
    (folder / "x.swu").write_bytes(done.stdout)
    return done.stdout


def swupdate_takes(folder, hardware="gateway:1.0"):
    command = ["swupdate", "-c", "-i", folder / "x.swu", "-k", folder / "signer.cert.pem", "-H", hardware]
    # Its sockets are in TMPDIR: two that run at once would meet there.
    environment = os.environ | {"TMPDIR": tempfile.mkdtemp(dir=os.environ["OTA_TEST_ROOT"])}
    # It says what it did, and ends with success whatever that was. Now and then a process of its own waits for another
    # that has ended (2022.12), and never ends; what it said is there by then.
    with (folder / "said").open("w+") as said:
        process = subprocess.Popen(
            command,
            stdout=said,
            stderr=said,
            stdin=subprocess.DEVNULL,
            cwd=folder,
            env=environment,
            start_new_session=True,
        )
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            pass
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        said.seek(0)
        text = said.read()
    return "successful !" in text and "ERROR" not in text


@needs("openssl", "cpio")
@pytest.mark.parametrize("form", ["crc", "newc"])
def test_an_swu_made_with_cpio_and_openssl_is_read(tmp_path, form):
    signer = Identity(key=rsa.generate_private_key(65537, 2048))

    contents = read_verified(make_swu(tmp_path, signer, sw_description(), form=form), "x.swu", signer.pem)

    assert contents.payloads == (Payload("rootfs.img", "raw", len(IMAGE), sha256(IMAGE)),)
    assert [one.subject for one in contents.signers] == ["CN=signer"]


RAW = 'type = "rawfile"; path'
BOARD = f'gateway = {{ images: ( {{ filename = "rootfs.img"; {RAW} = "/tmp/x"; sha256 = "{sha256(IMAGE)}"; }} ); }};'


@needs("openssl", "cpio", "swupdate")
@pytest.mark.parametrize(
    ("is_good", "description"),
    [
        (True, sw_description()),
        (True, f'software = {{ version = "1"; hardware-compatibility = [ "1.0" ]; {BOARD} }}'.encode()),
        (False, sw_description(digest="0" * 64)),
        (False, sw_description(digest="")),
        (False, sw_description(name="other.img")),
        (False, b'software = { version = "1"; hardware-compatibility = [ "1.0" ]; }'),
        (False, b'software = { hardware-compatibility = [ "1.0" ]; ' + BOARD.encode() + b" }"),
        (False, b"software = { version = "),
    ],
    ids=["good", "board", "wrong digest", "no digest", "no file", "nothing", "no version", "no libconfig"],
)
def test_what_swupdate_refuses_is_refused_and_what_it_takes_is_read(tmp_path, is_good, description):
    data = make_swu(tmp_path, Identity(key=rsa.generate_private_key(65537, 2048)), description)

    assert swupdate_takes(tmp_path) == is_good
    if is_good:
        assert read(data, "x.swu").format == "swu"
    else:
        with pytest.raises(RefusedError):
            read(data, "x.swu")


@needs("openssl", "cpio", "swupdate")
def test_swupdate_does_not_take_the_signature_in_another_place_either(tmp_path):
    names = ("sw-description", "rootfs.img", "sw-description.sig")
    data = make_swu(tmp_path, Identity(key=rsa.generate_private_key(65537, 2048)), sw_description(), names)

    assert not swupdate_takes(tmp_path)
    with pytest.raises(RefusedError):
        read(data, "x.swu")


def make_mender(folder, *options, key=None):
    (folder / "app.bin").write_bytes(IMAGE)
    signing = [] if key is None else ["-k", key]
    run("mender-artifact", "write", "module-image", "-T", "single-file", "-n", "gateway-1.1", "-t", "gateway",
        "-t", "gateway-b", "-o", "x.mender", "-f", "app.bin", *signing, *options, at=folder)  # fmt: skip
    return (folder / "x.mender").read_bytes()


@needs("mender-artifact")
@pytest.mark.parametrize("compression", ["gzip", "lzma", "none"])
def test_an_artifact_made_with_mender_artifact_is_read(tmp_path, compression):
    (tmp_path / "ArtifactInstall_Enter_00").write_text("#!/bin/sh\n")
    (tmp_path / "meta").write_text(json.dumps({"a": 1}))
    run("mender-artifact", "--compression", compression, "write", "module-image", "-T", "single-file",
        "-n", "gateway-1.1", "-t", "gateway", "-g", "beta", "-N", "old-1", "-N", "old-2", "-o", "x.mender",
        "-f", "meta", "-s", "ArtifactInstall_Enter_00", "-m", "meta", "-p", "app.version:7", "-d", "boot.version:3",
        at=tmp_path)  # fmt: skip

    contents = read((tmp_path / "x.mender").read_bytes())

    assert contents.details["depends"] == {"artifact_name": ["old-1", "old-2"], "device_type": ["gateway"]}
    assert contents.details["artifact_group"] == "beta"
    assert contents.details["scripts"] == ["ArtifactInstall_Enter_00"]
    assert contents.details["payloads"][0]["depends"] == {"boot.version": "3"}
    assert contents.details["payloads"][0]["provides"] == {
        "app.version": "7",
        "rootfs-image.single-file.version": "gateway-1.1",
    }


@needs("mender-artifact")
@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_signatures_of_mender_artifact_hold(tmp_path, kind):
    signer = Identity(key=rsa.generate_private_key(65537, 3072) if kind == "rsa" else None)
    _, key = save(tmp_path, signer)

    data = make_mender(tmp_path, key=key)

    assert read_verified(data, "x.mender", signer.key_pem).hardware == ("gateway", "gateway-b")
    with pytest.raises(PayloadSignatureError):
        read_verified(data, "x.mender", Identity(key=signer.key if kind == "x" else None).key_pem, at=NOON)


@needs("mender-artifact")
def test_a_root_file_system_s_artifact_is_read(tmp_path):
    if not shutil.which("mkfs.ext4"):
        pytest.skip("mkfs.ext4 is not installed")
    (tmp_path / "rootfs.ext4").write_bytes(bytes(1024 * 1024))
    run("mkfs.ext4", "-q", "rootfs.ext4", at=tmp_path)
    run("mender-artifact", "write", "rootfs-image", "-n", "r-2", "-t", "gateway", "-o", "x.mender", "-f",
        "rootfs.ext4", "--no-default-software-version", at=tmp_path)  # fmt: skip

    contents = read((tmp_path / "x.mender").read_bytes())

    assert (contents.version, contents.payloads[0].kind) == ("r-2", "rootfs-image")
    assert "rootfs-image.checksum" in contents.details["payloads"][0]["provides"]
