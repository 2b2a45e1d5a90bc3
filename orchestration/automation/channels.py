"""What a person is told when something failed, and the ways by which it reaches them.

Standard library alone. A way that is broken is reported as text and never raises: an alert must not stop what
it warns of.
"""

from __future__ import annotations

import json
import smtplib
import urllib.request
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from email.message import EmailMessage

__all__ = ["Alert", "FailedGate", "MailServer", "post", "send_mail"]


@dataclass(frozen=True)
class FailedGate:
    """A gate that refused: its name, what it found, and how many comparisons it made."""

    gate: str
    found: str
    checked: int


@dataclass(frozen=True)
class Alert:
    """One failed run.

    Parameters
    ----------
    run, job
        The run and its job.
    asset, symbol
        Where it failed; None where it has none.
    gates
        The gates that refused; empty if something else went wrong.
    error
        The innermost reason if no gate refused.
    quarantine
        Where the refused candidate lies.
    remedy
        What to do.
    """

    run: str
    job: str
    asset: str | None
    symbol: str | None
    gates: tuple[FailedGate, ...]
    error: str | None
    quarantine: str | None
    remedy: str

    @property
    def subject(self) -> str:
        """One line."""
        place = " ".join(part for part in (self.symbol, self.asset or self.job) if part)
        what = f"refused by {', '.join(g.gate for g in self.gates)}" if self.gates else "failed"
        return f"{place} {what}"

    @property
    def text(self) -> str:
        """All of it, for a person."""
        lines = [self.subject, ""]
        lines += [f"gate {g.gate}: {g.found} ({g.checked} comparisons)" for g in self.gates]
        lines += [f"reason: {self.error}"] if self.error else []
        lines += [f"refused candidate: {self.quarantine}"] if self.quarantine else []
        lines += [f"what to do: {self.remedy}", f"run: {self.run} of {self.job}"]
        return "\n".join(lines)

    def to_json(self) -> bytes:
        """All of it, for a program; ``text`` is what chat services show."""
        return json.dumps({"text": self.text, "subject": self.subject, **asdict(self)}).encode()


@dataclass(frozen=True)
class MailServer:
    """Where to hand in mail; a user means a login, which is made over TLS only."""

    host: str
    port: int
    user: str | None = None
    password: str | None = None


def post(alert: Alert, url: str, *, timeout: float) -> str | None:
    """Post as JSON; return what went wrong, or None."""
    try:
        request = urllib.request.Request(
            url, data=alert.to_json(), headers={"Content-Type": "application/json"}, method="POST"
        )
        with urllib.request.urlopen(request, timeout=timeout):
            return None
    except (OSError, ValueError) as error:  # HTTP errors, refused, too slow, no address
        return f"the webhook did not take it ({type(error).__name__}: {error})"
    except Exception as error:  # noqa: BLE001  http.client raises errors of its own on a broken answer
        return f"the webhook broke ({type(error).__name__}: {error})"


def send_mail(
    alert: Alert, server: MailServer, sender: str, to: Sequence[str], *, timeout: float
) -> str | None:
    """Send as plain text; return what went wrong, or None."""
    try:
        message = EmailMessage()
        message["Subject"] = " ".join(f"[gated-mamba] {alert.subject}".split())
        message["From"], message["To"] = sender, ", ".join(to)
        message.set_content(alert.text)
        with smtplib.SMTP(server.host, server.port, timeout=timeout) as client:
            if server.user is not None:
                client.starttls()
                client.login(server.user, server.password or "")
            refused = client.send_message(message)
        return f"refused for {', '.join(refused)}" if refused else None
    except (OSError, ValueError, smtplib.SMTPException) as error:
        return f"the mail server did not take it ({type(error).__name__}: {error})"
