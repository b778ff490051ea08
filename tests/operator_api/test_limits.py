import pytest
import redis

from otaserver.operator_api import limits
from otaserver.operator_api.limits import Allowance

pytestmark = pytest.mark.any_database


@pytest.fixture
def counters(monkeypatch):
    """Counters of this test alone, and no Redis that was found missing before."""
    made = limits._Counters()
    monkeypatch.setattr(limits, "_counters", made)
    monkeypatch.setattr(limits.time, "time", lambda: 1_000_000.0)
    limits._redis.cache_clear()
    yield made
    limits._redis.cache_clear()


def test_who_asks_too_often_waits_and_others_do_not(caller, as_role, counters, settings):
    settings.API_REQUESTS_PER_MINUTE = 2

    answers = [caller.get("/me") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert (answers[2]["Retry-After"], answers[2].json()["code"]) == ("20", "rate.limited")
    assert [answer["RateLimit"] for answer in answers] == ['"token";r=1;t=20', '"token";r=0;t=20', '"token";r=0;t=20']
    assert answers[0]["RateLimit-Policy"] == '"token";q=2;w=60'
    assert as_role("viewer").get("/me").status_code == 200


def test_one_token_has_one_allowance_however_the_header_writes_it(caller, client, counters, settings):
    settings.API_REQUESTS_PER_MINUTE = 2
    ways = ("Bearer {}", "bEARER {}", "  Bearer   {}  ")

    answers = [client.get("/api/v1/me", headers={"Authorization": way.format(caller.token)}) for way in ways]

    assert [answer.status_code for answer in answers] == [200, 200, 429]


def test_with_redis_all_processes_count_together(counters, settings, redis_url, monkeypatch):
    settings.CELERY_BROKER_URL = redis_url

    first = limits.spend("a")
    monkeypatch.setattr(limits, "_counters", limits._Counters())
    second = limits.spend("a")

    assert (first.used, second.used, limits.spend("b").used) == (1, 2, 1)
    with redis.Redis.from_url(redis_url.replace("redis+socket:", "unix:", 1)) as client:
        (name, *_) = client.keys("ota:requests:*")
        assert 0 < client.ttl(name) <= 120
        assert name.rpartition(b":")[2] != b"a"


def test_without_redis_each_process_counts_and_asks_it_again_only_later(counters, settings):
    settings.CELERY_BROKER_URL = "redis+socket:///nowhere/redis.sock"

    assert [limits.spend("a").used, limits.spend("a").used, counters.is_alone] == [1, 2, True]


def test_a_new_minute_begins_a_new_count(counters):
    counters.rest()
    assert [counters.count("a", 1), counters.count("a", 1), counters.count("a", 2)] == [1, 2, 1]


def test_where_nothing_is_limited_nothing_is_counted(settings):
    settings.API_REQUESTS_PER_MINUTE = 0

    assert limits.spend("a") is None


def test_the_last_request_is_still_allowed():
    assert [Allowance(2, used, 1).is_exceeded for used in (1, 2, 3)] == [False, False, True]
