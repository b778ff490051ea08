import json
from contextlib import suppress

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import example, given
from hypothesis import strategies as st
from securesystemslib.formats import encode_canonical
from securesystemslib.signer import CryptoSigner

from firmware_store.trust import primitives
from firmware_store.trust.errors import NotStrictJsonError

PRINTABLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20)
INTEGERS = st.integers(-primitives.MAX_INTEGER, primitives.MAX_INTEGER)
PLAIN = st.recursive(
    st.none() | st.booleans() | INTEGERS | PRINTABLE,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(PRINTABLE, inner, max_size=4),
    max_leaves=20,
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)
ED25519, RSA, ECDSA = (
    CryptoSigner.generate_ed25519(),
    CryptoSigner.generate_rsa(size=2048),
    CryptoSigner.generate_ecdsa(),
)


def public(signer):
    return signer.public_key.to_dict()


def changed(key, **changes):
    return (
        key
        | {name: value for name, value in changes.items() if name != "public"}
        | ({"keyval": {"public": changes["public"]}} if "public" in changes else {})
    )


@given(PLAIN)
def test_what_is_plain_has_one_form_for_python_tuf_and_aktualizr(value):
    form = primitives.canonical(value)

    assert form == encode_canonical(value).encode() == primitives.olpc(value)
    assert form == json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


@given(st.dictionaries(PRINTABLE, PLAIN, max_size=5))
def test_the_canonical_form_reads_back_as_the_same(value):
    form = primitives.canonical(value)

    assert primitives.strict_loads(form, len(form)) == value
    assert primitives.canonical(primitives.strict_loads(form, len(form))) == form


@given(ANYTHING)
@example({"a": 1.0})
@example(["é"])
@example(["\x7f"])
@example({"\n": 1})
@example([2**53])
def test_anything_either_has_the_common_form_or_is_refused(value):
    try:
        form = primitives.canonical(value)
    except NotStrictJsonError:
        return
    assert form == encode_canonical(value).encode()
    assert form.isascii()
    assert all(0x20 <= byte < 0x7F for byte in form)


@pytest.mark.parametrize(
    "value", [{1: "a"}, {"a": {1, 2}}, b"a", object(), float("nan"), True + 0.5, type("S", (str,), {})("a")]
)
def test_what_json_would_bend_is_refused(value):
    with pytest.raises(NotStrictJsonError):
        primitives.canonical(value)


def test_nesting_has_one_limit_both_ways():
    deepest = nested(primitives.MAX_DEPTH)

    assert primitives.strict_loads(primitives.canonical(deepest), 10_000) == deepest
    with pytest.raises(NotStrictJsonError):
        primitives.canonical({"a": deepest})
    with pytest.raises(NotStrictJsonError):
        primitives.strict_loads(json.dumps({"a": deepest}).encode(), 10_000)


def nested(depth):
    value = {}
    for _ in range(depth - 1):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":1,"a":1}',
        b'{"a":{"b":1,"b":2}}',
        b'{"a":1.0}',
        b'{"a":1e3}',
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b'{"a":9007199254740992}',
        b'{"a":-9007199254740992}',
        b'{"a":[' + b"9" * 5000 + b"]}",
        b'\xef\xbb\xbf{"a":1}',
        '{"a":1}'.encode("utf-16"),
        b'{"a":"\xff"}',
        b'{"a":"\\ud800"}',
        b'{"\\udfff":1}',
        b'{"a":"\\u0000"}',
        b'{"a":1} {"b":2}',
        b'{"a":1}x',
        b'{"a":1',
        b"",
        b"[]",
        b'"a"',
        b"null",
        b'{"a":' * 100_000,
        b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
    ids=lambda data: repr(data[:24]),
)
def test_json_that_readers_could_read_differently_is_refused(data):
    with pytest.raises(NotStrictJsonError):
        primitives.strict_loads(data, 1_000_000)


def test_one_byte_more_than_allowed_is_refused():
    assert primitives.strict_loads(b'{"a":1}', 7) == {"a": 1}
    with pytest.raises(NotStrictJsonError):
        primitives.strict_loads(b'{"a":1}', 6)


def test_text_beyond_ascii_can_be_read_though_not_signed():
    assert primitives.strict_loads('{"ä":"\\ud83d\\ude97"}'.encode(), 100) == {"ä": "🚗"}


@given(st.binary(max_size=60))
def test_any_bytes_are_read_as_an_object_or_refused(data):
    with suppress(NotStrictJsonError):
        assert isinstance(primitives.strict_loads(data, 60), dict)


@pytest.mark.parametrize("signer", [ED25519, RSA, ECDSA], ids=["ed25519", "rsa", "ecdsa"])
def test_the_key_id_is_the_one_of_securesystemslib(signer):
    assert primitives.keyid_of(public(signer)) == signer.public_key.keyid


@pytest.mark.parametrize("signer", [ED25519, RSA, ECDSA], ids=["ed25519", "rsa", "ecdsa"])
def test_a_signature_holds_for_its_key_and_its_bytes_alone(signer):
    signature = bytes.fromhex(signer.sign(b"bytes").signature)

    assert primitives.verify(public(signer), signature, b"bytes")
    assert not primitives.verify(public(signer), signature, b"other")
    assert not primitives.verify(public(signer), signature[:-1], b"bytes")
    assert not primitives.verify(public(signer), b"", b"bytes")
    assert not primitives.verify(public(CryptoSigner.generate_ed25519()), signature, b"bytes")


def test_a_key_of_a_kind_that_is_not_taken_has_signed_nothing():
    pkcs1 = CryptoSigner.generate_rsa(scheme="rsa-pkcs1v15-sha256", size=2048)

    assert not primitives.verify(public(pkcs1), bytes.fromhex(pkcs1.sign(b"bytes").signature), b"bytes")


def test_a_pem_key_is_itself_with_or_without_its_last_line_break():
    key = public(RSA)
    stripped = changed(key, public=key["keyval"]["public"].rstrip())

    assert primitives.key_problem(stripped) is None
    assert primitives.keyid_of(stripped) != primitives.keyid_of(key)
    assert primitives.key_value(stripped) == primitives.key_value(key)


def test_olpc_leaves_the_line_breaks_of_a_pem_key_bare_and_json_does_not():
    key = public(RSA)

    assert primitives.olpc(key) == encode_canonical(key).encode()
    assert primitives.canonical(key) == json.dumps(key, sort_keys=True, separators=(",", ":")).encode()
    assert primitives.olpc(key) != primitives.canonical(key)


def test_a_key_that_aktualizr_reads_has_no_problem():
    assert primitives.key_problem(public(ED25519)) is None
    assert primitives.key_problem(public(RSA)) is None


def test_an_ecdsa_key_is_taken_only_where_the_aktualizr_profile_is_off():
    assert primitives.key_problem(public(ECDSA)) == (
        "ECDSA keys are taken only where the aktualizr profile is off: aktualizr rejects a root holding one."
    )
    assert primitives.key_problem(public(ECDSA), is_aktualizr_on=False) is None


def small_rsa():
    # cryptography makes nothing below 1024 bits; the limit here is 2048.
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key()
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return {"keytype": "rsa", "scheme": "rsassa-pss-sha256", "keyval": {"public": pem}}


def test_a_short_rsa_key_is_refused_with_its_length():
    assert primitives.key_problem(small_rsa()) == "An RSA key has at least 2048 bits; this one has 1024."


@pytest.mark.parametrize(
    "key",
    [
        None,
        [],
        "ed25519",
        {},
        public(ED25519) | {"more": 1},
        changed(public(ED25519), keyval=None),
        changed(public(ED25519), keyval={"public": 5}),
        changed(public(ED25519), keyval={"public": "a" * 64, "private": "b"}),
        changed(public(ED25519), public="A" * 64),
        changed(public(ED25519), public="a" * 63),
        changed(public(ED25519), public=" " + "a" * 63),
        changed(public(ED25519), scheme="ed25519ph"),
        changed(public(ED25519), keytype=["ed25519"], scheme={}),
        changed(public(ED25519), keytype="ecdsa", scheme=[]),
        changed(public(RSA), scheme="rsa-pkcs1v15-sha256"),
        changed(public(RSA), public="-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"),
        changed(public(RSA), public=public(ECDSA)["keyval"]["public"]),
        changed(public(RSA), public=public(RSA)["keyval"]["public"].replace("\n", "\r\n")),
        changed(public(ECDSA), public=public(RSA)["keyval"]["public"]),
        changed(public(ECDSA), scheme="ecdsa-sha2-nistp384"),
        changed(public(ECDSA), keytype="ecdsa-sha2-nistp256"),
    ],
    ids=range(21),
)
def test_whatever_is_no_such_key_is_refused_with_a_sentence_and_verifies_nothing(key):
    problem = primitives.key_problem(key, is_aktualizr_on=False)

    assert problem.endswith(".")
    assert not primitives.verify(key, b"\0" * 64, b"bytes")
