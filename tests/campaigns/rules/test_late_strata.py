from itertools import product

import pytest

from otaserver.campaigns.rules import gate
from otaserver.campaigns.rules.late_strata import alpha_share


@pytest.mark.parametrize(("known", "late"), list(product([1, 2, 7], [0, 1, 3, 200])))
def test_with_however_many_late_strata_all_tests_keep_to_alpha(known, late):
    own = [alpha_share("a", known=known, place=0, takes_in=True)] * known
    came = [alpha_share("b", known=known, place=place, takes_in=True) for place in range(1, late + 1)]

    shares = [alpha_share("", known=known, place=0, takes_in=True), *own, *came]

    assert sum(shares) <= 1 + 1e-12
    assert min(shares) > 0


@pytest.mark.parametrize("known", [0, 2, 5])
def test_where_none_come_late_nothing_is_kept_back_for_them(known):
    for stratum in ("", "a"):
        expected = gate.alpha_share(stratum, known)
        assert alpha_share(stratum, known=known, place=0, takes_in=False) == expected
