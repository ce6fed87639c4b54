"""docs/events.md, made of the types of AMI's events: `scripts/reference`."""

from __future__ import annotations

from collections.abc import Iterator

from ari_app.pbx.ami_requests import ANSWER_S, ANSWERS, ANSWERS_S, FRESH_S, OWN_HEADERS, SIGNED
from ari_app.pbx.events import ReportedCallEvent, ReportedEvent, TelegramCallEnded, headers_of, kinds

HEAD = """\
# Events and requests by AMI

Made from the program by `scripts/reference`; change it there.

With `[ami]` in its configuration file, Astergram tells every program at Asterisk's manager interface what happens to
Telegram calls, by user events. A consumer needs `read = user` in manager.conf (`dialplan/manager-program.conf`);
[examples/pop_card.py](examples/pop_card.py) is one, in panoramisk.

    [crm]
    secret = ...
    read = user
    write = user        ; only for TelegramStatus and the requests below

- The events of a call come in their order, from one `TelegramCallOffered` to one `TelegramCallEnded`; those of its
  keypad and its `TelegramCallbackEnded` may come after. None is lost while AMI is away: they wait, also over a restart
  of Astergram, up to `queue` of them. What there is no room for is counted by `TelegramEventsLost`. An event that
  Asterisk may have taken without saying so is sent again: it has the same `EventID`, which only grows.
- A consumer that is not connected itself when Asterisk passes an event on does not get it: once connected, it asks.
- `Linkedid` joins them with Asterisk's own events, CDR and CEL. The channel has `TELEGRAM_CALL` and its like before
  the event comes. The media channel between Asterisk and Astergram (`UnicastRTP/...` or `WebSocket/...`) has events
  of its own in AMI, which a consumer can ignore.
- Every header is there, and empty where nothing is known; Asterisk may add some, such as `SystemName` and, with
  `debug = on` in manager.conf, a `Line` of its own before ours. A value is one line of at most 1000 bytes, cut with
  `…`; line breaks are spaces. After a user event Asterisk sends one empty line more than after others.
- Whoever has `write = user` can send events of these names, too: give it to programs that you trust.
- `astergram status --json` has what was sent, what waits, and what was lost.

## Asking

A program that connects late sends `TelegramStatus`, a user event with an ActionID, and gets a `TelegramLineStatus`
for each line, a `TelegramCallStatus` for each call whose end has not been told, and `TelegramStatusComplete`, all with
that ActionID; {answers} times in {answers_s:g} s at most, whoever asks:

    Action: UserEvent
    UserEvent: TelegramStatus
    ActionID: 42
"""
REQUESTS = """\
## Requests

Astergram takes three requests, which are user events, too. Each is answered by `TelegramResponse` with its ActionID,
within {answer_s:g} s.

| UserEvent | headers | what it does |
|---|---|---|
| `TelegramSend` | `To`, `Text` (several make several lines), `Line` | sends a person a text |
| `TelegramCall` | `To`, `Exten` (`101@phones`, `101`, `PJSIP/101`), `Line` | rings it, then calls the person |
| `TelegramHangup` | `CallID` | ends a call |

`To` is what `Stasis(telegram,...)` takes: `+79990000002`, `@anna`, `tg#5000000002`. Without `Line` the default line
is taken, or the least busy one. What is refused is answered {answers} times in {answers_s:g} s at most.

AMI does not tell who sent a user event, and whoever has `read = user` sees it. So a request names its `User`, which
`requesters` in `[ami]` has with a key, and is signed with it: `Signature` is the HMAC-SHA256, in hexadecimal, of all
its headers except `Action` and `Signature`, in UTF-8, as lines `Header: value` in the order of their names, with a line
break (one byte, 10) between them. Names are written as here, and a value has no blanks at its ends. `Time` is the Unix
time, {fresh_s:g} s off at most, and an ActionID is taken once. In Python:

    headers = {{"UserEvent": "TelegramHangup", "ActionID": "42", "User": "crm", "CallID": "3f2a9c71d0b4"}}
    headers["Time"] = str(int(time.time()))
    signed = "\\n".join(f"{{name}}: {{headers[name]}}" for name in sorted(headers))
    headers["Signature"] = hmac.new(key.encode(), signed.encode(), "sha256").hexdigest()
    manager.send_action({{"Action": "UserEvent", **headers}})

The signed headers are {signed},
and {own};
those that a request does not have, or has empty, are left out. Several `Text` are signed as one, with a line break
between them:

    Text: first line
    second line

A header, its name included, has 1020 bytes at most: that is Asterisk's bound. What Telegram has not answered may
have been done all the same, and the `Message` says so.
"""


def events_page() -> str:
    """All of docs/events.md."""
    names = {name for own in OWN_HEADERS.values() for name in own}
    head = HEAD.format(answers=ANSWERS, answers_s=ANSWERS_S)
    requests = REQUESTS.format(
        answer_s=ANSWER_S,
        fresh_s=FRESH_S,
        answers=ANSWERS,
        answers_s=ANSWERS_S,
        signed=_listed(SIGNED),
        own=_listed(sorted(names)),
    )
    parts = [head, requests, "## Events", "", "Every event has:", "", *_table(ReportedEvent, None)]
    parts += ["", "Every event of a call has:", "", *_table(ReportedCallEvent, ReportedEvent)]
    parts += ["", "As AMI shows one:", "", *_example(TelegramCallEnded)]
    for kind in kinds():
        base = ReportedCallEvent if issubclass(kind, ReportedCallEvent) else ReportedEvent
        also = " and those of a call" if base is ReportedCallEvent else ""
        about = " ".join((kind.__doc__ or "").split())
        own = list(_rows(kind, base))
        parts += ["", f"### {kind.event}", "", about]
        parts += ["", *_table(kind, base)] if own else ["", f"It has the headers of every event{also}."]
    return "\n".join(parts) + "\n"


def _table(kind: type[ReportedEvent], base: type[ReportedEvent] | None) -> list[str]:
    return ["| header | what | example |", "|---|---|---|", *_rows(kind, base)]


def _rows(kind: type[ReportedEvent], base: type[ReportedEvent] | None) -> Iterator[str]:
    known = {name for name, _ in headers_of(base)} if base else set()
    if base is None:
        yield "| `EventID` | Its number; they only grow | `1790000000123` |"
        yield "| `ActionID` | Of the question or request that it answers; of any other, its EventID | `1790000000123` |"
    for name, each in headers_of(kind):
        if name not in known:
            yield f"| `{name}` | {each.metadata['about']} | `{each.metadata['example']}` |"


def _example(kind: type[ReportedEvent]) -> list[str]:
    lines = ["Event: UserEvent", "Privilege: user,all", f"UserEvent: {kind.event}"]
    lines += [f"{name}: {each.metadata['example']}" for name, each in headers_of(kind)]
    return [f"    {line}" for line in [*lines, "EventID: 1790000000123", "ActionID: 1790000000123"]]


def _listed(names: list[str] | tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)
