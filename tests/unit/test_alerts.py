"""Alerts reach a real web server and a real mail server on this machine; broken ones raise nothing."""

from __future__ import annotations

import json
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TypeVar

import pytest

from orchestration.automation.channels import Alert, FailedGate, MailServer, post, send_mail

ALERT = Alert(
    run="12345678-aaaa",
    job="symbol_pipeline",
    asset="split_sequences",
    symbol="AAPL",
    gates=(FailedGate("causal", "return_1 of 2020-03-09 changed: 0.1 became 0.2", 4321),),
    error=None,
    quarantine="/var/store/split_sequences/AAPL/quarantine/abc.npz",
    remedy="mend the cause",
)

Server = TypeVar("Server", bound=socketserver.TCPServer)


class Web(HTTPServer):
    """Keeps what was posted; answers with ``status``, after ``wait`` seconds."""

    def __init__(self, status: int = 200, wait: float = 0.0) -> None:
        self.status, self.wait = status, wait
        self.posts: list[dict[str, object]] = []
        super().__init__(("127.0.0.1", 0), _Hook)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"


class _Hook(BaseHTTPRequestHandler):
    server: Web

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.headers["Content-Type"] == "application/json"
        self.server.posts.append(json.loads(body))
        time.sleep(self.server.wait)
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


class Mail(socketserver.ThreadingTCPServer):
    """Speaks as much SMTP as a client needs; keeps the messages."""

    daemon_threads = True

    def __init__(self, *, refuses: bool = False) -> None:
        self.refuses = refuses
        self.messages: list[bytes] = []
        self.recipients: list[str] = []
        super().__init__(("127.0.0.1", 0), _Session)

    @property
    def address(self) -> MailServer:
        return MailServer("127.0.0.1", self.server_address[1])


class _Session(socketserver.StreamRequestHandler):
    server: Mail

    def handle(self) -> None:
        self._say("220 here")
        for line in self.rfile:
            verb = line[:4].upper()
            if verb == b"QUIT":
                return self._say("221 bye")
            if verb == b"RCPT":
                self.server.recipients.append(line.decode().strip())
                self._say("550 nobody of that name" if self.server.refuses else "250 ok")
            elif verb == b"DATA":
                self._say("354 go on")
                self._take()
            else:
                self._say("250 ok")
        return None

    def _take(self) -> None:
        lines = []
        for line in self.rfile:
            if line.rstrip() == b".":
                break
            lines.append(line)
        self.server.messages.append(b"".join(lines))
        self._say("250 taken")

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


@contextmanager
def running(server: Server) -> Iterator[Server]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def test_text_names_all_that_a_person_needs() -> None:
    for part in (
        "AAPL", "split_sequences", "causal", "0.1 became 0.2", "4321", "quarantine/abc.npz", "mend the cause",
        "12345678",
    ):  # fmt: skip
        assert part in ALERT.text
    assert ALERT.subject == "AAPL split_sequences refused by causal"
    broken = replace(ALERT, gates=(), error="disk full", asset=None, symbol=None, quarantine=None)
    assert broken.subject == "symbol_pipeline failed"
    assert "disk full" in broken.text
    assert "candidate" not in broken.text


def test_webhook_takes_json() -> None:
    with running(Web()) as web:
        assert post(ALERT, web.url, timeout=5) is None
    (found,) = web.posts
    assert found["symbol"] == "AAPL"
    assert found["text"] == ALERT.text
    assert found["gates"] == [{"gate": "causal", "found": ALERT.gates[0].found, "checked": 4321}]


@pytest.mark.parametrize("trouble", ["refuses", "error 500", "too slow", "no address", "not http"])
def test_broken_webhook_is_reported_and_raises_nothing(trouble: str) -> None:
    if trouble in ("error 500", "too slow"):
        slow = trouble == "too slow"
        with running(Web(200 if slow else 500, wait=0.5 if slow else 0)) as web:
            found = post(ALERT, web.url, timeout=0.1 if slow else 5)
    elif trouble == "not http":
        with running(Mail()) as mail:
            found = post(ALERT, f"http://127.0.0.1:{mail.address.port}/", timeout=5)
    else:
        url = f"http://127.0.0.1:{closed_port()}/" if trouble == "refuses" else "http://"
        found = post(ALERT, url, timeout=5)
    assert found is not None
    assert "webhook" in found


def test_mail_arrives() -> None:
    odd = replace(ALERT, symbol="BRK\nB", remedy="schließe die Lücke; " + "long " * 300)
    with running(Mail()) as mail:
        assert send_mail(odd, mail.address, "us@here", ["a@there", "b@there"], timeout=5) is None
    message = message_from_bytes(mail.messages[0], policy=policy.default)
    assert message["Subject"] == "[gated-mamba] BRK B split_sequences refused by causal"
    assert (message["From"], message["To"]) == ("us@here", "a@there, b@there")
    assert " ".join(message.get_content().split()) == " ".join(odd.text.split())
    assert len(mail.recipients) == 2


@pytest.mark.parametrize("trouble", ["nobody there", "refuses", "no TLS for the password"])
def test_broken_mail_server_is_reported_and_raises_nothing(trouble: str) -> None:
    with running(Mail(refuses=trouble == "refuses")) as mail:
        server = mail.address
        if trouble == "nobody there":
            server = replace(server, port=closed_port())
        if trouble.startswith("no TLS"):
            server = replace(server, user="me", password="secret")
        found = send_mail(ALERT, server, "us@here", ["a@there"], timeout=5)
    assert found is not None
    assert "mail server" in found
    assert mail.messages == []
