"""The server as a process: found by its address, killed in the middle, alone on its file, ended by Ctrl-C."""

import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from tests.review.tables import issues, review

from thresher.decisions import read
from thresher.errors import UsageError
from thresher.review.serve import is_local, listen, serve


class Server:
    """A real process of the command."""

    def __init__(self, folder: Path, *words: str) -> None:
        command = [
            sys.executable,
            "-m",
            "thresher",
            "review",
            "issues.csv",
            "--data",
            "images",
            "--json",
            "--no-browser",
        ]
        self.process = subprocess.Popen(
            [*command, *words],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    def start(self) -> "Server":
        """Wait until it serves."""
        assert self.process.stdout is not None
        self.about = json.loads(self.process.stdout.readline())
        token = self.about["url"].partition("token=")[2]
        self.headers = {
            "cookie": f"thresher_review_{self.about['port']}={token}",
            "origin": f"http://127.0.0.1:{self.about['port']}",
            "content-type": "application/json",
        }
        return self

    def ask(self, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        """The status of an answer, and what it says."""
        connection = http.client.HTTPConnection("127.0.0.1", self.about["port"], timeout=30)
        try:
            sent = None if body is None else json.dumps(body)
            connection.request("GET" if body is None else "POST", path, sent, {**self.headers, **headers})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()


def test_kill_and_restart(tmp_path: Path) -> None:
    """Decisions that were answered survive `kill -9` at any moment; at most the one in flight is unknown."""
    with review(tmp_path, issues(400, 300)):
        pass  # writes the files
    server = Server(tmp_path, "--annotator", "ann")
    answered: list[int] = []
    try:
        server.start()
        assert (server.about["rows"], server.about["decided"], server.about["annotator"]) == (300, 0, "ann")
        assert server.ask("/api/progress", host="evil.example")[0] == 403
        moment = threading.Timer(random.uniform(0.02, 0.2), server.process.kill)
        for row in range(0, 3000, 10):
            status, _ = server.ask("/api/decide", {"decisions": [{"row": row, "action": "accept", "seen": 0}]})
            assert status == 200
            answered.append(row)
            if row == 0:
                moment.start()
    except (OSError, http.client.HTTPException, ValueError):
        pass
    finally:
        server.process.kill()
        _, err = server.process.communicate()
    assert 0 < len(answered) < 300, err
    stored = [record.row for record in read(tmp_path / "issues.decisions.jsonl")]
    assert stored[: len(answered)] == answered
    assert len(stored) <= len(answered) + 1
    with review(tmp_path, issues(400, 300), annotator="ann") as again:
        assert again.session.progress()["decided"] == len(stored)
        assert again.session.undo() == [{"row": stored[-1], "state": None, "label": -1, "seen": 2}]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_served_until_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    """A real server in this process, spoken to from a thread; an open connection does not hold it up."""
    idle: list[http.client.HTTPConnection] = []
    heard: list[tuple[int, dict[str, str]]] = []
    before = signal.getsignal(number)

    def browse(address: str) -> None:
        place, _, token = address.removeprefix("http://").partition("/?token=")
        idle.append(http.client.HTTPConnection(place, timeout=30))
        for path in ("/", f"/?token={token}"):
            idle[0].request("GET", path)
            answer = idle[0].getresponse()
            heard.append((answer.status, {name.lower(): value for name, value in answer.getheaders()}))
            answer.read()
        os.kill(os.getpid(), number)

    with review(tmp_path) as found:
        place = listen("127.0.0.1", 0)
        threads: list[threading.Thread] = []

        def told(address: str, port: int) -> None:
            assert port == place.getsockname()[1]
            threads.append(threading.Thread(target=browse, args=(address,)))
            threads[0].start()

        started = time.monotonic()
        serve(found, place, "127.0.0.1", told=told, browser=False)
        threads[0].join()
        idle[0].close()
    assert [status for status, _ in heard] == [403, 303]
    assert all(headers["x-frame-options"] == "DENY" and "server" not in headers for _, headers in heard)
    assert time.monotonic() - started < 20
    assert place.fileno() == -1
    assert signal.getsignal(number) is before


@pytest.mark.parametrize(("screen", "wanted", "opens"), [(":0", True, True), (":0", False, False), ("", True, False)])
def test_browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, screen: str, wanted: bool, opens: bool) -> None:
    monkeypatch.setenv("DISPLAY", screen)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr("uvicorn.Server.run", lambda server, sockets: time.sleep(0.05))
    addresses: list[str] = []
    with review(tmp_path) as found:
        serve(found, listen("127.0.0.1", 0), "127.0.0.1", told=lambda at, port: addresses.append(at), browser=wanted)
    assert opened == (addresses if opens else [])


def test_listen() -> None:
    with listen("127.0.0.1", 0) as place:
        port = place.getsockname()[1]
        with pytest.raises(UsageError, match=f"port {port} of 127.0.0.1 cannot be used"):
            listen("127.0.0.1", port)
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            pass
    for host, number, said in (
        ("127.0.0.1", -1, "port is -1"),
        ("127.0.0.1", 2**16, "port is 65536"),
        ("no.such.host.invalid", 0, "there is no interface 'no.such.host.invalid'"),
        ("203.0.113.7", 0, "cannot be used"),
        ("", 0, "there is no interface ''"),
        ("x" * 300, 0, "there is no interface"),
    ):
        with pytest.raises(UsageError, match=said):
            listen(host, number)


def test_is_local() -> None:
    assert all(map(is_local, ("127.0.0.1", "localhost", "::1")))
    assert not any(map(is_local, ("0.0.0.0", "192.168.0.3", "")))  # noqa: S104
