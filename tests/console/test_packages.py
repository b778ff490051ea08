import pytest

from firmware_store.formats.facts import Contents, Format, Payload, Signer
from otaserver.tenants.states import Role
from tests.console.conftest import make_member, signed_in
from tests.factories import make_package

SIGNER = Signer("CN=release key", "CN=maker", "1f", "ab" * 32, "2026-01-01T00:00:00+00:00", "2027-01-01T00:00:00+00:00")


def page_of(tenant, package):
    answer = signed_in(make_member(tenant, Role.VIEWER)).get(f"/console/firmware_store/package/{package.pk}/change/")
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.mark.parametrize(
    ("verified_by", "shown"), [(["releases"], "releases"), ([], "not checked: no key is configured")]
)
def test_a_package_s_page_shows_what_was_read_in_its_file(tenant, verified_by, shown):
    payload = Payload("rootfs.img", "raw", 2048, "cd" * 32)
    contents = Contents(Format.SWU, "gateway", "1.1", ("1.0",), (payload,), "cms", (SIGNER,))

    page = page_of(tenant, make_package(tenant, contents={**contents.stored(), "verified_by": verified_by}))

    for text in ("Inside the file", "rootfs.img", "cd" * 32, "CN=release key", shown):
        assert text in page


def test_a_plain_file_s_page_says_nothing_of_its_inside(tenant):
    assert "Inside the file" not in page_of(tenant, make_package(tenant))
