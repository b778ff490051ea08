from datetime import UTC, datetime, timedelta

from otaserver import clock
from tests.factories import NOON


def test_time_is_the_systems_until_another_source_is_used():
    with clock.using(lambda: NOON):
        assert clock.now() == NOON

    assert abs(clock.now() - datetime.now(tz=UTC)) < timedelta(seconds=5)


def test_seconds_are_those_of_the_same_time():
    with clock.using(lambda: NOON):
        assert clock.timestamp() == NOON.timestamp()

    assert abs(clock.timestamp() - clock.now().timestamp()) < 5


def test_the_source_is_put_back_after_an_error():
    try:
        with clock.using(lambda: NOON):
            raise KeyError
    except KeyError:
        pass

    assert clock.now() != NOON
