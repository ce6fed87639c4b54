"""What brings an older database up to date: migrations run in this order, each once.

A migration that has been released is never changed; a new one is added to the end. Times are Unix times, in seconds.
"""

import json
import logging
import time
from collections.abc import Callable

from sqlite_utils import Database

from ari_app.logs import line_log

log = logging.getLogger(__name__)

Migration = Callable[[Database], None]


def limits_and_peers(db: Database) -> None:
    """What protects an account over a restart, and whom Telegram has resolved."""
    db.table("pauses").create({"line": str, "request": str, "until": float, "reason": str}, pk=("line", "request"))
    db.table("outgoing").create({"line": str, "at": float})
    db.table("outgoing").create_index(["line", "at"])
    db.table("resolved").create(
        {"line": str, "destination": str, "until": float, "answer": str}, pk=("line", "destination")
    )


def keypads(db: Database) -> None:
    """Keypads that are shown, to be removed when a killed program left them."""
    db.table("keypads").create({"line": str, "message_id": int}, pk=("line", "message_id"))


def cards(db: Database) -> None:
    """Business cards that were sent."""
    texts = dict.fromkeys(("id", "line", "person", "text", "button", "secret"), str)
    db.table("cards").create({**texts, "person_id": int, "sent_at": float}, pk="id")


def web_access(db: Database) -> None:
    """Who may use the admin page."""
    db.table("web_password").create({"id": int, "hash": str}, pk="id")
    db.table("web_link").create({"id": int, "digest": str, "made_at": float}, pk="id")
    db.table("web_sessions").create(
        {"digest": str, "started_at": float, "seen_at": float, "address": str, "agent": str}, pk="digest"
    )
    tokens = {"id": int, "digest": str, "name": str, "right": str, "made_at": float, "used_at": float}
    db.table("web_tokens").create(tokens, pk="id")
    db.table("web_tokens").create_index(["digest"], unique=True)


def lines_and_installation(db: Database) -> None:
    """What an administrator sets while the program runs."""
    db.table("lines").create({"number": str, "settings": str}, pk="number")
    db.table("installation").create({"name": str, "value": str}, pk="name")


def calls(db: Database) -> None:
    """The call history: what is searched, and beside it what is read of one call only."""
    texts = dict.fromkeys(
        ("id", "direction", "line", "peer", "near", "name", "phone", "username", "status", "detail", "search"), str
    )
    numbers = dict.fromkeys(("began_at", "ended_at", "to_answer_s", "talked_s"), float)
    counts = dict.fromkeys(("person_id", "cause", "answered", "refused"), int)
    db.table("calls").create({**texts, **numbers, **counts}, pk="id")
    db.table("call_details").create(dict.fromkeys(("id", "ladder", "milestones", "samples"), str), pk="id")
    # In the order of a page, and with all that filters ask for: a count or a deep page reads no row.
    filters = ["began_at", "id", "line", "direction", "status", "answered"]
    db.table("calls").create_index(filters, "calls_by_time")
    db.table("calls").create_index([*filters, "search"], "calls_by_text")


def languages(db: Database) -> None:
    """The languages of people's Telegram."""
    db.table("languages").create({"person_id": int, "language": str}, pk="person_id")


def cards_at_work(db: Database) -> None:
    """Which cards tell of a request that is being served."""
    db.table("cards").add_column("tells_in", str, not_null_default="")


def keypads_being_sent(db: Database) -> None:
    """Keypads of which Telegram has not said that it has sent them; it may have."""
    columns = {"line": str, "random_id": int, "person_id": int, "call": str, "sent_at": float}
    db.table("keypads_sending").create(columns, pk=("line", "random_id"))


def card_files(db: Database) -> None:
    """Files of cards. What settings named so far, files of the server, is named no more, and nothing opens it."""
    texts = dict.fromkeys(("line", "kind", "name", "type"), str)
    db.table("card_files").create({**texts, "content": bytes, "put_at": float}, pk=("line", "kind"))
    for row in list(db.table("lines").rows):
        try:
            settings = json.loads(row["settings"])
            card = settings.get("card", {})
            paths = {kind: card.pop(kind, None) for kind in ("contact_vcard", "picture")}
        except (ValueError, AttributeError):
            continue  # it could not be read before either; the log says so
        for kind, path in paths.items():
            if path:
                line_log(log, row["number"]).warning(
                    "its card goes without %s from now on: cards have their own files now. Upload it on the "
                    "page, under the line's Card, or with `astergram line set %s card.%s=FILE`",
                    path,
                    row["number"],
                    kind,
                )
        db.execute("UPDATE lines SET settings = ? WHERE number = ?", [json.dumps(settings), row["number"]])


def typed_events(db: Database) -> None:
    """The names that events and end reasons have since they are data; what was kept as text is read as such."""
    for table, old, new in (
        ("calls", "near", "pbx_party"),
        ("calls", "detail", "reason"),
        ("call_details", "ladder", "events"),
    ):
        db.execute(f"ALTER TABLE {table} RENAME COLUMN {old} TO {new}")


def ami_events(db: Database) -> None:
    """Events that wait for AMI."""
    db.table("ami_events").create({"id": int, "name": str, "headers": str}, pk="id")


def webhooks(db: Database) -> None:
    """Where events are sent by HTTP, and what became of each."""
    texts = dict.fromkeys(("id", "url", "events", "secret"), str)
    db.table("webhooks").create({**texts, "enabled": int, "message_text": int, "made_at": float}, pk="id")
    texts = dict.fromkeys(("webhook", "event_id", "type", "key", "body", "state", "answer", "error"), str)
    times = dict.fromkeys(("made_at", "since", "next_at", "last_at"), float)
    db.table("webhook_deliveries").create({"id": int, **texts, **times, "attempts": int, "status": int}, pk="id")
    db.table("webhook_deliveries").create_index(["webhook", "id"])
    db.execute("CREATE INDEX webhook_deliveries_waiting ON webhook_deliveries (id) WHERE state = 'waiting'")


def users(db: Database) -> None:
    """Users with roles. Whoever knew the one password so far is the administrator `admin`; sessions go on."""
    # AUTOINCREMENT: nobody ever gets the id, and perhaps a late session, of a user who was removed.
    db.execute(
        "CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, role TEXT NOT NULL, "
        "hash TEXT, made_at REAL NOT NULL, signed_in_at REAL)"
    )
    hashed = next((row["hash"] for row in db.table("web_password").rows), None)
    admin = {"id": 1, "name": "admin", "role": "administrator", "hash": hashed, "made_at": time.time()}
    db.table("users").insert(admin)
    db.table("web_links").create({"user_id": int, "digest": str, "made_at": float}, pk="user_id")
    for row in list(db.table("web_link").rows):
        db.table("web_links").insert({"user_id": 1, "digest": row["digest"], "made_at": row["made_at"]})
    db.table("web_sessions").add_column("user_id", int, not_null_default=1)
    db.table("web_password").drop()
    db.table("web_link").drop()


def token_scopes(db: Database) -> None:
    """Tokens with a scope and an end. What could write could do everything."""
    db.execute('ALTER TABLE web_tokens RENAME COLUMN "right" TO scope')
    db.execute("UPDATE web_tokens SET scope = 'admin' WHERE scope = 'write'")
    db.table("web_tokens").add_column("expires_at", float)
    db.table("web_tokens").add_column("made_by", str, not_null_default="")


def audit_log(db: Database) -> None:
    """Who did what."""
    texts = dict.fromkeys(("kind", "who", "address", "action", "subject", "changes", "search"), str)
    db.table("audit").create({"id": int, "at": float, **texts}, pk="id")
    db.table("audit").create_index(["at"])


def two_factor(db: Database) -> None:
    """What users' devices make codes of, the last step of which a code was used, and recovery codes."""
    db.table("users").add_column("totp", str)
    db.table("users").add_column("totp_last", int, not_null_default=0)
    db.table("recovery_codes").create({"user_id": int, "digest": str}, pk=("user_id", "digest"))


def placed_calls(db: Database) -> None:
    """Calls that programs have asked for under a key, so that none is placed twice."""
    db.table("placed_calls").create({"key": str, "request": str, "call": str, "made_at": float}, pk="key")


def token_makers(db: Database) -> None:
    """Whose each token is: a name may be another user's later. 0: of somebody who was removed."""
    db.table("web_tokens").add_column("made_by_id", int)
    makers = "coalesce((SELECT id FROM users WHERE name = made_by), 0)"
    db.execute(f"UPDATE web_tokens SET made_by_id = {makers} WHERE made_by != ''")  # noqa: S608


def alerts(db: Database) -> None:
    """Settings of parts of the program; alerts, what was told of them to whom, and which are muted."""
    db.table("part_settings").create({"name": str, "settings": str}, pk="name")
    texts = dict.fromkeys(("id", "kind", "subject", "line", "sentence"), str)
    db.table("alerts").create({**texts, "since": float, "closed_at": float, "told": int}, pk="id")
    db.table("alerts").create_index(["since"])
    texts = dict.fromkeys(("webhook", "event_id", "type", "key", "body", "state", "answer", "error"), str)
    times = dict.fromkeys(("made_at", "since", "next_at", "last_at"), float)
    db.table("alert_deliveries").create({"id": int, **texts, **times, "attempts": int, "status": int}, pk="id")
    mutes = {"id": str, "kind": str, "subject": str, "until": float, "who": str, "made_at": float}
    db.table("alert_mutes").create(mutes, pk="id")
    db.table("alert_people").create({"destination": str, "person_id": int}, pk="destination")


def languages_learnt(db: Database) -> None:
    """When a language was last told: what is known so far, now."""
    db.table("languages").add_column("learnt_at", float, not_null_default=0.0)
    db.execute("UPDATE languages SET learnt_at = ?", [time.time()])


def oidc_identities(db: Database) -> None:
    """Whom the OpenID Connect provider knows by which subject, and by which way each browser has signed in."""
    db.table("oidc_identities").create({"issuer": str, "subject": str, "user_id": int}, pk=("issuer", "subject"))
    db.table("oidc_identities").create_index(["user_id"])
    db.table("web_sessions").add_column("way", str, not_null_default="password")


def passkeys(db: Database) -> None:
    """Passkeys and security keys, and how many each user has."""
    texts = dict.fromkeys(("name", "rp_id", "credential"), str)
    numbers = {"sign_count": int, "made_at": float, "used_at": float}
    db.table("passkeys").create({"id": int, "user_id": int, **texts, "public_key": bytes, **numbers}, pk="id")
    db.table("passkeys").create_index(["user_id"])
    db.table("passkeys").create_index(["credential"], unique=True)
    db.table("users").add_column("passkeys", int, not_null_default=0)


def shared_calls(db: Database) -> None:
    """Whose each call is, where machines share their histories, and how far this one has read and sent."""
    db.table("calls").add_column("machine", str, not_null_default="")
    db.table("calls").add_column("version", int, not_null_default=0)
    db.execute("ALTER TABLE calls ADD COLUMN change INTEGER DEFAULT 0")
    db.execute("CREATE INDEX calls_by_change ON calls (change, id) WHERE change IS NOT NULL")
    texts = dict.fromkeys(("name", "stream", "known_digest", "sent_call"), str)
    numbers = dict.fromkeys(("round", "received", "known", "sent_change"), int)
    db.table("cluster_streams").create({**texts, **numbers}, pk="name")


def shared_access(db: Database) -> None:
    """When a user was last signed out of all browsers, but one: other machines may have sessions of before."""
    db.table("users").add_column("signed_out_at", float, not_null_default=0.0)
    db.table("users").add_column("kept_session", str, not_null_default="")


def line_devices(db: Database) -> None:
    """Which lines this machine has signed in, or was to."""
    db.table("lines").add_column("had_device", int, not_null_default=0)


def shared_cards(db: Database) -> None:
    """How often a card has changed, and which machine has changed it: of two that know it, the later one counts."""
    db.table("cards").add_column("changes", int, not_null_default=0)
    db.table("cards").add_column("machine", str, not_null_default="")


MIGRATIONS: tuple[Migration, ...] = (
    limits_and_peers,
    keypads,
    cards,
    lines_and_installation,
    web_access,
    calls,
    languages,
    cards_at_work,
    keypads_being_sent,
    card_files,
    typed_events,
    ami_events,
    webhooks,
    users,
    token_scopes,
    audit_log,
    two_factor,
    placed_calls,
    token_makers,
    alerts,
    languages_learnt,
    oidc_identities,
    passkeys,
    shared_calls,
    shared_access,
    line_devices,
    shared_cards,
)
