"""Attacks of wire/uptane.md 6.1 on images, their names and who may sign them: A8, A10, A14, A15, A20, A21, A22."""

import copy
import hashlib
import itertools
import json

import httpx
import pytest

from clients.vehicle.hooks import HookResult, Verdict, WillingHooks
from tests.clients.vehicle.refusals import assert_completed, assert_refused, assert_updatable
from tests.clients.vehicle.repositories import Signer, pieces
from tests.clients.vehicle.test_agent import hold
from tests.clients.vehicle.vehicles import what_runs

DIRECTOR = "/director/metadata/"
IMAGE = "/repo/metadata/"


@pytest.fixture
def attempt(oem, vehicle):
    """Release 2.0 is ordered."""
    return oem.order(oem.publish_release("2.0", counter=2))


@pytest.fixture
def verified_attempt(oem, vehicle, attempt):
    """Its metadata, which is honest, is trusted already; no image is here yet."""
    digest = first_target(oem)["hashes"]["sha256"]
    oem.overrides[f"/downloads/{digest}"] = lambda _request: httpx.Response(503)
    assert vehicle.run().status == "not_now"
    oem.overrides.clear()
    return attempt


class SickHooks(WillingHooks):
    def health(self, release):
        return HookResult(Verdict.NO, "no signal from the brakes")


def first_target(oem):
    return next(iter(oem.director.targets.values()))


def test_a08_an_image_with_a_lower_release_counter_is_refused(vehicle, oem):
    new = oem.publish_release("2.0", counter=5)
    oem.order(new)
    assert vehicle.run().status == "installed"
    older = oem.publish_release("1.5", counter=4)
    attempt = oem.order(older)

    assert_refused(vehicle, oem, "image_rollback", attempt=attempt)


def test_a08_an_equal_release_counter_is_allowed(vehicle, oem):
    oem.order(oem.publish_release("2.0", counter=5))
    assert vehicle.run().status == "installed"
    other = oem.publish_release("1.5", counter=5)
    oem.order(other)

    assert vehicle.run().status == "installed"
    assert vehicle.runs() == other


@pytest.mark.parametrize("counter", [None, "7", -1, True])
def test_a08_an_absent_or_odd_release_counter_is_refused(vehicle, oem, attempt, counter):
    for target in [*oem.director.targets.values(), *oem.image.delegated["supplier"]["targets"].values()]:
        target["custom"]["releaseCounter"] = counter
        if counter is None:
            del target["custom"]["releaseCounter"]
    oem.image.publish()
    oem.director.publish()

    assert_refused(vehicle, oem, "malformed", attempt=attempt)


def test_a08_a_counter_is_kept_only_by_a_commit(vehicle, oem, attempt):
    vehicle.hooks = SickHooks()
    vehicle.restart()
    assert vehicle.run().status == "failed"

    record = json.loads((vehicle.config.state_dir / "commit.json").read_text())
    assert record["counters"] == {"P1": 1, "S1": 1, "S2": 1}


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets", "2.root"])
@pytest.mark.parametrize("repository", ["director", "image"])
def test_a10_metadata_without_end_is_cut_off(vehicle, oem, attempt, repository, role):
    repo = getattr(oem, repository)
    name = f"{role}.json" if "root" in role else repo.latest(role)
    folder = DIRECTOR if repository == "director" else IMAGE
    sent = []

    def endless(_request):
        def body():
            while True:
                sent.append(1)
                yield b" " * 65_536

        return httpx.Response(200, content=body())

    oem.overrides[folder + name] = endless

    assert_refused(vehicle, oem, "oversized", still=attempt)
    assert len(sent) < 100


@pytest.mark.parametrize("surplus", [b"x", b"x" * 1_000_000])
def test_a10_an_image_longer_than_signed_is_cut_off(vehicle, oem, verified_attempt, surplus):
    target = first_target(oem)
    digest = target["hashes"]["sha256"]
    data = oem.images[digest] + surplus
    oem.overrides[f"/downloads/{digest}"] = lambda _request: httpx.Response(200, content=pieces(data))

    assert_refused(vehicle, oem, "oversized", still=verified_attempt)


def directed(oem, change):
    """Change the first target in the Director's signed targets only: its key is stolen."""
    name, target = next(iter(oem.director.targets.items()))
    changed = change(name, target)
    del oem.director.targets[name]
    oem.director.targets[changed] = target
    oem.director.publish()


def only_the_director_knows(name, target):
    return f"{name}-evil"


def other_length(name, target):
    target["length"] += 1
    return name


def other_sha256(name, target):
    target["hashes"]["sha256"] = "0" * 64
    return name


def other_sha512(name, target):
    target["hashes"]["sha512"] = "0" * 128
    return name


def other_hardware_ids(name, target):
    target["custom"]["hardwareIds"] = ["gateway", "engine"]
    return name


def other_counter(name, target):
    target["custom"]["releaseCounter"] = 99
    return name


def other_version(name, target):
    target["custom"]["version"] = "2.1"
    return name


def other_name(name, target):
    target["custom"]["name"] = "fw-seat"
    return name


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (other_length, "image_mismatch"),
        (other_sha256, "image_mismatch"),
        (other_sha512, "image_mismatch"),
        (other_hardware_ids, "image_mismatch"),
        (other_counter, "image_mismatch"),
        (other_version, "image_mismatch"),
        (other_name, "image_mismatch"),
    ],
)
def test_a14_a_stolen_director_key_installs_nothing_that_no_supplier_signed(vehicle, oem, attempt, change, reason):
    directed(oem, change)

    assert_refused(vehicle, oem, reason, attempt=attempt)


def test_a14_an_image_that_only_the_director_knows_is_refused(vehicle, oem, attempt):
    honest = copy.deepcopy(oem.director.targets)
    directed(oem, only_the_director_knows)

    def mend():
        oem.director.targets = honest
        oem.director.publish()

    assert_refused(vehicle, oem, "image_unknown", still=attempt, mend=mend)


def test_a14_image_metadata_from_before_the_release_ends_no_attempt(vehicle, oem):
    kept = {IMAGE + name: data for name, data in oem.image.files.items() if name == "timestamp.json"}
    attempt = oem.order(oem.publish_release("2.0", counter=2))
    oem.overrides |= kept

    assert_refused(vehicle, oem, "image_unknown", still=attempt)


def test_a14_an_image_for_other_hardware_is_refused(vehicle, oem):
    new = oem.publish_release("2.0", counter=2)
    attempt = oem.order({"P1": new["S1"]})

    assert_refused(vehicle, oem, "image_mismatch", attempt=attempt)


def with_evil_role(oem, **delegation):
    """A second supplier whose key is stolen."""
    oem.image.delegate("evil", Signer(), **delegation)


def test_a15_a_supplier_cannot_sign_outside_its_paths(vehicle, oem, attempt):
    with_evil_role(oem)
    name = "supplier/fw-gateway-6.6"
    custom = {"hardwareIds": ["gateway"], "releaseCounter": 9, "name": "fw-gateway", "version": "6.6"}
    entry = copy.deepcopy(first_target(oem)) | {"custom": custom}
    oem.image.delegated["evil"]["targets"][name] = entry
    oem.image.publish()
    oem.director.targets = {name: entry | {"custom": custom | {"ecuIdentifiers": {"P1": {"hardwareId": "gateway"}}}}}
    oem.director.publish()

    assert_refused(vehicle, oem, "image_unknown")
    assert oem.finished(attempt) == []


def test_a15_a_supplier_restricted_to_other_hardware_is_refused(vehicle, oem):
    with_evil_role(oem, hardwareIds=["engine"])
    name = oem.publish_image("fw-gateway", "6.6", "gateway", counter=9, role="evil")
    attempt = oem.order({"P1": name})

    assert_refused(vehicle, oem, "delegation", attempt=attempt)


def test_a15_a_terminating_delegation_is_not_passed(vehicle, oem, attempt):
    oem.image.delegate("first", Signer(), paths=["supplier/*"], terminating=True)
    oem.image.delegations["roles"].reverse()
    oem.image.publish()
    before = vehicle.trust()

    result = vehicle.run()

    assert (result.status, result.detail.partition(":")[0]) == ("never", "image_unknown")
    assert vehicle.trust() == before
    oem.image.delegations["roles"].pop(0)
    assert_completed(vehicle, oem, attempt, mend=oem.image.publish)
    assert_updatable(vehicle, oem)


def other_content(data):
    return b"evil" * (len(data) // 4 + 1)


def tampered(data):
    return data[:-1] + bytes([data[-1] ^ 1])


def truncated(data):
    return data[:-1]


def nothing(_data):
    return b""


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (other_content, "oversized"),
        (tampered, "image_corrupt"),
        (truncated, "image_corrupt"),
        (nothing, "image_corrupt"),
    ],
)
def test_a20_an_image_that_is_not_what_was_signed_is_refused(vehicle, oem, verified_attempt, spoil, reason):
    digest = first_target(oem)["hashes"]["sha256"]
    served = spoil(oem.images[digest])
    oem.overrides[f"/downloads/{digest}"] = lambda _request: httpx.Response(200, content=pieces(served))

    assert_refused(vehicle, oem, reason, still=verified_attempt)


def test_a20_an_image_that_stays_wrong_ends_the_attempt_as_not_downloaded(vehicle, oem, verified_attempt):
    digest = first_target(oem)["hashes"]["sha256"]
    served = tampered(oem.images[digest])
    oem.overrides[f"/downloads/{digest}"] = lambda _request: httpx.Response(200, content=pieces(served))
    old, results = vehicle.runs(), []

    for _ in range(5):
        vehicle.restart()
        results.append(vehicle.run())

    assert [result.status for result in results] == ["never"] * 4 + ["failed"]
    assert vehicle.runs() == old
    assert oem.finished(verified_attempt) == [("failure", "download_failed")]
    assert len(oem.attacks()) == 5
    assert_updatable(vehicle, oem)


def test_a20_a_download_that_has_changed_on_disk_is_fetched_again(vehicle, oem):
    new = oem.publish_release("2.0", counter=2)
    attempt = hold(vehicle, oem, new)
    digest = first_target(oem)["hashes"]["sha256"]
    path = vehicle.config.state_dir / "downloads" / digest
    path.write_bytes(tampered(path.read_bytes()))

    assert_refused(vehicle, oem, "image_corrupt", still=attempt)


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a20_one_right_hash_of_two_is_not_enough(vehicle, oem, attempt, algorithm):
    good = first_target(oem)["hashes"]
    name = next(iter(oem.director.targets))
    wrong = good | {algorithm: "0" * len(good[algorithm])}
    for targets in (oem.director.targets, oem.image.delegated["supplier"]["targets"]):
        targets[name]["hashes"] = wrong
    oem.images[wrong["sha256"]] = oem.images[good["sha256"]]
    oem.image.publish()
    oem.director.publish()
    old = vehicle.runs()

    results = [vehicle.run() for _ in range(5)]

    assert (results[0].status, results[0].detail.partition(":")[0]) == ("never", "image_corrupt")
    assert vehicle.runs() == old
    assert oem.finished(attempt) == [("failure", "download_failed")]
    assert_updatable(vehicle, oem)


UNSAFE = [
    "../x-1",
    "supplier/../x-1",
    "/etc/passwd",
    "a//b-1",
    "supplier/a/b-1",
    "supplier/%2e%2e",
    "supplier/.hidden-1",
    "supplier/x\u0000-1",
    "supplier/" + "x" * 3000,
    "supplier/f\u212b-1",
    "supplier/\uff0e\uff0e-1",
    "supplier\\x-1",
    "supplier/x-1\n",
    "",
    "root",
]


@pytest.mark.parametrize("name", UNSAFE)
def test_a21_a_target_name_that_could_leave_its_place_is_refused(vehicle, oem, attempt, name):
    entry = first_target(oem)
    oem.image.delegated["supplier"]["targets"][name] = entry
    oem.director.targets = {name: entry}
    oem.image.publish()
    oem.director.publish()
    before = set(vehicle.config.state_dir.parent.rglob("*"))

    result = vehicle.run()

    assert (result.status, result.detail.partition(":")[0]) == ("never", "unsafe_name")
    assert not set(vehicle.config.state_dir.parent.rglob("*")) - before
    del oem.image.delegated["supplier"]["targets"][name]
    assert_updatable(vehicle, oem)


def test_a21_an_unsafe_name_that_the_director_has_signed_ends_the_attempt(vehicle, oem, attempt):
    oem.director.targets = {"../x-1": first_target(oem)}
    oem.director.publish()

    assert_refused(vehicle, oem, "unsafe_name", attempt=attempt)


def test_a21_an_unsafe_name_in_the_image_repository_is_refused(vehicle, oem, attempt):
    oem.image.delegated["supplier"]["targets"]["../x"] = first_target(oem)
    oem.image.publish()
    before = vehicle.trust()

    result = vehicle.run()

    assert (result.status, result.detail.partition(":")[0]) == ("never", "unsafe_name")
    assert vehicle.trust() == before
    assert oem.finished(attempt) == [("failure", "verification_failed")]
    del oem.image.delegated["supplier"]["targets"]["../x"]
    assert_updatable(vehicle, oem)


def nested(oem, *names):
    """Let each of `names` delegate everything to the next one, all below `outer`, which comes first."""
    signers = {name: Signer() for name in names}
    for name, child in itertools.pairwise(names):
        role = {"name": child, "keyids": [signers[child].keyid], "threshold": 1, "paths": ["supplier/*"]}
        delegations = {
            "keys": {signers[child].keyid: signers[child].key},
            "roles": [role | {"terminating": False}],
        }
        oem.image.delegated[name] = {"targets": {}, "delegations": delegations}
    oem.image.delegated.setdefault(names[-1], {"targets": {}})
    oem.image.signers |= {name: [signer] for name, signer in signers.items()}
    oem.image.delegate(names[0], signers[names[0]], paths=["supplier/*"])
    oem.image.delegations["roles"].reverse()


def circle(oem):
    nested(oem, "one", "two", "one")


def too_deep(oem):
    nested(oem, *(f"level-{number}" for number in range(8)))


def too_many_to_visit(oem):
    for number in range(40):
        oem.image.delegate(f"many-{number}", Signer(), paths=["supplier/*"])
    oem.image.delegations["roles"].reverse()


def ten_thousand_roles(oem):
    role = oem.image.delegations["roles"][0]
    oem.image.delegations["roles"] += [role | {"name": f"r-{number}"} for number in range(10_000)]


def one_name_twice(oem):
    oem.image.delegations["roles"].append(dict(oem.image.delegations["roles"][0]))


def reserved_name(oem):
    oem.image.delegations["roles"].append(oem.image.delegations["roles"][0] | {"name": "root"})


def path_as_name(oem):
    oem.image.delegations["roles"].append(oem.image.delegations["roles"][0] | {"name": "../root"})


def no_list(oem):
    oem.image.delegations = {"keys": {}, "roles": {"name": "supplier"}}


@pytest.mark.parametrize(
    "spoil",
    [circle, too_deep, too_many_to_visit, ten_thousand_roles, one_name_twice, reserved_name, path_as_name, no_list],
)
def test_a22_a_delegation_graph_out_of_bounds_is_refused(vehicle, oem, attempt, spoil):
    honest = (copy.deepcopy(oem.image.delegations), dict(oem.image.delegated))
    spoil(oem)
    oem.image.publish()
    oem.requests.clear()
    before = (vehicle.trust(), vehicle.runs())

    result = vehicle.run()

    assert (result.status, result.detail.partition(":")[0]) == ("never", "delegation")
    assert (vehicle.trust(), vehicle.runs()) == before
    assert len(oem.requests) < 50
    assert oem.finished(attempt) == [("failure", "verification_failed")]
    oem.image.delegations, oem.image.delegated = honest
    assert_updatable(vehicle, oem)


def test_a22_a_missing_delegated_role_is_not_now(vehicle, oem, attempt):
    oem.overrides[IMAGE + oem.image.latest("supplier")] = lambda _request: httpx.Response(404)
    before = (vehicle.trust(), vehicle.runs())

    result = vehicle.run()

    assert (result.status, result.detail.partition(":")[0]) == ("not_now", "metadata.missing")
    assert (vehicle.trust(), vehicle.runs()) == before
    assert_completed(vehicle, oem, attempt)
    assert_updatable(vehicle, oem)


def test_a22_an_expired_delegated_role_is_refused(vehicle, oem, attempt):
    oem.image.lifetimes["supplier"] = -1
    oem.image.publish()
    before = vehicle.trust()

    result = vehicle.run()

    assert (result.status, result.detail.partition(":")[0]) == ("never", "freeze")
    assert vehicle.trust() == before
    del oem.image.lifetimes["supplier"]
    assert_completed(vehicle, oem, attempt, mend=oem.image.publish)
    assert_updatable(vehicle, oem)


def test_a22_a_delegated_role_that_leaves_the_snapshot_is_refused(vehicle, oem, attempt):
    assert vehicle.run().status == "installed"
    supplier = oem.image.delegated.pop("supplier")
    oem.image.publish_snapshot()
    oem.image.publish_timestamp()
    oem.image.delegated["supplier"] = supplier
    other = copy.deepcopy(oem.director.targets)
    first = next(iter(other))
    oem.director.targets = {first.replace("2.0", "3.0"): other[first]}
    oem.director.custom["order"]["attempt"] = "00000000-0000-4000-8000-000000000001"
    oem.director.publish()

    assert_refused(vehicle, oem, "inconsistent")
    assert oem.finished("00000000-0000-4000-8000-000000000001") == []


def test_images_are_stored_by_hash_and_dropped_after_installing(vehicle, oem, attempt):
    vehicle.run()

    assert not (vehicle.config.state_dir / "downloads").exists()
    for serial, name in what_runs(vehicle.config.state_dir).items():
        slot = vehicle.config.state_dir / "ecus" / serial / "b" / "image"
        expected = oem.image.delegated["supplier"]["targets"][name]["hashes"]["sha256"]
        assert hashlib.sha256(slot.read_bytes()).hexdigest() == expected
