"""Serves this pod's name on 0.0.0.0:80, or asks the servers named for theirs."""

import socket
import sys


def serve():
    with socket.create_server(("0.0.0.0", 80)) as server:
        while True:
            connection, _ = server.accept()
            with connection:
                try:
                    connection.sendall(socket.gethostname().encode() + b"\n")
                except OSError:
                    pass  # a probe only connects


def ask(name):
    with socket.create_connection((name, 80), timeout=60) as connection:
        print(name, connection.makefile().readline().strip())


if sys.argv[1:] == ["serve"]:
    serve()
for name in sys.argv[1:]:
    ask(name)
