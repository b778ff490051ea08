"""Package files made by hand, so that each part of one can be made wrong."""

import base64
import gzip
import hashlib
import io
import json
import lzma
import sys
import tarfile
from datetime import timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import NameOID

from firmware_store.formats import reading
from firmware_store.formats.facts import Contents
from firmware_store.trust import payload_signatures
from tests.factories import NOON

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

IMAGE = bytes(range(256)) * 8
COMPRESS = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress, ".zst": zstd.compress}


class Identity:
    """A key with a certificate, issued by itself or by another."""

    def __init__(self, name="signer", *, issuer=None, is_ca=False, path_length=None, days=365, key=None):
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        above = issuer or self
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if issuer is None else issuer.certificate.subject)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOON - timedelta(days=1))
            .not_valid_after(NOON + timedelta(days=days))
            .add_extension(x509.BasicConstraints(is_ca, path_length), critical=True)
        )
        self.certificate = builder.sign(above.key, hashes.SHA256())

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def key_pem(self) -> str:
        public = self.key.public_key()
        return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()

    def cms(self, content: bytes, *more: "Identity", hashed: Any = None, options: Any = ()) -> bytes:
        """Return a detached CMS signature; the certificates of `more` come along."""
        builder = pkcs7.PKCS7SignatureBuilder().set_data(content)
        builder = builder.add_signer(self.certificate, self.key, hashed or hashes.SHA256())
        for one in more:
            builder = builder.add_certificate(one.certificate)
        wanted = [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary, *options]
        return builder.sign(serialization.Encoding.DER, wanted)

    def raw(self, content: bytes) -> bytes:
        """Return a bare signature as Mender and SWUpdate write them."""
        if isinstance(self.key, rsa.RSAPrivateKey):
            return self.key.sign(content, padding.PKCS1v15(), hashes.SHA256())
        r, s = decode_dss_signature(self.key.sign(content, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def read(data: bytes, filename: str = "x") -> Contents:
    return reading.read(io.BytesIO(data), length=len(data), filename=filename)[0]


def read_verified(data: bytes, filename: str, pem: str, at=NOON) -> Contents:
    """Read a file and hold its signature against one key, as publishing does."""
    contents, signed = reading.read(io.BytesIO(data), length=len(data), filename=filename)
    if signed is None:
        raise payload_signatures.PayloadSignatureError("none")
    payload_signatures.verify(signed, [payload_signatures.load_anchor(pem)], at=at)
    return contents


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# SWUpdate


def cpio_entry(name: str, data: bytes, *, magic="070702", total=None, mode=0o100644, length=None) -> bytes:
    total = sum(data) if total is None else total
    raw = name.encode() + b"\0"
    fields = [1, mode, 0, 0, 1, 0, len(data) if length is None else length, 0, 0, 0, 0, len(raw)]
    fields.append(total & 0xFFFFFFFF if magic == "070702" else 0)
    header = magic.encode() + b"".join(f"{one:08X}".encode() for one in fields) + raw
    return header + bytes(-len(header) % 4) + data + bytes(-len(data) % 4)


def cpio_archive(*entries: tuple[str, bytes], magic="070702") -> bytes:
    body = b"".join(cpio_entry(name, data, magic=magic) for name, data in entries)
    return body + cpio_entry("TRAILER!!!", b"", magic=magic)


def sw_description(
    *, version="1.1", name="rootfs.img", digest: str | None = None, hardware='"1.0", "1.2"', more: str = ""
) -> bytes:
    stated = sha256(IMAGE) if digest is None else digest
    line = f'sha256 = "{stated}";' if stated else ""
    return f"""software =
{{
    version = "{version}";
    hardware-compatibility: [ {hardware} ];
    images: ( {{ filename = "{name}"; type = "raw"; device = "/dev/mmcblk0p2"; {line} }} );
    {more}
}}
""".encode()


def swu(description: bytes | None = None, *, signer: Identity | None = None, image=IMAGE, magic="070702") -> bytes:
    description = sw_description() if description is None else description
    entries = [("sw-description", description)]
    if signer is not None:
        entries.append(("sw-description.sig", signer.cms(description)))
    return cpio_archive(*entries, ("rootfs.img", image), magic=magic)


# Mender


def tar_archive(*entries: tuple[str, bytes], format=tarfile.USTAR_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as archive:
        for name, data in entries:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


def mender_parts(
    *,
    artifact_name="gateway-1.1",
    devices=("gateway",),
    files=(("rootfs.img", IMAGE),),
    suffix=".gz",
    scripts=(),
    info: dict[str, Any] | None = None,
    type_info: dict[str, Any] | None = None,
    version: dict[str, Any] | None = None,
) -> dict[str, bytes]:
    """Return the parts of an artifact by name, in their order, all of which agree."""
    info = info or {
        "payloads": [{"type": "rootfs-image"}],
        "artifact_provides": {"artifact_name": artifact_name},
        "artifact_depends": {"device_type": list(devices)},
    }
    type_info = type_info or {
        "type": "rootfs-image",
        "artifact_provides": {"rootfs-image.version": artifact_name},
        "clears_artifact_provides": ["rootfs-image.*"],
    }
    header = tar_archive(
        ("header-info", json.dumps(info).encode()),
        *((f"scripts/{name}", b"#!/bin/sh\n") for name in scripts),
        ("headers/0000/type-info", json.dumps(type_info).encode()),
    )
    parts = {
        "version": json.dumps(version or {"format": "mender", "version": 3}).encode(),
        "manifest": b"",
        f"header.tar{suffix}": COMPRESS[suffix](header),
        f"data/0000.tar{suffix}": COMPRESS[suffix](tar_archive(*files)),
    }
    listed = {"version": parts["version"], f"header.tar{suffix}": parts[f"header.tar{suffix}"]}
    listed |= {f"data/0000/{name}": data for name, data in files}
    parts["manifest"] = "".join(f"{sha256(data)}  {name}\n" for name, data in listed.items()).encode()
    return parts


def mender(*, signer: Identity | None = None, **changes: Any) -> bytes:
    parts = mender_parts(**changes)
    if signer is not None:
        parts = with_signature(parts, base64.b64encode(signer.raw(parts["manifest"])))
    return tar_archive(*parts.items())


def with_signature(parts: dict[str, bytes], signature: bytes) -> dict[str, bytes]:
    first = {name: parts[name] for name in ("version", "manifest")}
    return first | {"manifest.sig": signature} | parts
