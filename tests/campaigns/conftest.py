"""The smallest campaign that runs, for tests of what happens to one vehicle."""

import pytest

from tests.campaigns.campaign_factories import in_turn, make_running


@pytest.fixture
def campaign(db):
    return make_running(vehicles=1)


@pytest.fixture
def assignment(campaign):
    return in_turn(campaign)[0]
