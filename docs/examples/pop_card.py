"""Pops a caller's card: prints who calls on Telegram, and how each call ends. For panoramisk 1.4 or later.

AMI_PORT=5038 AMI_USER=crm AMI_SECRET=... python pop_card.py
"""

import os

from panoramisk import Manager
from panoramisk.message import Message

manager = Manager(
    host=os.environ.get("AMI_HOST", "127.0.0.1"),
    port=int(os.environ.get("AMI_PORT", "5038")),
    username=os.environ["AMI_USER"],
    secret=os.environ["AMI_SECRET"],
)


@manager.register_event("UserEvent")
def pop(manager: Manager, event: Message) -> None:
    known = event.Phone or event.Username or event.TelegramID
    match event.UserEvent:
        case "TelegramCallOffered" if event.Direction == "in":
            print(f"{event.Name} ({known}) calls line {event.Line}, call {event.CallID}", flush=True)
        case "TelegramCallEnded":
            print(f"{event.Name} ({known}): {event.Status}, talked for {event.Duration} s", flush=True)


manager.connect(run_forever=True)
