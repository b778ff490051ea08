"""What is assembled for vehicles, against what python-tuf itself would sign, over generated documents."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from securesystemslib.formats import encode_canonical
from tuf.api.metadata import Metadata
from tuf.api.serialization.json import CanonicalJSONSerializer

from firmware_store.states import Profile
from firmware_store.trust import primitives, profiles
from firmware_store.trust.errors import NotStrictJsonError
from otaserver.director import documents
from otaserver.director.orders import Order, OrderedPackage

# A busy machine draws slowly; that says nothing of what is drawn.
generously = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
WORDS = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=12)
NUMBERS = st.integers(0, primitives.MAX_INTEGER)
VERSIONS = st.integers(1, 2**53 - 1)
TIMES = st.datetimes(datetime(2026, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))
PACKAGES = st.builds(
    OrderedPackage,
    ecu_serial=WORDS,
    hardware_id=WORDS,
    target_name=WORDS.filter(bool),
    name=WORDS,
    version=WORDS,
    length=NUMBERS,
    sha256=st.just("a" * 64),
    sha512=st.just("b" * 128),
    hardware_ids=st.lists(WORDS, max_size=3),
    release_counter=NUMBERS,
    position=NUMBERS,
)
ORDERS = st.builds(
    Order,
    attempt_id=st.uuids(),
    number=NUMBERS,
    campaign=WORDS,
    release=WORDS,
    packages=st.lists(PACKAGES, max_size=3),
    grace_hours=st.none() | NUMBERS,
    not_before=st.none() | TIMES,
    windows=st.none() | st.lists(st.tuples(TIMES, TIMES), max_size=2),
    preconditions=st.lists(st.fixed_dictionaries({"name": WORDS, "value": NUMBERS | st.booleans()}), max_size=2),
    consent=st.none() | st.fixed_dictionaries({"postponements": st.none() | NUMBERS}),
    notes=st.dictionaries(WORDS, st.text(max_size=8), max_size=2),
)


def signed_by_tuf(body: bytes) -> bytes:
    """What python-tuf would sign of what it reads in these bytes."""
    envelope = profiles.seal(body, Profile.TUF, keyid="a" * 64, keytype="ed25519", signature=b"s")
    return CanonicalJSONSerializer().serialize(Metadata.from_bytes(envelope).signed)


@generously
@given(st.none() | ORDERS, WORDS, VERSIONS, TIMES)
def test_assembled_targets_are_the_bytes_that_python_tuf_signs(order, vehicle_id, version, expires_at):
    content = documents.order_content(order)
    # As it is read from the database.
    read = None if content is None else json.loads(json.dumps(content))

    body = documents.targets_body(
        Profile.TUF, vehicle_id=vehicle_id, version=version, expires_at=expires_at, content=read
    )

    assert signed_by_tuf(body) == body
    found = json.loads(body)
    assert (found["custom"], found["targets"]) == ((read or {}).get("custom", {}), (read or {}).get("targets", {}))
    assert (found["vehicle_id"], found["version"]) == (vehicle_id, version)


@generously
@given(WORDS, VERSIONS, VERSIONS, TIMES, st.binary(max_size=20))
def test_an_assembled_snapshot_and_timestamp_are_the_bytes_that_python_tuf_signs(
    vehicle_id, version, other, expires_at, served
):
    named = {"vehicle_id": vehicle_id, "version": version, "expires_at": expires_at}

    snapshot = documents.snapshot_body(Profile.TUF, **named, targets_version=other)
    timestamp = documents.timestamp_body(Profile.TUF, **named, snapshot=served, snapshot_version=other)

    assert signed_by_tuf(snapshot) == snapshot
    assert signed_by_tuf(timestamp) == timestamp
    assert json.loads(snapshot)["meta"]["targets.json"] == {"version": other}
    assert json.loads(timestamp)["meta"]["snapshot.json"]["length"] == len(served)


@generously
@given(ORDERS, WORDS, VERSIONS, TIMES)
def test_the_same_holds_of_aktualizrs_form(order, vehicle_id, version, expires_at):
    named = {"vehicle_id": vehicle_id, "version": version, "expires_at": expires_at}

    bodies = [
        documents.targets_body(Profile.AKTUALIZR, **named, content=documents.order_content(order)),
        documents.snapshot_body(Profile.AKTUALIZR, **named, targets_version=version),
        documents.timestamp_body(Profile.AKTUALIZR, **named, snapshot=b"x", snapshot_version=version),
    ]

    for body in bodies:
        assert body == encode_canonical(json.loads(body)).encode()


def test_an_id_that_has_no_canonical_form_is_not_assembled():
    named = {"vehicle_id": "VIN\n1", "version": 1, "expires_at": datetime(2026, 6, 1, tzinfo=UTC)}

    with pytest.raises(NotStrictJsonError):
        documents.targets_body(Profile.TUF, **named, content=None)
