"""One request of a webhook, signed as the Standard Webhooks specification has it."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus

import aiohttp
from standardwebhooks import Webhook as Signer

from ari_app import __version__
from ari_app.os_words import in_words
from ari_app.store.webhooks import DeliveryRow, WebhookRow
from ari_app.webhooks.queue import SendResult

REQUEST_S = 15.0
"""For a request with its answer; the specification recommends 15 to 30 s."""
ANSWER_BYTES = 500
"""Of an answer, to be looked at."""
ASKS_TO_WAIT = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


@dataclass(frozen=True)
class Sender:
    """``clock`` gives Unix time."""

    http: aiohttp.ClientSession
    clock: Callable[[], float] = time.time

    async def send(self, webhook: WebhookRow, delivery: DeliveryRow) -> SendResult:
        """Try once. Redirects are not followed; raises nothing that the other side could bring about."""
        body = delivery.body.encode()
        headers = {"Content-Type": "application/json", **signed(webhook.secret, delivery, self.clock())}
        try:
            async with self.http.post(webhook.url, data=body, headers=headers, allow_redirects=False) as response:
                return await _answer(response)
        except TimeoutError:
            return SendResult(taken=False, error=f"no answer within {self.http.timeout.total:g} s")
        except aiohttp.ClientResponseError:  # its words quote the address, which may hold a secret
            return SendResult(taken=False, error="what it answers is no HTTP")
        except aiohttp.InvalidURL:  # the same
            return SendResult(taken=False, error="its address is not valid")
        except (aiohttp.ClientError, OSError, ValueError) as error:  # ValueError: a name that is no name
            return SendResult(taken=False, error=in_words(error))


def signed(secret: str, delivery: DeliveryRow, now: float) -> dict[str, str]:
    """The headers of one try."""
    signature = Signer(secret).sign(delivery.event_id, datetime.fromtimestamp(int(now), UTC), delivery.body)
    return {
        "webhook-id": delivery.event_id,
        "webhook-timestamp": str(int(now)),
        "webhook-signature": signature,
    }


@asynccontextmanager
async def open_sender(clock: Callable[[], float] = time.time, request_s: float = REQUEST_S) -> AsyncIterator[Sender]:
    """Connections to the receivers, for as long as the context lasts."""
    async with aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=request_s),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": f"Astergram/{__version__}", "Accept-Encoding": "identity"},
        auto_decompress=False,
    ) as http:
        yield Sender(http, clock)


async def _answer(response: aiohttp.ClientResponse) -> SendResult:
    text = ""
    with suppress(TimeoutError, aiohttp.ClientError, OSError):  # the status is what counts
        text = (await response.content.read(ANSWER_BYTES)).decode(errors="replace")
    if response.ok and response.status < HTTPStatus.MULTIPLE_CHOICES:
        return SendResult(True, response.status, text)
    redirected = response.status < HTTPStatus.BAD_REQUEST
    error = f"answered {response.status}" + (", and redirects are not followed" if redirected else "")
    wait_s = _seconds(response.headers.get("Retry-After", "")) if response.status in ASKS_TO_WAIT else 0.0
    return SendResult(False, response.status, text, error, wait_s)


def _seconds(text: str) -> float:
    """Of a Retry-After (RFC 9110, 10.2.3); one that is a date is not obeyed."""
    return float(text) if text.isascii() and text.isdigit() and len(text) <= len(str(int(1e9))) else 0.0
