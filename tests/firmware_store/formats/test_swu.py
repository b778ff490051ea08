import json

import pytest

from firmware_store.formats import cpio
from firmware_store.formats.errors import (
    FormatMalformedError,
    FormatOrderError,
    FormatPathError,
    FormatTruncatedError,
    FormatUnsupportedError,
    PayloadMismatchError,
    PayloadMissingError,
)
from firmware_store.formats.facts import Contents, Format, Payload
from tests.firmware_store.formats.builders import (
    IMAGE,
    Identity,
    cpio_archive,
    cpio_entry,
    read,
    sha256,
    sw_description,
    swu,
)

END = cpio_entry("TRAILER!!!", b"")


def test_an_swu_tells_version_hardware_and_payloads():
    contents = read(swu(sw_description(more='description = "autumn"; name = "gateway";')))

    assert contents == Contents(
        format=Format.SWU,
        name="gateway",
        version="1.1",
        hardware=("1.0", "1.2"),
        payloads=(Payload("rootfs.img", "raw", len(IMAGE), sha256(IMAGE)),),
        details={"boards": {"": ["1.0", "1.2"]}, "sets": [], "description": "autumn", "is_encrypted": False},
    )


def test_what_is_stored_is_json_and_comes_back_as_it_was():
    contents = read(swu(signer=Identity()))

    assert Contents.loaded(json.loads(json.dumps(contents.stored()))) == contents


def test_the_signer_is_shown():
    signer = Identity("the release key")

    contents = read(swu(signer=signer))

    assert contents.signature == "cms"
    assert [one.subject for one in contents.signers] == ["CN=the release key"]


def test_both_cpio_forms_are_read():
    assert read(swu(magic="070701")) == read(swu(magic="070702"))


def test_a_description_in_json_tells_the_same():
    software = {
        "version": "1.1",
        "hardware-compatibility": ["1.0", "1.2"],
        "images": [{"filename": "rootfs.img", "type": "raw", "sha256": sha256(IMAGE)}],
    }

    assert read(swu(json.dumps({"software": software}).encode())) == read(swu())


def test_boards_with_sets_and_modes_are_told_apart():
    image = f'images: ( {{ filename = "rootfs.img"; sha256 = "{sha256(IMAGE)}"; }} );'
    description = f"""software = {{
        version = "2";
        hardware-compatibility = [ "1.0" ];
        brake = {{ hardware-compatibility = [ "7" ]; {image} }};
        gateway = {{ stable = {{ copy1 = {{ {image} }}; copy2 = {{ ref = "#./copy1"; }}; }}; }};
    }}""".encode()

    contents = read(swu(description))

    assert contents.details["boards"] == {"brake": ["7"], "gateway": ["1.0"]}
    assert contents.details["sets"] == ["stable,copy1"]
    assert contents.hardware == ("brake:7", "gateway:1.0")


@pytest.mark.parametrize(
    ("error", "description"),
    [
        (FormatMalformedError, b"software = { version = "),
        (FormatMalformedError, b'other = { version = "1"; };'),
        (FormatMalformedError, b'{"software": {"version": "1", "version": "2"}}'),
        (FormatMalformedError, b'{"software": ' + b"[" * 10_000),
        (FormatMalformedError, b'{"software": {"version": 1}}'),
        (FormatMalformedError, sw_description(version="")),
        (FormatMalformedError, sw_description(version="1\x00")),
        (FormatMalformedError, sw_description(digest="abc")),
        (FormatMalformedError, b'software = { version = "1"; hardware-compatibility = [ "1.0" ]; };'),
        (FormatMalformedError, sw_description(hardware="1.0")),
        (PayloadMissingError, sw_description(name="other.img")),
        (PayloadMissingError, sw_description(name="../rootfs.img")),
        (PayloadMismatchError, sw_description(digest="0" * 64)),
        (FormatUnsupportedError, b"\xff\xfe\x00encrypted"),
        (FormatUnsupportedError, b'@include "/etc/passwd"'),
        (FormatUnsupportedError, b"#" * (1024 * 1024 + 1)),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_a_description_that_swupdate_would_not_follow_is_refused(error, description):
    with pytest.raises(error):
        read(swu(description), "x.swu")


def test_a_signed_description_states_a_digest_for_each_file():
    without = sw_description(digest="")

    assert read(swu(without)).version == "1.1"
    with pytest.raises(PayloadMismatchError):
        read(swu(without, signer=Identity()))


def test_the_description_comes_first_and_its_signature_second():
    description, image = ("sw-description", sw_description()), ("rootfs.img", IMAGE)
    signature = ("sw-description.sig", Identity().cms(description[1]))

    for entries in ([image, description], [], [description, image, signature]):
        with pytest.raises(FormatOrderError):
            read(cpio_archive(*entries), "x.swu")


@pytest.mark.parametrize("name", ["../evil", "/etc/passwd", "a/b", "..", ".", "", "a\\b", "x" * 254 + "é"])
def test_a_name_that_leads_elsewhere_is_refused(name):
    archive = cpio_archive(("sw-description", sw_description()), (name, b"x"), ("rootfs.img", IMAGE))

    with pytest.raises((FormatPathError, FormatMalformedError)):
        read(archive, "x.swu")


def test_a_file_that_comes_twice_is_refused():
    image = ("rootfs.img", IMAGE)

    for twice in (image, ("sw-description", b"x")):
        with pytest.raises(FormatMalformedError):
            read(cpio_archive(("sw-description", sw_description()), image, twice), "x.swu")


def test_a_wrong_sum_of_bytes_is_refused():
    start = cpio_entry("sw-description", sw_description(digest=""))

    with pytest.raises(PayloadMismatchError):
        read(start + cpio_entry("rootfs.img", IMAGE, total=sum(IMAGE) + 1) + END, "x.swu")


@pytest.mark.parametrize("size", [0, 1, 2, 3, 255, 256, 65537, 256 * 1024 - 1, 256 * 1024])
def test_the_fast_sum_is_the_sum(size):
    for data in (b"\xff" * size, bytes(range(256)) * (size // 256), b"\x00" * size + b"\x07"):
        block = data[: 256 * 1024]
        assert cpio.byte_sum(block) == sum(block)


@pytest.mark.parametrize("mode", [0o120777, 0o040755, 0o020644, 0])
def test_links_folders_and_devices_are_refused(mode):
    start = cpio_entry("sw-description", sw_description())

    with pytest.raises(FormatMalformedError):
        read(start + cpio_entry("rootfs.img", IMAGE, mode=mode) + END, "x.swu")


def test_a_length_that_is_a_lie_takes_neither_time_nor_memory():
    start = cpio_entry("sw-description", sw_description())

    with pytest.raises(FormatTruncatedError):
        read(start + cpio_entry("rootfs.img", IMAGE, length=0xFFFFFFFF), "x.swu")


def test_a_truncated_archive_is_refused_wherever_it_ends():
    whole = swu()[: -len(END)]

    for end in (0, 1, 6, 109, 110, 120, 200, len(whole) - 1, len(whole)):
        with pytest.raises((FormatTruncatedError, FormatOrderError)):
            read(whole[:end], "x.swu")
