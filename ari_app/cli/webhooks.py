"""`astergram webhook ...`: where events are sent by HTTP, and what became of each, through the API."""

import argparse
import re
from datetime import datetime, tzinfo
from typing import Any
from urllib.parse import urlencode

from rich.markup import escape
from rich.table import Table

from ari_app import zones
from ari_app.api_client import Api, RequestRefused
from ari_app.cli.terminal import confirm, show, show_json

ID = re.compile(r"[0-9a-f]{12}")
UNDO = {
    "secret": "Make another secret for {url}; its receiver has to be given it at once",
    "remove": "Remove {url} with what waits for it",
}


async def run(options: argparse.Namespace, api: Api) -> None:
    """Do what was asked for; raises RequestRefused."""
    if options.action == "list":
        found = await api.ask("GET", "/webhooks")
        return show_json(found) if options.json else show_webhooks(found)
    if options.action == "add":
        return _show_secret(await api.ask("POST", "/webhooks", {"url": options.url} | _chosen(options)), options)
    if not ID.fullmatch(options.id):
        raise RequestRefused(f"{options.id!r} is no webhook's id: `astergram webhook list` shows them")
    path = f"/webhooks/{options.id}"
    match options.action:
        case "set":
            changes = _chosen(options)
            changes |= {"events": []} if options.all_events else {}
            changes |= {name: value for name in ("url", "enabled") if (value := getattr(options, name)) is not None}
            if not changes:
                raise RequestRefused("nothing to set: `astergram webhook set --help` shows what there is")
            await api.ask("PATCH", path, changes)
            print(f"webhook {options.id} is changed")
        case "test":
            _sent(await api.ask("POST", f"{path}/test"), options)
        case "deliveries":
            query = urlencode({"state": options.state or "", "limit": options.last})
            sent = await api.ask("GET", f"{path}/deliveries?{query}")
            if options.json:
                return show_json(sent)
            show_deliveries(sent, zones.named((await api.ask("GET", "/installation"))["timezone"]))
        case "resend":
            _sent(await api.ask("POST", f"{path}/deliveries/{options.delivery}/send"), options)
        case action:
            webhook = await api.ask("GET", path)
            await confirm(UNDO[action].format(url=webhook["url"]), yes=options.yes)
            if action == "secret":
                return _show_secret(await api.ask("POST", f"{path}/secret"), options)
            await api.ask("DELETE", path)
            print(f"webhook {options.id} is removed")
    return None


def show_webhooks(webhooks: list[dict[str, Any]]) -> None:
    """One line for each."""
    if not webhooks:
        print("There is no webhook yet: astergram webhook add https://crm.example.com/astergram")
        return
    table = Table(box=None, pad_edge=False)
    for column in ("Id", "URL", "Events", "", "Waiting", "Delivered", "Given up", "Lost"):
        table.add_column(column)
    for each in webhooks:
        state = (each["error"] or "OK") if each["enabled"] else "off"
        counts = (str(each[name]) for name in ("waiting", "delivered", "given_up", "lost"))
        events = " ".join(each["events"]) or "all"
        table.add_row(each["id"], escape(each["url"]), events, escape(state), *counts)
    show(table)


def show_deliveries(sent: list[dict[str, Any]], zone: tzinfo) -> None:
    """One line for each; times are those of ``zone``."""
    table = Table(box=None, pad_edge=False)
    for column in ("Id", f"Time ({zones.name_of(zone)})", "Event", "State", "Attempts", "Answer"):
        table.add_column(column)
    for each in sent:
        at = datetime.fromtimestamp(each["made_at"], zone)
        answer = each["error"] or str(each["status"] or "")
        table.add_row(
            str(each["id"]),
            f"{at:%Y-%m-%d %H:%M:%S}",
            each["type"],
            each["state"],
            str(each["attempts"]),
            escape(answer),
        )
    show(table)


def _chosen(options: argparse.Namespace) -> dict[str, Any]:
    chosen = {"events": options.events, "message_text": options.message_text}
    return {name: value for name, value in chosen.items() if value is not None}


def _show_secret(webhook: dict[str, Any], options: argparse.Namespace) -> None:
    if options.json:
        return show_json(webhook)
    print(f"webhook {webhook['id']}\nsecret  {webhook['secret']}")
    return None


def _sent(delivery: dict[str, Any], options: argparse.Namespace) -> None:
    if options.json:
        return show_json(delivery)
    print(
        f"delivery {delivery['id']} is being sent: `astergram webhook deliveries {options.id}` says what becomes of it"
    )
    return None
