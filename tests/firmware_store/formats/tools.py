"""The real tools that make these files, where they are installed."""

import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.firmware_store.formats.builders import Identity

# Of nothing that shrinks: a bundle in the form verity has more than one block.
NOISE = random.Random(1).randbytes(20_000)
MANIFEST = """[update]
compatible=gateway
version=1.1
description=autumn

[bundle]
format={form}

[hooks]
filename=hook.sh

[image.rootfs]
filename=rootfs.img
hooks=post-install
"""


def needs(*programs: str) -> Any:
    missing = [one for one in programs if not shutil.which(one)]
    return pytest.mark.skipif(bool(missing), reason=f"{', '.join(missing) or 'nothing'} is not installed")


def run(*command: str | Path, at: Path) -> str:
    done = subprocess.run([str(one) for one in command], cwd=at, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def save(folder: Path, signer: Identity, name: str = "signer") -> tuple[Path, Path]:
    """Write a certificate and its key, as the tools want them, and return their paths."""
    certificate, key = folder / f"{name}.cert.pem", folder / f"{name}.key.pem"
    certificate.write_text(signer.pem)
    key.write_bytes(signer.key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
    return certificate, key


def make_raucb(
    folder: Path, signer: Identity, *, form: str = "plain", image: bytes = NOISE, options: str = "", **files: bytes
) -> bytes:
    """Return what `rauc bundle` makes of an image, a hook and its manifest."""
    content = folder / "content"
    content.mkdir()
    (content / "rootfs.img").write_bytes(image)
    (content / "hook.sh").write_text("#!/bin/sh\n")
    (content / "manifest.raucm").write_text(MANIFEST.format(form=form))
    for name, data in files.items():
        (content / name).write_bytes(data)
    certificate, key = save(folder, signer)
    more = [f"--mksquashfs-args={options}"] if options else []
    run("rauc", "bundle", f"--cert={certificate}", f"--key={key}", *more, content, folder / "x.raucb", at=folder)
    return (folder / "x.raucb").read_bytes()
