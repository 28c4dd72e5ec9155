"""How does a report leave? The one place of what ships that opens a connection to anybody.

To the one address that the operator has set, over TLS, through the proxy that was set, if one was; never by what the
environment or an answer says. The bytes are those of the file. What fails is tried again later and later; nothing is lost,
as the file stays where it is until it was taken.
"""

import ssl
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from serving.settings import Settings
from serving.telemetry.outbox import APPROVED, SENT, Entry, Outbox

TIMEOUT_S = 30
PAUSES_S = (1.0, 4.0, 16.0, 64.0)
MOST_ANSWER = 4096


class NotSent(Exception):
    """The text says to where and why not. `again`: whether it may help to try later."""

    def __init__(self, text: str, again: bool) -> None:
        super().__init__(text)
        self.again = again


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


@dataclass(frozen=True)
class Destination:
    url: str
    proxy: str
    ca: Path | None
    token: Path | None

    @classmethod
    def of(cls, settings: Settings) -> "Destination":
        """Raises NotSent."""
        if not settings.report_url:
            raise NotSent("no address is set to send reports to; UNJAR_REPORT_URL names one", again=False)
        return cls(settings.report_url, settings.report_proxy, settings.report_ca, settings.report_token)

    def send(self, content: bytes) -> None:
        """Raises NotSent."""
        headers = {"content-type": "application/json"}
        try:
            if self.token is not None:
                headers["authorization"] = f"Bearer {self.token.read_text().strip()}"
            request = urllib.request.Request(self.url, content, headers, method="POST")
            with self._opener().open(request, timeout=TIMEOUT_S) as answer:
                if answer.status not in (200, 201, 202, 204):
                    raise NotSent(f"{self.url} answered {answer.status}", again=True)
        except urllib.error.HTTPError as refusal:
            with refusal:
                said = refusal.read(MOST_ANSWER).decode(errors="replace")
            # What the receiver refuses today it refuses tomorrow, unless it says that it is busy.
            again = refusal.code >= 500 or refusal.code in (408, 425, 429)
            raise NotSent(f"{self.url} answered {refusal.code}: {said[:500]}", again) from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise NotSent(f"{self.url} cannot be reached: {reason}", again=True) from None

    def _opener(self) -> urllib.request.OpenerDirector:
        context = ssl.create_default_context(cafile=None if self.ca is None else str(self.ca))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        proxies = {urlsplit(self.url).scheme: self.proxy} if self.proxy else {}
        return urllib.request.build_opener(
            urllib.request.ProxyHandler(proxies), urllib.request.HTTPSHandler(context=context), _NoRedirect()
        )


def rehearse() -> None:
    """Loads what sending loads when it is first done."""
    Destination("https://localhost", "", None, None)._opener()
    "localhost".encode("idna")


def send(destination: Destination, content: bytes, pauses_s: tuple[float, ...]) -> None:
    """As often as there are pauses, and once more. Raises NotSent."""
    for pause_s in pauses_s:
        try:
            return destination.send(content)
        except NotSent as problem:
            if not problem.again:
                raise
            time.sleep(pause_s)
    return destination.send(content)


def send_approved(outbox: Outbox, settings: Settings, pauses_s: tuple[float, ...] = PAUSES_S) -> list[Entry]:
    """Oldest first, up to the first that cannot be sent. Raises NotSent."""
    waiting = outbox.entries(APPROVED)
    if not waiting:
        return []
    destination = Destination.of(settings)
    sent = []
    for entry in waiting:
        send(destination, entry.path.read_bytes(), pauses_s)
        sent.append(outbox.move(entry, SENT))
    return sent
