"""What is asked of the benches wrongly is said before anything is measured."""

import socket
import sys

import pytest

from tests.bench import __main__ as benches
from tests.bench import beside, measuring


def refused(monkeypatch, capsys, main, *arguments):
    monkeypatch.setattr(sys, "argv", ["bench", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return f"{ended.value} {capsys.readouterr().err}"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["pol"], "there is no bench pol, but poll, growth"),
        (["poll", "--pairs", "0"], "--pairs is 0: at least 1"),
        (["poll", "--save", "."], "--save . cannot be written: it is a folder"),
        (["poll", "--save", "/proc/none/bench.json"], "--save /proc/none/bench.json cannot be written: "),
    ],
)
def test_what_no_bench_can_do_is_refused(monkeypatch, capsys, arguments, sentence):
    assert sentence in refused(monkeypatch, capsys, benches.main, *arguments)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["127.0.0.1:8080/poll"], "is not http://host:port/path"),
        (["https://127.0.0.1/poll"], "the scheme is 'https'"),
        (["http:///poll"], "no host"),
        (["http://127.0.0.1:port/poll"], "is not http://host:port/path"),
        (["http://127.0.0.1:8080/", "--header", "Authorization"], "'Authorization' is not 'Name: value'"),
        (["http://127.0.0.1:8080/", "--header", "A: b\r\nC: d"], "is not 'Name: value'"),
        (["http://127.0.0.1:8080/", "--pairs", "0"], "--pairs is 0: at least 1"),
    ],
)
def test_what_is_no_server_that_can_be_put_beside_ours_is_refused(monkeypatch, capsys, arguments, sentence):
    assert sentence in refused(monkeypatch, capsys, beside.main, *arguments)


def test_a_server_that_does_not_answer_is_said_before_a_fleet_is_made(monkeypatch, capsys):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}/poll"

        said = refused(monkeypatch, capsys, beside.main, url)

    assert said.startswith(f"{url} does not answer as it should: ")


@pytest.mark.parametrize("given", ["many", "-5", "1.5", "99"])
def test_a_fleet_that_no_bench_takes_is_refused(monkeypatch, given):
    monkeypatch.setenv(measuring.FLEET, given)

    with pytest.raises(SystemExit, match=f"BENCH_VEHICLES is '{given}': a number from 100 on"):
        measuring.fleet_size(1000, least=100)


@pytest.mark.parametrize(("given", "size"), [("", 1000), ("100", 100)])
def test_a_fleet_is_as_large_as_is_asked(monkeypatch, given, size):
    monkeypatch.setenv(measuring.FLEET, given)

    assert measuring.fleet_size(1000, least=100) == size
