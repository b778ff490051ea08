import pytest

from otaserver.people.sign_on_rules import Grant, grants_in, is_safe_address, roles_of


def test_roles_are_read_with_whatever_a_group_is_called():
    assert grants_in(" ota-admins=default:administrator, CN=ota=North:viewer ,") == (
        Grant("ota-admins", "default", "administrator"),
        Grant("CN=ota", "north", "viewer"),
    )
    assert grants_in("") == ()


def test_a_group_with_a_comma_in_it_stands_in_quotes():
    text = '"CN=ota,OU=cars,DC=acme=default:administrator", "a ""b"", c=north:viewer",x=south:auditor'

    assert grants_in(text) == (
        Grant("CN=ota,OU=cars,DC=acme", "default", "administrator"),
        Grant('a "b", c', "north", "viewer"),
        Grant("x", "south", "auditor"),
    )


@pytest.mark.parametrize("text", ['"a=north:viewer', '"a=north:viewer"x'])
def test_quotes_that_do_not_close_are_told(text):
    with pytest.raises(ValueError, match="cannot be divided by commas"):
        grants_in(text)


@pytest.mark.parametrize("text", ["a", "a=b", "a=b:", "a=b:king", "=b:viewer", "a=:viewer", "a=b:viewer=", "a:viewer"])
def test_what_gives_no_role_is_told_in_a_sentence(text):
    with pytest.raises(ValueError, match="is not group=tenant:role"):
        grants_in(f"x=y:viewer,{text}")


def test_of_several_groups_for_a_tenant_the_first_that_is_configured_counts():
    grants = grants_in("a=north:approver,b=north:viewer,b=south:auditor")

    assert roles_of({"b", "a", "c"}, grants) == {"north": "approver", "south": "auditor"}
    assert roles_of({"c"}, grants) == {}


@pytest.mark.parametrize(
    ("url", "is_safe"),
    [
        ("https://id.example.com/realms/fleet", True),
        ("http://127.0.0.1:8080", True),
        ("http://localhost", True),
        ("http://id.example.com", False),
        ("http://localhost.example.com", False),
        ("https://", False),
        ("file:///etc/passwd", False),
        ("https://id.example.com/" + "a" * 200, False),
        ("", False),
    ],
)
def test_an_issuer_is_asked_by_tls_or_on_this_host(url, is_safe):
    assert is_safe_address(url) == is_safe
