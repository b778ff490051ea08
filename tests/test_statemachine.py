import pytest

from firmware_store.models import Package
from firmware_store.states import PackageState
from otaserver.statemachine import InvalidTransitionError, StaleStateError
from tests.factories import make_package, make_tenant

pytestmark = pytest.mark.django_db


def test_a_move_writes_the_state_and_its_changes_together():
    package = make_package(make_tenant(), state=PackageState.UPLOADING)

    package.move_to(PackageState.VERIFYING, md5="abc")

    assert (package.state, package.md5) == (PackageState.VERIFYING, "abc")
    assert Package.objects.values_list("state", "md5").get() == ("verifying", "abc")


def test_a_move_that_the_table_does_not_have_is_refused_and_changes_nothing():
    package = make_package(make_tenant(), state=PackageState.PUBLISHED)

    with pytest.raises(InvalidTransitionError, match="cannot go from published to uploading"):
        package.move_to(PackageState.UPLOADING, md5="abc")

    assert Package.objects.values_list("state", "md5").get() == ("published", "")


def test_of_two_stale_copies_only_the_first_moves():
    first = make_package(make_tenant(), state=PackageState.UPLOADING)
    second = Package.objects.get()
    first.move_to(PackageState.VERIFYING)

    with pytest.raises(StaleStateError):
        second.move_to(PackageState.REFUSED, refused_code="late")

    assert second.state == PackageState.UPLOADING
    assert Package.objects.values_list("state", "refused_code").get() == ("verifying", "")
