import tracemalloc

import pytest

from otaserver.front.answers import Answers, Kept, Pattern, content_of, head_of
from otaserver.front.requests import compared

PATTERN = Pattern(1, ("uptane", "poll", "ok"), "304 Not Modified", (("Cache-Control", "no-cache"),), "same")


def kept(owner=1, until=100.0, content=b""):
    return Kept(50, owner, -5, until, 7, 0, content)


def key(number):
    return number.to_bytes(16, "big")


def test_an_answer_comes_back_as_it_was_kept():
    answers = Answers(max_bytes=10_000)
    answers.keep(key(1), kept(content=b'"tag"\nbody'))

    entry = answers.get(key(1))
    assert (*head_of(entry), content_of(entry)) == kept(content=b'"tag"\nbody')
    assert answers.get(key(2)) is None


def test_a_contact_is_noted_of_that_very_answer_alone():
    answers = Answers(max_bytes=10_000)
    first, second, third = (kept(until=until, content=b"same length") for until in (100.0, 200.0, 300.0))
    answers.keep(key(1), first)
    stale = answers.get(key(1))
    answers.keep(key(1), second)

    answers.note_contact(key(1), stale, 70)
    assert answers.get(key(1)) == second.packed()
    answers.note_contact(key(1), answers.get(key(1)), 70)
    assert answers.get(key(1)) == second._replace(contact_at=70).packed()

    answers.sweep(answers.keys(), now=200.0)
    answers.note_contact(key(1), third.packed(), 80)
    assert len(answers) == 0


def test_no_more_is_kept_than_fits_and_what_ends_makes_room():
    answers = Answers(max_bytes=1_150)
    fitting = [answers.keep(key(number), kept()) for number in range(10)]
    assert fitting == [True] * 5 + [False] * 5
    assert answers.keep(key(0), kept(content=b"x" * 150)) is True
    assert answers.keep(key(1), kept(content=b"x" * 150)) is False

    answers.sweep(answers.keys(), now=100.0)

    assert len(answers) == 0
    assert [answers.keep(key(number), kept()) for number in range(10)] == fitting


def test_what_has_not_ended_is_not_swept():
    answers = Answers(max_bytes=1_000)
    answers.keep(key(1), kept(until=100.5))

    answers.sweep(answers.keys(), now=100.0)

    assert len(answers) == 1


def test_of_what_anybody_may_ask_only_so_many_are_kept():
    answers = Answers(max_bytes=10**9)

    assert sum(answers.keep(key(number), kept(owner=-1)) for number in range(10_050)) == 10_000
    assert answers.keep(key(10**6), kept()) is True


def test_a_pattern_is_kept_once():
    answers = Answers(max_bytes=1_000)

    assert [answers.number_of(PATTERN), answers.number_of(Pattern(**vars(PATTERN)))] == [0, 0]
    assert answers.patterns == [PATTERN]


def test_an_idle_vehicle_takes_about_200_bytes():
    answers = Answers(max_bytes=10**9)
    tracemalloc.start()
    for number in range(20_000):
        answers.keep(key(number), kept(owner=number))
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()

    assert 100 < taken / 20_000 < 230


def environ(path="/acme/controller/v1/a", **changes):
    return {"REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": "", "HTTP_HOST": "h"} | changes


@pytest.mark.parametrize(
    "changes",
    [
        {"REQUEST_METHOD": "HEAD"},
        {"PATH_INFO": "/acme/controller/v1/b"},
        {"HTTP_AUTHORIZATION": "Bearer x"},
        {"HTTP_AUTHORIZATION": "Bearer X"},
        {"HTTP_X_CLIENT_SERIAL": "0A"},
        {"HTTP_X_CLIENT_VERIFY": "SUCCESS"},
        {"HTTP_X_CLIENT_SUBJECT": "CN=a"},
        # A path may hold what a header is written with.
        {"PATH_INFO": "/acme/controller/v1/a\nHTTP_AUTHORIZATION"},
    ],
    ids=str,
)
def test_who_asks_for_what_is_the_key(changes):
    assert compared(environ(**changes), is_trusted=True)[0] != compared(environ(), is_trusted=True)[0]


def test_whether_a_proxy_is_believed_is_part_of_the_key():
    assert compared(environ(), is_trusted=True)[0] != compared(environ(), is_trusted=False)[0]


SPELLINGS = [
    {"PATH_INFO": "/ACME/controller/v1/a"},
    {"HTTP_AUTHORIZATION": "bearer x"},
    {"HTTP_AUTHORIZATION": "Bearer  x"},
    {"HTTP_AUTHORIZATION": " Bearer x "},
]


@pytest.mark.parametrize("changes", SPELLINGS, ids=str)
def test_another_spelling_takes_no_more_room(changes):
    asked = [
        compared(environ(**({"HTTP_AUTHORIZATION": "Bearer x"} | more)), is_trusted=True) for more in ({}, changes)
    ]

    assert asked[0][0] == asked[1][0]
    assert asked[0][1] != asked[1][1]


@pytest.mark.parametrize("name", ["HTTP_X_CLIENT_SERIAL", "HTTP_X_CLIENT_VERIFY", "HTTP_X_CLIENT_SUBJECT"])
def test_what_nobody_believes_takes_no_more_room(name):
    (first, rest), (second, other) = (compared(environ(**more), is_trusted=False) for more in ({}, {name: "SUCCESS"}))

    assert first == second
    assert rest != other


@pytest.mark.parametrize(
    "changes",
    [{"QUERY_STRING": "a=1"}, {"HTTP_IF_NONE_MATCH": '"x"'}, {"HTTP_HOST": "other"}, {"HTTP_ANYTHING": "new"}],
    ids=str,
)
def test_all_else_that_is_sent_is_compared_and_takes_the_place_of_what_was_sent_before(changes):
    (first, rest), (second, other) = (compared(environ(**more), is_trusted=True) for more in ({}, changes))

    assert first == second
    assert rest != other


@pytest.mark.parametrize(
    ("sent", "other"),
    [
        ({"HTTP_A": "1", "HTTP_B": "2"}, {"HTTP_A": "2", "HTTP_B": "1"}),
        ({"HTTP_A": "1"}, {"HTTP_B": "1"}),
        ({"HTTP_A": ""}, {}),
    ],
    ids=str,
)
def test_headers_are_compared_by_name_and_value(sent, other):
    assert compared(environ(**sent), is_trusted=True) != compared(environ(**other), is_trusted=True)


def test_what_is_no_header_is_not_compared():
    own = {"PATH": "/bin", "wsgi.errors": [], "SERVER_NAME": "a"}

    assert compared(environ(**own), is_trusted=True) == compared(environ(), is_trusted=True)


def test_clients_of_more_kinds_than_are_told_at_a_glance_are_told_apart_all_the_same():
    kinds = [environ(**{f"HTTP_{number}": "x"}) for number in range(200)]

    first, again = ([compared(kind, is_trusted=True) for kind in kinds] for _ in range(2))

    assert first == again
    assert len(set(first)) == 200


@pytest.mark.parametrize("name", ["HTTP_X_REQUEST_ID", "HTTP_X_FORWARDED_FOR", "HTTP_TRACEPARENT"])
def test_what_no_answer_depends_on_is_not_compared(name):
    assert compared(environ(**{name: "new"}), is_trusted=True) == compared(environ(), is_trusted=True)


def test_whoever_asks_for_a_root_asks_for_the_same():
    asked = [
        compared(environ("/aktualizr/acme/director/2.root.json", **more), is_trusted=True)
        for more in ({}, {"HTTP_AUTHORIZATION": "Bearer x"}, {"HTTP_USER_AGENT": "x"})
    ]

    assert asked[0] == asked[1] == asked[2]


def test_another_port_or_spelling_of_a_root_takes_no_more_room():
    asked = [
        compared(environ(path, HTTP_HOST=host), is_trusted=True)
        for path in ("/aktualizr/acme/director/2.root.json", "/aktualizr/ACME/director/2.root.json")
        for host in ("ota.example.com", "ota.example.com:1", "OTA.example.com:65535")
    ]

    assert len({key for key, _ in asked}) == 1
    assert len({rest for _, rest in asked}) == 6


@pytest.mark.parametrize("changes", [{"REQUEST_METHOD": "PUT"}, {"REQUEST_METHOD": "POST"}], ids=str)
def test_what_writes_is_no_poll(changes):
    assert compared(environ(**changes), is_trusted=True) is None


@pytest.mark.parametrize("length", ["65537", "", "x"])
def test_no_body_is_read_that_is_long_or_of_unknown_length(length):
    path = "/api/devices/v2/deployments/device/deployments/next"

    assert compared(environ(path, REQUEST_METHOD="POST", CONTENT_LENGTH=length), is_trusted=True) is None
