"""Readers that take a download a few kilobytes at a time: `… slow_readers PORT PATH COUNT CA_FILE` ("" for plain HTTP).

In a process of their own, so that they wait for no one but their server. "reading" on the output says that each has its
first bytes; they go on until the input ends.
"""

import selectors
import socket
import ssl
import sys

BYTES = 4096
# All of them read once in this time: 40 kB/s each, as over a poor mobile network.
ROUND_SECONDS = 0.1


def main() -> None:
    port, path, count, ca_file = sys.argv[1:]
    trust = ssl.create_default_context(cafile=ca_file) if ca_file else None
    readers = [begin(int(port), path, trust) for _ in range(int(count))]
    sys.stdout.write("reading\n")
    sys.stdout.flush()
    with selectors.DefaultSelector() as selector:
        selector.register(sys.stdin, selectors.EVENT_READ)
        pause = ROUND_SECONDS / len(readers)
        while True:
            for reader in readers:
                if not reader.recv(BYTES):
                    raise SystemExit("a download came to its end")
                if selector.select(pause):
                    return


def begin(port: int, path: str, trust: ssl.SSLContext | None) -> socket.socket:
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BYTES)
    reader.settimeout(30)
    reader.connect(("127.0.0.1", port))
    if trust:
        reader = trust.wrap_socket(reader, server_hostname="localhost")
    reader.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    if not reader.recv(BYTES).startswith(b"HTTP/1.1 200"):
        raise SystemExit("the server does not send it")
    return reader


if __name__ == "__main__":
    main()
