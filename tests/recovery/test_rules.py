import pytest

from otaserver.recovery import rules


@pytest.mark.parametrize(
    ("seen", "floor"),
    [
        ([], 2_000_000),
        ([0, 1000], 2_000_000),
        ([999_999], 2_000_000),
        ([1_000_000], 3_000_000),
        ([5000, 2_001_000], 4_000_000),
        ([rules.HIGHEST], 2_147_000_000),
        ([rules.HIGHEST + 1], None),
    ],
)
def test_versions_go_on_a_million_or_more_above_whatever_was_seen(seen, floor):
    assert rules.floor_above(seen) == floor
    assert floor is None or (floor - max(seen, default=0) >= rules.STEP and floor < 2**31 - 1)
