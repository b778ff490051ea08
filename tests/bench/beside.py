"""Puts any HTTP server beside this one for hawkBit's poll: `python -m tests.bench.beside URL [--header 'Name: value']`.

URL is what one of its vehicles polls, e.g. http://127.0.0.1:8080/DEFAULT/controller/v1/dev1; --header says what it
shows, e.g. 'Authorization: TargetToken …'. Both are asked in turn, on this machine in the same minutes, by the same
connections; ours by as many vehicles, each with its token, on one web process. What is printed is our rate over
theirs, as the median over pairs.
"""

import argparse
import re
import sys
from itertools import cycle
from urllib.parse import SplitResult, urlsplit

from otaserver.embedded.programs import HOST
from tests.bench import http_load, measuring
from tests.bench.stage import open_stage

VEHICLES = 100
SECONDS = 2.0
TOKEN = "0123456789abcdef0123456789abcdef"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.beside", description=__doc__)
    parser.add_argument("url", help="what a vehicle of the other server polls, over plain HTTP")
    parser.add_argument(
        "--header", action="append", default=[], type=header_line, help="'Name: value', as often as there are any"
    )
    parser.add_argument("--pairs", type=int, default=measuring.PAIRS)
    arguments = parser.parse_args()
    if arguments.pairs < 1:
        parser.error(f"--pairs is {arguments.pairs}: at least 1")
    try:
        address, port = split(arguments.url)
    except ValueError as error:
        parser.error(f"{arguments.url!r} is not http://host:port/path, without TLS: {error}")
    path = (address.path or "/") + (f"?{address.query}" if address.query else "")
    theirs = cycle([request(path, address.netloc, *arguments.header)])
    other = http_load.WebServer(pid=0, port=port, begins=b"HTTP/1.1 2", ends=b"", host=str(address.hostname))
    try:
        other.serve(theirs, count=1)
    except (OSError, RuntimeError) as error:
        sys.exit(f"{arguments.url} does not answer as it should: {error}")
    with open_stage() as database:
        ours = cycle(our_requests())
        with http_load.web_server("tests.bench.polled:application", begins=b"HTTP/1.1 200 ", ends=b"") as server:
            server.serve(ours, count=2 * VEHICLES)
            (figure,) = measuring.figures(
                "beside",
                ours=lambda: {arguments.url: server.serve(ours, seconds=SECONDS).per_second},
                bare=lambda: {arguments.url: other.serve(theirs, seconds=SECONDS).per_second},
                pairs=arguments.pairs,
                goals={arguments.url: None},
            )
    print(  # noqa: T201
        f"{figure.ratio_median:.2f} times the rate of {figure.case}"
        f" ({figure.ratio_min:.2f} to {figure.ratio_max:.2f}, {figure.pairs} pairs, ours on {database})"
    )


def split(url: str) -> tuple[SplitResult, int]:
    """Return the parts of an address, and its port; ValueError where it is none that can be asked."""
    address = urlsplit(url)
    if address.scheme != "http" or not address.hostname:
        raise ValueError("no host" if address.scheme == "http" else f"the scheme is {address.scheme!r}")
    return address, address.port or 80


def header_line(text: str) -> str:
    if not re.fullmatch(r"[\w!#$%&'*+.^`|~-]+:[ -~]*", text, re.A):
        raise argparse.ArgumentTypeError(f"{text!r} is not 'Name: value'")
    return text


def our_requests() -> list[bytes]:
    # Only here: models can be imported once the settings are known.
    from otaserver import clock
    from otaserver.fleet import operations as fleet
    from otaserver.fleet.states import Protocol
    from tests.factories import make_tenant

    tenant, requests = make_tenant("bench"), []
    for number in range(VEHICLES):
        name = f"dev{number}"
        ecu = fleet.KeylessEcu(name, "board")
        vehicle = fleet.declare_vehicle(tenant, name, protocol=Protocol.DDI, ecus=[ecu], at=clock.now())
        fleet.give_token(vehicle, token=TOKEN, by="bench", at=clock.now())
        address = f"/{tenant.name}/controller/v1/{name}"
        requests.append(request(address, HOST, f"Authorization: TargetToken {TOKEN}", "User-Agent: libcurl-agent/1.0"))
    return requests


def request(path: str, host: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", f"Host: {host}", *headers, "", ""]).encode()


if __name__ == "__main__":
    main()
