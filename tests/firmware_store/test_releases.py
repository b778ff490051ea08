import pytest

from firmware_store import operations
from firmware_store.errors import (
    PackageNotFoundError,
    ReleaseConditionsError,
    ReleaseExistsError,
    ReleaseHardwareTwiceError,
    ReleasePackageUnpublishedError,
    ReleaseRefusedError,
)
from firmware_store.models import Release, ReleaseCondition, ReleaseItem
from firmware_store.rules import Condition
from firmware_store.states import ConditionKind, PackageState
from otaserver.audit.models import Entry
from tests.factories import NOON, make_package, make_tenant

pytestmark = pytest.mark.django_db


@pytest.fixture
def tenant():
    return make_tenant()


@pytest.fixture
def packages(tenant):
    return [
        make_package(tenant, "gateway", hardware_ids=("gateway",)),
        make_package(tenant, "brake", hardware_ids=("brake-a", "brake-b")),
    ]


def create(tenant, contents, **changes):
    values = {"name": "autumn", "version": "1", "packages": [(one, 0) for one in contents]} | changes
    return operations.create_release(tenant, **values, by="alice", at=NOON)


def refused(error, tenant, contents, **changes):
    before = Release.objects.count()
    with pytest.raises(error):
        create(tenant, contents, **changes)
    assert Release.objects.count() == before
    assert not Entry.objects.exists()


def test_a_release_is_published_at_once_with_order_conditions_and_notes(tenant, packages):
    release = create(
        tenant,
        packages,
        packages=list(zip(packages, (1, 0), strict=True)),
        conditions=[Condition(ConditionKind.REQUIRES, "modem", ("1", "2"))],
        notes={"en": "Better.", "de-AT": "Schöner."},
    )

    assert release.published_at == NOON
    assert release.notes == {"en": "Better.", "de-AT": "Schöner."}
    assert list(ReleaseItem.objects.order_by("position").values_list("package__name", "position")) == [
        ("brake", 0),
        ("gateway", 1),
    ]
    condition = ReleaseCondition.objects.get()
    assert (condition.kind, condition.package_name, condition.versions) == ("requires", "modem", ["1", "2"])
    assert Entry.objects.get().details == {"packages": ["supplier/gateway-1.0", "supplier/brake-1.0"]}


def test_a_release_of_one_name_and_version_exists_once(tenant, packages):
    create(tenant, packages)

    with pytest.raises(ReleaseExistsError):
        create(tenant, packages[:1])

    assert ReleaseItem.objects.count() == 2
    other = make_tenant()
    create(tenant, packages, version="2")
    create(other, [make_package(other)])
    assert Release.objects.count() == 3


@pytest.mark.parametrize("state", [one for one in PackageState if one != PackageState.PUBLISHED])
def test_a_package_that_vehicles_could_not_verify_is_refused(tenant, packages, state):
    packages.append(make_package(tenant, "modem", hardware_ids=("modem",), state=state))

    refused(ReleasePackageUnpublishedError, tenant, packages)


def test_another_tenant_s_package_is_not_found(tenant, packages):
    refused(PackageNotFoundError, tenant, [*packages, make_package(make_tenant())])


def test_two_packages_for_one_hardware_id_are_refused(tenant, packages):
    packages.append(make_package(tenant, "brake-next", hardware_ids=("brake-b",)))

    refused(ReleaseHardwareTwiceError, tenant, packages)
    refused(ReleaseHardwareTwiceError, tenant, packages[:1] * 2)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"name": " autumn"},
        {"name": "herbst-ü"},
        {"name": "a" * 81},
        {"name": "a\nb"},
        {"version": ""},
        {"version": "1" * 61},
        {"packages": []},
        {"notes": {"not a tag": "x"}},
        {"notes": {"en": "x" * 20_000}},
        {"notes": {"en": "a\0b"}},
        {"notes": {"en": "\ud800"}},
    ],
    ids=range(12),
)
def test_values_out_of_their_form_are_refused(tenant, packages, changes):
    refused(ReleaseRefusedError, tenant, packages, **changes)


@pytest.mark.parametrize("position", [-1, 32768])
def test_positions_have_a_range(tenant, packages, position):
    refused(ReleaseRefusedError, tenant, packages, packages=[(packages[0], position)])


REQUIRES, CONFLICTS = ConditionKind.REQUIRES, ConditionKind.CONFLICTS


@pytest.mark.parametrize(
    "conditions",
    [
        [Condition(CONFLICTS, "gateway")],
        [Condition(CONFLICTS, "gateway", ("0.9", "1.0"))],
        [Condition(REQUIRES, "modem"), Condition(CONFLICTS, "modem")],
        [Condition(REQUIRES, "modem", ("1",)), Condition(CONFLICTS, "modem", ("1", "2"))],
        [Condition(REQUIRES, "../x")],
        [Condition(CONFLICTS, "modem", ("a b",))],
    ],
    ids=range(6),
)
def test_conditions_that_contradict_are_refused(tenant, packages, conditions):
    refused(ReleaseConditionsError, tenant, packages, conditions=conditions)


@pytest.mark.parametrize(
    "conditions",
    [
        [Condition(CONFLICTS, "gateway", ("0.9",))],
        [Condition(REQUIRES, "modem"), Condition(CONFLICTS, "modem", ("1",))],
        [Condition(REQUIRES, "modem", ("1", "3")), Condition(CONFLICTS, "modem", ("1", "2"))],
        [Condition(REQUIRES, "gateway", ("1.0",))],
        [Condition(REQUIRES, "modem"), Condition(CONFLICTS, "radio")],
    ],
    ids=range(5),
)
def test_conditions_that_can_hold_are_kept(tenant, packages, conditions):
    create(tenant, packages, conditions=conditions)

    assert ReleaseCondition.objects.count() == len(conditions)
