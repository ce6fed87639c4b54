"""docs/webhooks.md, made of the types of the events: `scripts/reference`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import Field
from typing import Any

from ari_app.pbx.events import ReportedCallEvent, ReportedEvent, TelegramCallEnded
from ari_app.webhooks.payload import body, data_of, sent_kinds, type_of
from ari_app.webhooks.queue import GIVE_UP_S, MOST_WAITING, RETRY
from ari_app.webhooks.sender import ANSWER_BYTES, REQUEST_S
from ari_app.webhooks.webhooks import AT_A_TIME

NUMBERS = ("int", "float")
HOUR_S = 3600
HEAD = """\
# Webhooks

Made from the program by `scripts/reference`; change it there.

Astergram tells programs of yours what happens to calls and lines by HTTP: the same events that [AMI](events.md) gets.
Webhooks are set under Settings → Webhooks, by the API (`/api/webhooks`), or with

    astergram webhook add https://crm.example.com/astergram --event call.offered --event call.ended
    astergram webhook list
    astergram webhook test 0123456789ab
    astergram webhook deliveries 0123456789ab --state failed
    astergram webhook resend 0123456789ab 1790000000123

Each event is a POST request with a JSON body, in the form of the
[Standard Webhooks](https://www.standardwebhooks.com) specification, whose libraries can be used to take them:

{example}

## What a receiver can rely on

- **Signed.** `webhook-id` is the event's id, `webhook-timestamp` the Unix time of this try, and `webhook-signature`
  is `v1,` and the HMAC-SHA256 of `ID.TIMESTAMP.BODY` in base64; its key is what stands in base64 behind `whsec_` in
  the secret. Check it, and that the time is no more than five minutes off. The secret is shown once, when the webhook
  is made; another one can be made, and counts at once.
- **At least once.** Any status 2xx within {request_s:g} s says that the event was taken. Otherwise it is sent again,
  first after {first_s:g} s, then twice as long each time, up to {last_s:g} s, for {give_up_h:g} hours, also after a
  restart of Astergram; `Retry-After` of a 429 or 503 is obeyed up to that. So an event may come twice: it has the same
  `webhook-id`, by which a receiver knows it.
- **In order for each call.** An event of a call waits until the one before it is taken, or given up; other calls go
  on. Events of no call are in order for each line. Up to {at_a_time} requests are open to a receiver at a time.
- **Bounded.** {most:,} events wait for a webhook at most; then the oldest are lost, the overview says so, and they
  stand among the deliveries as lost. "Send again" sends them all the same.
- **Never in a call's way.** A receiver that is slow, or a database that can't be written, costs no call anything.
- Redirects are not followed. Certificates are checked. The first {answer} bytes of an answer are kept, to be looked at.
- What people write is sent only where that is chosen for the webhook. The last 1000 deliveries of a webhook are kept,
  with what was sent, for `deliveries_days` (30), or until it is removed: [people's data](people.md).

Addresses of private networks, and of this machine, may be used, since PBXes and what belongs to them are on LANs:
so whoever may set webhooks can have Astergram send POST requests to any machine that it can reach.

A receiver in Python (`pip install standardwebhooks aiohttp`):

    from aiohttp import web
    from standardwebhooks import Webhook, WebhookVerificationError

    SECRET = "whsec_..."

    async def take(request: web.Request) -> web.Response:
        try:
            event = Webhook(SECRET).verify(await request.text(), dict(request.headers))
        except WebhookVerificationError:
            return web.Response(status=401)
        print(request.headers["webhook-id"], event["type"], event["data"])
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/astergram", take)
    web.run_app(app, port=8000)

## Events

The body has `type`, `timestamp` (when it happened, ISO 8601 in UTC), and `data`, with the fields below; a text that is
not known is empty, a number null. Later versions may have more fields and types. What the button "Send a test" sends
has the type `test`, and no data.
"""


def webhooks_page() -> str:
    """All of docs/webhooks.md."""
    head = HEAD.format(
        example="\n".join(_example()),
        request_s=REQUEST_S,
        first_s=RETRY.first_s,
        last_s=RETRY.last_s,
        give_up_h=GIVE_UP_S / HOUR_S,
        at_a_time=AT_A_TIME,
        most=MOST_WAITING,
        answer=ANSWER_BYTES,
    )
    parts = [head, "Every event of a call has:", "", *_table(ReportedCallEvent, ReportedEvent)]
    for kind in sent_kinds():
        base = ReportedCallEvent if issubclass(kind, ReportedCallEvent) else ReportedEvent
        parts += ["", f"### {type_of(kind)}", "", " ".join((kind.__doc__ or "").split())]
        if list(_rows(kind, base)):
            parts += ["", *_table(kind, base)]
    return "\n".join(parts) + "\n"


def _table(kind: type[ReportedEvent], base: type[ReportedEvent]) -> list[str]:
    return ["| field | what | example |", "|---|---|---|", *_rows(kind, base)]


def _rows(kind: type[ReportedEvent], base: type[ReportedEvent]) -> Iterator[str]:
    known = {each.name for each in data_of(base)}
    for each in data_of(kind):
        if each.name not in known:
            yield f"| `{each.name}` | {each.metadata['about']} | `{json.dumps(_value(each), ensure_ascii=False)}` |"


def _value(each: Field[Any]) -> Any:
    """The example of a field, as JSON has it."""
    text = each.metadata["example"]
    return json.loads(text) if str(each.type).split(" ")[0] in NUMBERS else text


def _example() -> Iterator[str]:
    data = {each.name: _value(each) for each in data_of(TelegramCallEnded)}
    headers = ("webhook-id: msg_...", "webhook-timestamp: 1790000062", "webhook-signature: v1,...", "")
    lines = ["POST /astergram HTTP/1.1", "Content-Type: application/json", *headers]
    text = json.dumps(json.loads(body(type_of(TelegramCallEnded), 1790000062.5, data)), indent=2, ensure_ascii=False)
    return (f"    {line}".rstrip() for line in [*lines, *text.splitlines()])
