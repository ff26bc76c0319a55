"""Workers of pytest-xdist that need not import torch: forks of a process that has.

A real worker spends seconds on importing the heavy packages, and every test here runs with two of
them. ``serve`` imports the packages once and forks a child for each worker that is wanted; the command
``start`` stands in for the Python interpreter, and hands its pipes to such a child. Nothing of pytest,
of its plugins or of pytest-lime is imported beforehand: a worker sets them up as it always does.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys
from importlib import import_module
from pathlib import Path

HEAVY = {
    "cmap": "Colormap",
    "jinja2": "Environment",
    "numpy.testing": "assert_allclose",
    "PIL.Image": "open",
    "PIL.ImageOps": "exif_transpose",
    "pytest": "main",
    "skimage.draw": "polygon",
    "skimage.measure": "find_contours",
    "skimage.measure._polygon": "approximate_polygon",
    "skimage.segmentation": "slic",
    "torch": "Tensor",
}
"""Each module with something in it, since some import their parts only when asked for them."""


def serve(address: str) -> None:
    """Fork a child for each connection to the socket `address`, until this process is ended."""
    for module, name in HEAVY.items():
        getattr(import_module(module), name)
    # A collection in a fork would look at all of torch, and so copy every page that it is on.
    gc.freeze()
    if sys.dont_write_bytecode:
        # Each worker would compile the plugin anew, its assertions rewritten.
        sys.dont_write_bytecode, sys.pycache_prefix = False, str(Path(address).with_name("compiled"))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children are not waited for
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address)
        server.listen()
        print("ready", flush=True)
        while True:
            connection, _ = server.accept()
            if os.fork() == 0:
                server.close()
                _become(connection)
            connection.close()


def _become(connection: socket.socket) -> None:
    """Turn this fork into the process that the client was asked to be."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    status = 1
    try:
        data, pipes, _, _ = socket.recv_fds(connection, 1 << 20, 3)
        wanted = json.loads(data)
        for number, pipe in enumerate(pipes):
            os.dup2(pipe, number)
            os.close(pipe)
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115
        os.environ.clear()
        os.environ.update(wanted["environment"])
        os.chdir(wanted["folder"])
        sys.path[0], sys.argv = "", ["-c"]
        exec(wanted["code"], {"__name__": "__main__"})
        status = 0
    finally:
        sys.stdout.flush()
        # The end of the connection tells the client that this process is over.
        os._exit(status)


def start(address: str, code: str) -> None:
    """Have `code` run in a fork of the server, with the pipes of this process, and wait for its end."""
    wanted = {"environment": dict(os.environ), "folder": str(Path.cwd()), "code": code}
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        socket.send_fds(connection, [json.dumps(wanted).encode()], [0, 1, 2])
        connection.recv(1)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2])
    else:
        start(sys.argv[2], sys.argv[-1])  # start ADDRESS -u -c CODE
