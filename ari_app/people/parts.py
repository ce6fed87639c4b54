"""Puts together what finds, erases and in time removes data about people."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from ari_app.lines.manager import LineManager
from ari_app.people.beside import ContactPlace, ListPlace
from ari_app.people.calls import AuditPlace, CallPlace
from ari_app.people.memory import Memory
from ari_app.people.people import People, Tell
from ari_app.people.places import CardPlace, KeypadPlace, KeyPlace, LanguagePlace, LookupPlace
from ari_app.people.retention import RetentionRule, all_of
from ari_app.people.told import AlertPersonPlace, AlertPlace, DeliveryPlace, EventPlace
from ari_app.reports.audit import AuditLog
from ari_app.reports.history import History
from ari_app.store.access import AccessRepository
from ari_app.store.peers import prune_resolved
from ari_app.store.placed_calls import PlacedCallRepository
from ari_app.store.store import Store


def people(
    store: Store,
    sessions: Path,
    lines: LineManager,
    memory: Memory,
    clock: Callable[[], float] = time.time,
    tell: Tell | None = None,
) -> People:
    """People in all places; ``sessions`` is the folder of the session files. ``clock`` and ``tell`` as in `People`."""
    places = (
        KeyPlace(store),  # before the calls: they say whose keys they are
        CallPlace(store),
        CardPlace(store),
        LanguagePlace(store),
        LookupPlace(store),
        ContactPlace(sessions),
        KeypadPlace(store),
        DeliveryPlace(store),
        EventPlace(store, memory.ami.spool if memory.ami else None),
        AlertPlace(store),
        AlertPersonPlace(store),
        AuditPlace(store),
        ListPlace(lines.all_settings, lambda: memory.alerts.part.settings.telegram_to),
    )
    return People(store, places, memory.forget, memory.registry.calls.values, clock, tell)


def rules(
    store: Store,
    sessions: Path,
    history: History,
    audit: AuditLog,
    memory: Memory,
    browsers_s: tuple[float, float],
) -> tuple[RetentionRule, ...]:
    """What is removed in time. ``browsers_s``: how long a browser stays signed in, and one that is not used."""
    keys, access = PlacedCallRepository(store), AccessRepository(store, store)
    longest_s, idle_s = browsers_s
    made = [
        RetentionRule("calls", lambda before: all_of(lambda: history.prune(before)), "history_days"),
        RetentionRule("details", history.prune_details, "details_days"),
        RetentionRule("cards", lambda before: all_of(lambda: memory.cards.prune(before)), "cards_days"),
        RetentionRule("languages", lambda before: all_of(lambda: memory.languages.prune(before)), "languages_days"),
        RetentionRule("contacts", ContactPlace(sessions).prune, "contacts_days"),
        RetentionRule("deliveries", lambda before: all_of(lambda: memory.webhooks.prune(before)), "deliveries_days"),
        RetentionRule("alerts", lambda before: all_of(lambda: memory.alerts.prune(before)), "alerts_days"),
        RetentionRule("audit", lambda before: all_of(lambda: audit.prune(before)), "audit_days"),
        RetentionRule("lookups", lambda now: all_of(lambda: prune_resolved(store, now))),
        RetentionRule("users", lambda now: all_of(lambda: access.prune_sessions(now - longest_s, now - idle_s))),
        RetentionRule("keys", lambda now: all_of(lambda: keys.prune(now))),
    ]
    if ami := memory.ami:
        made.append(RetentionRule("events", ami.prune, "events_days"))
    return tuple(made)
