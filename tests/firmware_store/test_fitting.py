"""Whether a file is what it was declared as."""

import pytest

from firmware_store.errors import ContentsHardwareError, ContentsVersionError
from firmware_store.fitting import contents_refusal
from firmware_store.formats.facts import Contents, Format
from firmware_store.rules import Declaration

ANY = {"": ["1.0", "1.2"]}


def declared(version="1.1", *hardware_ids):
    return Declaration("supplier", "gateway", version, hardware_ids or ("gateway",), 0, "x", 1, "0" * 64)


def swu(boards=ANY, version="1.1"):
    return Contents(Format.SWU, version=version, details={"boards": boards})


def code(contents, declaration, *, is_known=False):
    refusal = contents_refusal(contents, declaration, is_known=is_known)
    return refusal.code if refusal else None


def test_a_plain_file_says_nothing_and_fits_anything():
    assert code(Contents(Format.PLAIN), declared("9", "anything")) is None


@pytest.mark.parametrize(
    ("stated", "version", "fits"),
    [
        ("1.1", "1.1", True),
        ("1.1", "1.2", False),
        ("1.1", "1.10", False),
        ("", "1.1", True),
        ("2024.1+git5", "2024.1-git5", True),
        ("2024.1+git5", "2024.1xgit5", False),
        ("gateway-1.1", "1.1", False),
    ],
)
def test_a_bundle_s_version_is_the_declared_one(stated, version, fits):
    contents = Contents(Format.RAUCB, version=stated, hardware=("gateway",))

    assert code(contents, declared(version)) == (None if fits else ContentsVersionError.code)


@pytest.mark.parametrize(
    ("name", "version", "declaration", "fits"),
    [
        ("gateway-1.1", "gateway-1.1", "1.1", True),
        ("gateway-1.1", "gateway-1.1", "gateway-1.1", True),
        ("release 7", "1.1", "1.1", True),
        ("release 7", "1.1", "7", True),
        ("gateway-11.1", "gateway-11.1", "1.1", False),
        ("gateway-1.1", "gateway-1.1", "1.2", False),
    ],
)
def test_an_artifact_s_name_ends_in_the_declared_version(name, version, declaration, fits):
    contents = Contents(Format.MENDER, name=name, version=version, hardware=("gateway",))

    assert code(contents, declared(declaration)) == (None if fits else ContentsVersionError.code)


def test_bytes_that_were_published_before_may_be_signed_again_under_another_version():
    assert code(swu(), declared("1.1-again"), is_known=True) is None
    assert code(swu(), declared("1.1-again")) == ContentsVersionError.code


@pytest.mark.parametrize("format_", [Format.RAUCB, Format.MENDER])
def test_every_declared_hardware_id_is_one_of_the_file_s(format_):
    contents = Contents(format_, version="1.1", hardware=("gateway", "brake"))

    assert code(contents, declared("1.1", "gateway")) is None
    assert code(contents, declared("1.1", "gateway", "brake")) is None
    assert code(contents, declared("1.1", "gateway", "door")) == ContentsHardwareError.code


@pytest.mark.parametrize(
    ("boards", "hardware_id", "fits"),
    [
        (ANY, "gateway", True),
        (ANY, "gateway:1.0", True),
        (ANY, "gateway:1.2", True),
        (ANY, "gateway:1.1", False),
        ({"": []}, "gateway:9", True),
        ({"": ["brake"]}, "gateway", False),
        ({"": ["gateway"]}, "gateway", True),
        ({"": ["#RE:^1\\.[0-9]$"]}, "gateway:1.7", True),
        ({"": ["#RE:^1\\.[0-9]$"]}, "gateway:2.7", False),
        ({"": ["#RE:^1\\.[0-9]$"]}, "gateway", True),
        ({"": ["#RE:^gate.*"]}, "brake", False),
        ({"": ["#RE:(x+x+)+y"]}, "gateway:xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", True),
        ({"": ["#RE:["]}, "gateway:1", True),
        ({"brake": ["7"]}, "gateway", False),
        ({"brake": ["7"]}, "brake", True),
        ({"brake": ["7"]}, "brake:7", True),
        ({"brake": ["7"]}, "brake:8", False),
        ({"brake": ["7"], "": ["1"]}, "gateway:1", True),
    ],
)
def test_a_hardware_id_is_a_board_with_or_without_a_revision(boards, hardware_id, fits):
    assert code(swu(boards), declared("1.1", hardware_id)) == (None if fits else ContentsHardwareError.code)


def test_a_refusal_names_both_sides():
    refusal = contents_refusal(swu(version="2.0"), declared("1.1"), is_known=False)

    assert refusal.message == "The file states the version '2.0'; '1.1' was declared."
    assert refusal.details == {"stated": "2.0", "declared": "1.1"}
