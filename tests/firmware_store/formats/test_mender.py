import base64
import json
import tarfile
import tracemalloc

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from firmware_store.formats import streams
from firmware_store.formats.errors import (
    FormatBombError,
    FormatMalformedError,
    FormatOrderError,
    FormatPathError,
    FormatTruncatedError,
    FormatUnsupportedError,
    PayloadMismatchError,
    PayloadMissingError,
)
from firmware_store.formats.facts import Contents, Format, Payload
from firmware_store.trust.errors import PayloadSignatureError
from tests.firmware_store.formats.builders import (
    COMPRESS,
    IMAGE,
    Identity,
    mender,
    mender_parts,
    read,
    read_verified,
    sha256,
    tar_archive,
    with_signature,
)


@pytest.mark.parametrize("suffix", COMPRESS)
def test_an_artifact_tells_name_devices_and_payloads(suffix):
    assert read(mender(suffix=suffix, scripts=["ArtifactInstall_Enter_00"])) == Contents(
        format=Format.MENDER,
        name="gateway-1.1",
        version="gateway-1.1",
        hardware=("gateway",),
        payloads=(Payload("rootfs.img", "rootfs-image", len(IMAGE), sha256(IMAGE)),),
        details={
            "artifact_name": "gateway-1.1",
            "artifact_group": "",
            "device_types": ["gateway"],
            "provides": {"artifact_name": "gateway-1.1"},
            "depends": {"device_type": ["gateway"]},
            "payloads": [
                {
                    "type": "rootfs-image",
                    "provides": {"rootfs-image.version": "gateway-1.1"},
                    "depends": {},
                    "clears_provides": ["rootfs-image.*"],
                    "empty": False,
                }
            ],
            "scripts": ["ArtifactInstall_Enter_00"],
        },
    )


def test_signatures_of_both_kinds_of_keys_hold():
    for signer in (Identity(), Identity(key=rsa.generate_private_key(65537, 3072))):
        assert read_verified(mender(signer=signer), "x.mender", signer.key_pem).signature == "raw"


def test_a_signature_by_another_key_or_over_another_manifest_is_refused():
    signer, other = Identity(), Identity()
    parts = mender_parts()
    foreign = base64.b64encode(signer.raw(b"another manifest"))

    for data, pem in [
        (mender(signer=other), signer.key_pem),
        (tar_archive(*with_signature(parts, foreign).items()), signer.key_pem),
        (tar_archive(*with_signature(parts, b"no base64 at all").items()), signer.key_pem),
        (tar_archive(*with_signature(parts, b"").items()), signer.key_pem),
        (mender(signer=signer), signer.pem),
    ]:
        with pytest.raises(PayloadSignatureError):
            read_verified(data, "x.mender", pem)


def test_a_name_too_long_for_a_tar_header_is_read_from_its_pax_header():
    name = "n" * 150
    parts = mender_parts()
    parts["manifest"] = parts["manifest"].replace(b"rootfs.img", name.encode())
    parts["data/0000.tar.gz"] = COMPRESS[".gz"](tar_archive((name, IMAGE), format=tarfile.PAX_FORMAT))

    assert [one.name for one in read(tar_archive(*parts.items())).payloads] == [name]


def test_an_artifact_that_only_changes_what_the_device_provides_has_no_files():
    info = {
        "payloads": [{"type": None}],
        "artifact_provides": {"artifact_name": "a"},
        "artifact_depends": {"device_type": ["gateway"]},
    }

    contents = read(mender(files=[], info=info, type_info={"type": None}))

    assert (contents.payloads, contents.details["payloads"][0]["empty"]) == ((), True)


def changed(**parts):
    made = mender_parts()
    return tar_archive(*(made | {name.replace("__", "/"): data for name, data in parts.items()}).items())


def reordered(*names):
    made = mender_parts()
    return tar_archive(*((name, made[name]) for name in names))


V, M, H, D = "version", "manifest", "header.tar.gz", "data/0000.tar.gz"


@pytest.mark.parametrize(
    "names", [[], [V], [M, V, H, D], [V, H, M, D], [V, M, D, H], [V, M], [V, M, H, D, D], [V, M, H, H, D]]
)
def test_parts_out_of_order_are_refused(names):
    with pytest.raises((FormatOrderError, FormatTruncatedError)):
        read(reordered(*names), "x.mender")


def test_a_missing_payload_is_refused():
    with pytest.raises(PayloadMissingError):
        read(reordered(V, M, H), "x.mender")


@pytest.mark.parametrize(
    "change",
    [
        {"version": json.dumps({"version": 3, "format": "mender"}).encode()},
        {"header.tar.gz": mender_parts(devices=["other"])["header.tar.gz"]},
        {"data/0000.tar.gz": COMPRESS[".gz"](tar_archive(("rootfs.img", b"others")))},
        {"data/0000.tar.gz": COMPRESS[".gz"](tar_archive(("other.img", IMAGE)))},
        {"data/0000.tar.gz": COMPRESS[".gz"](tar_archive(("rootfs.img", IMAGE), ("more.img", b"x")))},
        {"data/0000.tar.gz": COMPRESS[".gz"](tar_archive(("rootfs.img", IMAGE), ("rootfs.img", IMAGE)))},
    ],
)
def test_a_part_that_the_manifest_does_not_state_is_refused(change):
    parts = mender_parts() | change

    with pytest.raises(PayloadMismatchError):
        read(tar_archive(*parts.items()), "x.mender")


def test_a_file_that_only_the_manifest_has_is_refused():
    parts = mender_parts()
    parts["manifest"] += f"{'0' * 64}  data/0000/more\n".encode()

    with pytest.raises(PayloadMissingError):
        read(tar_archive(*parts.items()), "x.mender")


@pytest.mark.parametrize(
    ("error", "changes"),
    [
        (FormatUnsupportedError, {"version": {"format": "mender", "version": 2}}),
        (FormatMalformedError, {"artifact_name": ""}),
        (FormatMalformedError, {"devices": []}),
        (FormatMalformedError, {"devices": [1]}),
        (FormatMalformedError, {"type_info": {"type": "script"}}),
        (FormatMalformedError, {"type_info": {"type": "rootfs-image", "artifact_provides": {"a": {"b": 1}}}}),
        (FormatPathError, {"scripts": ["../../etc/init.d/x"]}),
        (FormatPathError, {"files": [("../rootfs.img", IMAGE)]}),
        (FormatPathError, {"files": [("/rootfs.img", IMAGE)]}),
    ],
)
def test_an_artifact_that_no_client_takes_is_refused(error, changes):
    with pytest.raises(error):
        read(mender(**changes), "x.mender")


def test_an_augmented_artifact_is_refused_since_a_part_of_it_is_unsigned():
    parts = mender_parts()
    first = {name: parts.pop(name) for name in (V, M)}

    with pytest.raises(FormatUnsupportedError):
        read(tar_archive(*(first | {"manifest-augment": b""} | parts).items()), "x.mender")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE])
def test_links_folders_and_devices_are_refused(kind, monkeypatch):
    parts = mender_parts()
    link = tarfile.TarInfo("rootfs.img")
    link.type, link.linkname = kind, "/etc/passwd"
    parts[D] = COMPRESS[".gz"](link.tobuf(tarfile.USTAR_FORMAT) + bytes(1024))

    with pytest.raises(FormatUnsupportedError):
        read(tar_archive(*parts.items()), "x.mender")


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".zst"])
def test_a_bomb_is_refused_in_little_memory(suffix, monkeypatch):
    monkeypatch.setattr(streams, "INFLATED_FLOOR", 4 * 1024**2)
    data = mender(files=[("rootfs.img", bytes(24 * 1024**2))], suffix=suffix)

    tracemalloc.start()
    with pytest.raises(FormatBombError):
        read(data, "x.mender")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 12 * 1024**2  # the dictionary of xz takes 8 MiB


def test_zeros_that_no_tar_ends_with_are_counted_too(monkeypatch):
    monkeypatch.setattr(streams, "INFLATED_FLOOR", 1024**2)
    parts = mender_parts()
    parts[D] = COMPRESS[".gz"](tar_archive(("rootfs.img", IMAGE)) + bytes(4 * 1024**2))

    with pytest.raises(FormatBombError):
        read(tar_archive(*parts.items()), "x.mender")


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".zst"])
def test_several_compressed_parts_are_read_as_one_and_very_many_refused(suffix):
    parts = mender_parts(suffix=suffix)
    name, archive = f"data/0000.tar{suffix}", tar_archive(("rootfs.img", IMAGE))
    compress = COMPRESS[suffix]
    parts[name] = b"".join(compress(archive[at : at + 700]) for at in range(0, len(archive), 700))
    assert [one.name for one in read(tar_archive(*parts.items())).payloads] == ["rootfs.img"]

    parts[name] = compress(archive) + compress(b"") * streams.MAX_PARTS
    with pytest.raises(FormatUnsupportedError):
        read(tar_archive(*parts.items()))


@pytest.mark.parametrize("part", ["header.tar.gz", "data/0000.tar.gz"])
@pytest.mark.parametrize("cut", [1, 9, 20, -1])
def test_a_compressed_part_that_ends_in_the_middle_is_refused(part, cut):
    parts = mender_parts()
    parts[part] = parts[part][:cut]

    with pytest.raises((FormatTruncatedError, FormatMalformedError)):
        read(tar_archive(*parts.items()), "x.mender")


def test_a_pax_header_of_a_gigabyte_is_refused_unread():
    member = tarfile.TarInfo("version")
    member.type, member.size = tarfile.XHDTYPE, 1024**3

    with pytest.raises((FormatUnsupportedError, FormatTruncatedError)):
        read(member.tobuf(tarfile.USTAR_FORMAT) + bytes(200_000), "x.mender")
