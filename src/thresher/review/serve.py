"""The server of the page: on this machine, for one person, until Ctrl-C."""

import os
import secrets
import signal
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable
from types import FrameType

import uvicorn

from thresher.data.files import quiet_decoders
from thresher.errors import UsageError
from thresher.review.app import build
from thresher.review.opening import Review
from thresher.review.security import LOOPBACK, Door

_BACKLOG = 64
_GOODBYE = 2  # seconds that open connections have at the end


def listen(host: str, port: int) -> socket.socket:
    """A socket that accepts connections.

    Args:
        host: the interface: an address, or a name of this machine.
        port: 0 is any that is free.

    Raises:
        UsageError: there is no such interface, or the port is taken.

    Example:
        >>> with listen("127.0.0.1", 0) as place:
        ...     place.getsockname()[0]
        '127.0.0.1'
    """
    if not 0 <= port < 2**16:
        raise UsageError(f"port is {port}: give 0 for any that is free, or 1 to 65535")
    try:
        if not host:
            raise OSError("no name")  # it would mean all interfaces
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        place = socket.socket(family, kind)
    except (OSError, UnicodeError) as error:
        raise UsageError(f"there is no interface {host!r} here: leave --host out, or give an address") from error
    try:
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        place.bind(address)
        place.listen(_BACKLOG)
    except OSError as error:
        place.close()
        reason = error.strerror or error
        raise UsageError(f"port {port} of {host} cannot be used ({reason}): give another --port, or none") from error
    return place


def is_local(host: str) -> bool:
    """Whether an interface can be reached from this machine alone.

    Example:
        >>> is_local("127.0.0.1"), is_local("0.0.0.0")
        (True, False)
    """
    return host in (*LOOPBACK, "::1")


def serve(
    review: Review, place: socket.socket, host: str, *, told: Callable[[str, int], None], browser: bool = True
) -> None:
    """Serve a review until Ctrl-C or SIGTERM; call it from the main thread.

    Args:
        review: that is open.
        place: from `listen`; closed at the end.
        host: the interface.
        told: called with the address and the port once connections are accepted.
        browser: open the address in a browser, where there is a screen.
    """
    door = Door(secrets.token_urlsafe(32), place.getsockname()[1], host)
    app = build(review.deck, door, command=review.command)
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_GOODBYE,
    )
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        with place, quiet_decoders():
            told(door.address, door.port)
            if browser and _has_screen():
                # A browser in a terminal would not return.
                threading.Thread(target=webbrowser.open, args=(door.address,), daemon=True).start()
            uvicorn.Server(config).run(sockets=[place])
    except KeyboardInterrupt:  # how uvicorn passes Ctrl-C on when it is done
        pass
    finally:
        signal.signal(signal.SIGTERM, before)


def _stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _has_screen() -> bool:
    return sys.platform in ("darwin", "win32") or any(os.environ.get(n) for n in ("DISPLAY", "WAYLAND_DISPLAY"))
