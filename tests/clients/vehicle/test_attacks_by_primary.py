"""A27 of wire/uptane.md 6.1: a compromised Primary against Secondaries that verify by themselves."""

import base64
import json
from datetime import timedelta

import pytest

from clients.vehicle.config import EcuConfig
from clients.vehicle.disk import Disk
from clients.vehicle.errors import NotNowError, VerificationError
from clients.vehicle.order import Package
from clients.vehicle.secondary import Secondary, SecondaryLink, make_bundle
from clients.vehicle.slots import Image
from tests.clients.vehicle.conftest import NOON
from tests.clients.vehicle.repositories import Oem, Signer, stamp
from tests.clients.vehicle.vehicles import Vehicle, make_config

KINDS = pytest.mark.parametrize("verification", ["full", "partial"])


class Bench:
    """One Secondary, the attacker's end of the wire to it, and a Primary that gathers honest metadata."""

    def __init__(self, oem, folder, verification):
        self.oem = oem
        self.now = NOON
        self.primary = Vehicle(oem, folder / "primary")
        self.config = make_config(oem, folder / "bench")
        self.folder = folder / "bench/S1"
        self.ecu = EcuConfig("S1", "engine", verification=verification)
        self.restart()

    def restart(self):
        disk = Disk(is_durable=False)
        self.secondary = Secondary(self.folder, self.ecu, self.config, clock=lambda: self.now, disk=disk)
        self.link = SecondaryLink("S1", self.secondary.exchange, self.folder)

    def bundle(self):
        """Metadata as an honest Primary has verified it."""
        self.primary.run()
        return make_bundle(self.primary.config.state_dir / "trust/current")

    def forged(self):
        """The newest metadata of the maker's, as a Primary hands it over that verifies nothing."""
        bundle = {}
        for name, repo in (("director", self.oem.director), ("image", self.oem.image)):
            roots = [file for file in repo.files if file.endswith(".root.json")]
            served = {file: repo.files[file] for file in roots}
            roles = ("timestamp", "snapshot", "targets", *repo.delegated)
            served |= {f"{role}.json": repo.files[repo.latest(role)] for role in roles}
            bundle[name] = {file: encoded(data) for file, data in served.items()}
        return json.dumps(bundle).encode()

    def stage(self, package, data):
        path = self.folder / "sent"
        path.write_bytes(data)
        self.link.stage("b", package, path)

    def state(self):
        files = [*self.folder.glob("[ab]/*"), *self.folder.glob("trust/**/*"), *self.folder.glob("release_counter")]
        files += self.folder.glob("wanted.json")
        return {str(file): file.read_bytes() for file in files if file.is_file()}

    def package(self, serial="S1"):
        """What the Director orders for `serial`, and its bytes."""
        for name, target in self.oem.director.targets.items():
            if serial in target["custom"]["ecuIdentifiers"]:
                hashes = target["hashes"]
                custom = target["custom"]
                image = Image(
                    target_name=name,
                    length=target["length"],
                    sha256=hashes["sha256"],
                    sha512=hashes["sha512"],
                    release_counter=custom["releaseCounter"],
                    name=custom["name"],
                    version=custom["version"],
                )
                return Package(serial, "engine", image), self.oem.images[hashes["sha256"]]
        raise LookupError(serial)


@pytest.fixture
def bench(tmp_path, verification):
    oem = Oem(NOON)
    oem.order(oem.publish_release("2.0", counter=2))
    return Bench(oem, tmp_path, verification)


def refused(bench, act):
    before = bench.state()
    with pytest.raises(VerificationError) as caught:
        act()
    assert bench.state() == before
    return caught.value.reason.value


@KINDS
def test_a27_an_honest_primary_is_served(bench):
    bench.link.offer_metadata(bench.bundle())
    package, data = bench.package()

    bench.stage(package, data)

    assert bench.link.installed("b") == package.image


@KINDS
def test_a27_another_image_is_refused(bench):
    bench.link.offer_metadata(bench.bundle())
    package, data = bench.package()

    assert refused(bench, lambda: bench.stage(package, b"evil" * (len(data) // 4))) == "image_corrupt"
    assert refused(bench, lambda: bench.stage(package, data + b"more")) == "oversized"
    assert refused(bench, lambda: bench.stage(*bench.package("P1"))) != ""
    bench.stage(package, data)
    assert bench.link.installed("b") == package.image


@KINDS
def test_a27_an_image_without_metadata_is_refused(bench):
    assert refused(bench, lambda: bench.stage(*bench.package())) == "image_unknown"


@KINDS
@pytest.mark.parametrize(("hours", "is_late"), [(71, False), (73, True)])
def test_a27_what_a_secondary_has_verified_it_acts_on_after_a_restart_but_not_for_ever(bench, hours, is_late):
    bench.oem.order(bench.oem.publish_release("3.0", counter=3), grace_hours=48)
    bench.link.offer_metadata(bench.bundle())
    bench.restart()
    bench.now += timedelta(hours=hours)
    package, data = bench.package()

    if is_late:
        with pytest.raises(NotNowError) as caught:
            bench.stage(package, data)
        assert caught.value.code == "order.unconfirmed"
    else:
        bench.stage(package, data)

    assert bench.link.installed("b") == (None if is_late else package.image)


@KINDS
def test_a27_metadata_that_is_refused_leaves_what_was_verified(bench):
    bench.link.offer_metadata(bench.bundle())
    with pytest.raises(VerificationError):
        bench.link.offer_metadata(b"junk")
    package, data = bench.package()

    bench.stage(package, data)

    assert bench.link.installed("b") == package.image


@KINDS
def test_a27_stale_metadata_is_refused(bench):
    old = bench.bundle()
    bench.oem.order(bench.oem.publish_release("3.0", counter=3))
    bench.link.offer_metadata(bench.bundle())

    assert refused(bench, lambda: bench.link.offer_metadata(old)) == "rollback"


@KINDS
def test_a27_expired_metadata_is_refused(bench):
    bundle = bench.bundle()
    bench.now += timedelta(days=40)

    assert refused(bench, lambda: bench.link.offer_metadata(bundle)) == "freeze"


@KINDS
@pytest.mark.parametrize("role", ["timestamp", "targets"])
def test_a27_a_clock_far_behind_accepts_nothing_that_had_ended_at_the_last_signed_time(bench, role):
    bench.oem.director.publish_timestamp(signed_at=stamp(NOON))
    bench.link.offer_metadata(bench.bundle())
    bench.now -= timedelta(days=20_000)
    bench.oem.director.lifetimes[role] = -1
    bench.oem.order(bench.oem.publish_release("3.0", counter=3))
    bundle = bench.forged()

    assert refused(bench, lambda: bench.link.offer_metadata(bundle)) == "freeze"


@KINDS
def test_a27_metadata_that_had_ended_when_the_timestamp_beside_it_was_signed_is_refused(bench):
    bench.now -= timedelta(days=20_000)
    bench.oem.director.lifetimes["targets"] = -1
    bench.oem.director.publish(signed_at=stamp(NOON))
    bundle = bench.forged()

    assert refused(bench, lambda: bench.link.offer_metadata(bundle)) == "clock"


# Full verification does not even read targets whose version it has.
@pytest.mark.parametrize(
    ("verification", "role"), [("full", "timestamp"), ("partial", "timestamp"), ("partial", "targets")]
)
def test_a27_one_version_with_two_contents_is_refused(bench, role):
    bench.link.offer_metadata(bench.bundle())
    director = bench.oem.director
    director.put(role, director.signed(role) | {"expires": stamp(NOON + timedelta(hours=20))})
    if role == "targets":
        director.publish_snapshot()
        director.publish_timestamp()
    bundle = bench.forged()

    assert refused(bench, lambda: bench.link.offer_metadata(bundle)) == "equivocation"


@pytest.mark.parametrize("verification", ["partial"])
def test_a27_partial_verification_forgets_a_signed_time_with_its_key(bench):
    too_far = NOON + timedelta(days=29)
    bench.oem.director.publish_timestamp(signed_at=stamp(too_far), expires=stamp(too_far + timedelta(days=1)))
    bench.link.offer_metadata(bench.forged())
    bench.oem.director.publish_timestamp()
    early = bench.forged()
    assert refused(bench, lambda: bench.link.offer_metadata(early)) == "freeze"
    bench.oem.director.rotate("timestamp")
    bench.oem.director.publish_timestamp()

    bench.link.offer_metadata(bench.forged())


@KINDS
@pytest.mark.parametrize("extra", [{"vehicle_id": "VIN2"}, {}])
def test_a27_metadata_for_another_vehicle_is_refused(bench, extra):
    def forge():
        bundle = json.loads(bench.bundle())
        bench.oem.director.extra = extra
        bench.oem.director.publish()
        bundle["director"] |= {
            name: encoded(bench.oem.director.files[bench.oem.director.latest(name.removesuffix(".json"))])
            for name in ("timestamp.json", "snapshot.json", "targets.json")
        }
        return json.dumps(bundle).encode()

    forged = forge()

    assert refused(bench, lambda: bench.link.offer_metadata(forged)) == "wrong_vehicle"


@KINDS
def test_a27_metadata_signed_by_the_primary_itself_is_refused(bench):
    bundle = json.loads(bench.bundle())
    bench.oem.director.put("targets", bench.oem.director.signed("targets"), Signer())
    bundle["director"]["targets.json"] = encoded(bench.oem.director.files[bench.oem.director.latest("targets")])

    assert refused(bench, lambda: bench.link.offer_metadata(json.dumps(bundle).encode())) == "signature"


@KINDS
def test_a27_an_older_image_is_refused_once_a_newer_one_is_committed(bench, tmp_path):
    bench.link.offer_metadata(bench.bundle())
    bench.stage(*bench.package())
    bench.link.commit("b")
    bench.oem.order(bench.oem.publish_release("1.0", counter=1))
    # A Primary that has forgotten what it has committed to.
    bench.primary = Vehicle(bench.oem, tmp_path / "forgetful")
    bundle = bench.bundle()

    assert refused(bench, lambda: bench.link.offer_metadata(bundle)) == "image_rollback"


@KINDS
def test_a27_an_order_for_other_ecus_gives_no_right_to_write(bench):
    bench.oem.director.targets = {
        name: target for name, target in bench.oem.director.targets.items() if "gateway" in name
    }
    bench.oem.director.publish()
    bench.link.offer_metadata(bench.bundle())

    package = Package("S1", "engine", Image("supplier/x-1", 3, "0" * 64, "0" * 128))
    assert refused(bench, lambda: bench.stage(package, b"abc")) == "image_unknown"


@KINDS
@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"{}",
        b"[]",
        b"[" * 20_000,
        b"\xff\n",
        b'{"do":"format"}',
        b'{"do":"metadata"}\nnot json',
        b'{"do":"metadata"}\n[]',
        b'{"do":"metadata"}\n{"director":7}',
        b'{"do":"begin"}',
        b'{"do":"finish","slot":"b"}',
        b'{"do":"installed","slot":"../S2/a"}',
        b'{"do":"chunk","offset":"x"}\nabc',
    ],
)
def test_a27_a_message_that_makes_no_sense_is_refused(bench, message):
    before = bench.state()

    assert json.loads(bench.secondary.exchange(message))["refused"]

    assert bench.state() == before


@pytest.mark.parametrize("verification", ["partial"])
def test_a27_partial_verification_follows_the_directors_roots(bench):
    bench.link.offer_metadata(bench.bundle())
    bench.oem.director.rotate("root")
    bench.oem.director.rotate("targets")
    bench.oem.order(bench.oem.publish_release("3.0", counter=3))
    bundle = bench.bundle()

    bench.link.offer_metadata(bundle)
    package, data = bench.package()
    bench.stage(package, data)

    assert bench.link.installed("b") == package.image


def test_a_full_disk_of_a_secondary_is_not_now(tmp_path):
    answer = b'{"not_now":"disk_full","message":"no space left"}'
    link = SecondaryLink("S1", lambda _message: answer, tmp_path)

    with pytest.raises(NotNowError, match="no space left"):
        link.commit("a")


def encoded(data):

    return base64.b64encode(data).decode()
