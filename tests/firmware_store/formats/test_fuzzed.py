"""Any byte changed, anything cut off: the facts of the signed package, or a refusal, and never anything else."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otaserver.errors import RefusedError
from tests.firmware_store.formats.builders import Identity, mender, read, read_verified, swu
from tests.firmware_store.formats.tools import make_raucb, needs

SIGNER = Identity()
COUNT = settings(max_examples=100, deadline=None)
CHANGES = st.lists(st.tuples(st.integers(0, 2**20), st.integers(0, 255)), min_size=1, max_size=3)


@cache
def sample(kind):
    if kind == "swu":
        return swu(signer=SIGNER), SIGNER.pem
    if kind == "mender":
        return mender(signer=SIGNER), SIGNER.key_pem
    with TemporaryDirectory() as folder:
        return make_raucb(Path(folder), SIGNER, form=kind), SIGNER.pem


def outcome(data, kind, pem):
    name = f"x.{kind if kind in ('swu', 'mender') else 'raucb'}"
    try:
        # Who signed is shown as the file shows it, also where the configured certificate is the one that counts.
        return replace(read_verified(data, name, pem), signers=())
    except RefusedError as refusal:
        assert refusal.code
        assert len(refusal.message) < 2000
        return None


KINDS = ["swu", "mender", pytest.param("plain", marks=needs("rauc")), pytest.param("verity", marks=needs("rauc"))]


@pytest.mark.parametrize("kind", KINDS)
@COUNT
@given(changes=CHANGES)
def test_changed_bytes_change_no_facts(kind, changes):
    data, pem = sample(kind)
    spoiled = bytearray(data)
    for at, value in changes:
        spoiled[at % len(data)] = value

    assert outcome(bytes(spoiled), kind, pem) in (None, outcome(data, kind, pem))


@pytest.mark.parametrize("kind", KINDS)
@COUNT
@given(end=st.integers(0, 2**20), tail=st.binary(max_size=40))
def test_what_is_cut_off_or_grafted_changes_no_facts(kind, end, tail):
    data, pem = sample(kind)

    assert outcome(data[: end % len(data)] + tail, kind, pem) in (None, outcome(data, kind, pem))


@pytest.mark.parametrize("kind", KINDS)
def test_the_samples_themselves_hold(kind):
    data, pem = sample(kind)

    assert outcome(data, kind, pem) == replace(read(data), signers=())
    assert read(data).signature in ("cms", "raw")


@COUNT
@given(data=st.binary(max_size=3000), name=st.sampled_from(["x.swu", "x.raucb", "x.mender"]))
def test_noise_under_a_package_s_name_is_refused(data, name):
    with pytest.raises(RefusedError):
        read(data, name)
