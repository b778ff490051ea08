import pytest

from otaserver.bearer import bearer_token


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer ota_abc", "ota_abc"),
        ("bearer ota_abc", "ota_abc"),
        ("BEARER  ota_abc ", "ota_abc"),
        ("Bearer a.b-c~d+e/f==", "a.b-c~d+e/f=="),
        ("Bearer m3tr!cs", "m3tr!cs"),
        ("Bearer " + "x" * 200, "x" * 200),
        ("Bearer " + "x" * 201, None),
        ("", None),
        ("Bearer", None),
        ("Bearer ", None),
        ("Bearerota_abc", None),
        ("Bearer a b", None),
        ("Bearer ä", None),
        ("Bearer a\nb", None),
        ("Basic b3Rh", None),
        ("TargetToken abc", None),
    ],
)
def test_a_bearer_token_is_read_in_one_way(header, token):
    assert bearer_token(header) == token
