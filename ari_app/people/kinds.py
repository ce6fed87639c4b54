"""What is kept that has to do with people: which data, what for, where, for how long, and what erasing does to it.

The page and docs/people.md say so, and a test holds it to the tables that there are: a column that is not named here
fails it. In the terms of the GDPR (Art. 5, 13, 17, 30): categories of personal data, purposes of the processing,
storage period, erasure.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from ari_app.i18n import Message, message


@dataclass(frozen=True)
class Table:
    """A table of the database, or of a session file, and each of its columns by name.

    ``personal``: those that say who somebody is, or something about them. ``other``: all the rest.
    """

    name: str
    personal: str = ""
    other: str = ""

    @property
    def columns(self) -> frozenset[str]:
        """All of them."""
        return frozenset(f"{self.personal} {self.other}".split())


@dataclass(frozen=True)
class DataKind:
    """One kind of data. ``setting``: which of the installation's settings has its period in days."""

    name: str
    title: Message
    data: Message
    purpose: Message
    place: Message
    period: Message
    erasure: Message
    setting: str = ""
    tables: tuple[Table, ...] = ()


DATABASE, SESSIONS = message("Database"), message("Session files of the accounts (lines/*.session)")
ERASED = message("Erased.")

KINDS = (
    DataKind(
        "calls",
        message("Calls"),
        message(
            "Telegram ID, name, phone number and username of the person; whom they talked to in the PBX, when, for how "
            "long, and how it ended."
        ),
        message("To show who called whom, to find faults, and to count calls."),
        DATABASE,
        message("Since the call began"),
        message("The call stays without the person, so that counts and durations stay right."),
        "history_days",
        (
            Table(
                "calls",
                "peer pbx_party person_id name phone username reason search",
                "id began_at ended_at direction line status cause answered refused to_answer_s talked_s machine "
                "version change",
            ),
        ),
    ),
    DataKind(
        "details",
        message("Details of calls"),
        message(
            "The call flow, with what was dialled and who it was; set-up times and measurements of the audio. Never "
            "the audio itself, nor which keys were pressed."
        ),
        message("To find out why a call went wrong."),
        DATABASE,
        message("Since the call began; 0: as long as the call"),
        message("The call flow is erased; times and measurements stay."),
        "details_days",
        (Table("call_details", "events", "id milestones samples"),),
    ),
    DataKind(
        "cards",
        message("Business cards"),
        message("Who was sent one, when, and with which text."),
        message("To know who may press its button, and to send nobody a second one too soon."),
        DATABASE,
        message("Since it was sent"),
        message("Erased; its button does not work any more."),
        "cards_days",
        (Table("cards", "person_id person text", "id line button secret sent_at tells_in changes machine"),),
    ),
    DataKind(
        "languages",
        message("Languages"),
        message("The language of a person's Telegram."),
        message("To write to them in their language."),
        DATABASE,
        message("Since Telegram last told it"),
        ERASED,
        "languages_days",
        (Table("languages", "person_id language", "learnt_at"),),
    ),
    DataKind(
        "lookups",
        message("Whom Telegram has found"),
        message("A phone number or username as it was dialled, and whose Telegram account it is."),
        message("To call them again without asking Telegram, which limits such questions."),
        DATABASE,
        message("As it is set for each line: a day at first, an hour where nobody was found"),
        ERASED,
        tables=(Table("resolved", "destination answer", "line until"),),
    ),
    DataKind(
        "contacts",
        message("People whom the accounts have met"),
        message("Telegram ID, name, phone number, username, and when the account last saw them."),
        message("An account can call and write only to people whom it has met."),
        SESSIONS,
        message("Since the account last saw them"),
        message("Erased; their Telegram ID can't be called until the account meets them again."),
        "contacts_days",
    ),
    DataKind(
        "keypads",
        message("Keypads"),
        message("In whose chat a keypad is shown."),
        message("To remove it when the call is over, also after a restart."),
        DATABASE,
        message("Until the keypad is removed"),
        ERASED,
        tables=(
            Table("keypads_sending", "person_id", "line random_id call sent_at"),
            Table("keypads", other="line message_id"),
        ),
    ),
    DataKind(
        "deliveries",
        message("Deliveries of webhooks"),
        message("Events of calls, cards and messages with the person's Telegram ID, name, phone number and username."),
        message("To tell programs of yours, again until they take it, and to look at what was sent."),
        DATABASE,
        message("Since the event; of each webhook the last 1000 at most"),
        message("Erased; what still waits is not sent."),
        "deliveries_days",
        (
            Table(
                "webhook_deliveries",
                "body answer",
                "id webhook event_id type key state error made_at since next_at last_at attempts status",
            ),
        ),
    ),
    DataKind(
        "events",
        message("Events for AMI"),
        message("The same events, as long as AMI has not taken them."),
        message("To tell programs of the PBX, also what has happened while AMI was away."),
        DATABASE,
        message("Since the event, if AMI takes none"),
        message("Erased; AMI is told how many are lost."),
        "events_days",
        (Table("ami_events", "headers", "id name"),),
    ),
    DataKind(
        "alerts",
        message("Alerts"),
        message(
            "Who is told of alerts: phone number, username or Telegram ID, mail address; what each was told, and who "
            "has muted what."
        ),
        message("To tell those who look after the installation what needs them."),
        DATABASE,
        message("Since the message; the last 1000 at most. Whom to tell: until an administrator removes it"),
        message("Messages are erased. Whoever is to be told stays until they are removed under Alerts."),
        "alerts_days",
        (
            Table(
                "alert_deliveries",
                "key body answer",
                "id webhook event_id type state error made_at since next_at last_at attempts status",
            ),
            Table("alert_people", "destination person_id"),
            Table("alert_mutes", "who", "id kind subject until made_at"),
            Table("alerts", other="id kind subject line sentence since closed_at told"),
            Table("part_settings", "settings", "name"),
        ),
    ),
    DataKind(
        "keys",
        message("Idempotency keys"),
        message("The key of a call that a program has asked for, and a hash of whom it was to call."),
        message("To place no call twice."),
        DATABASE,
        message("7 days since the call"),
        ERASED,
        tables=(Table("placed_calls", "key request", "call made_at"),),
    ),
    DataKind(
        "live",
        message("Live calls"),
        message("All that is known of calls that go on."),
        message("So that people talk on when Astergram is started again."),
        message("Journal of calls (calls.journal)"),
        message("Until the call is over"),
        message("Nobody is erased while a call with them goes on."),
    ),
    DataKind(
        "lists",
        message("Lists and settings of the lines"),
        message("Who may always or never call or be called, phones of the PBX, the contact of the business card."),
        message("To let people call, or keep them from it; to choose a line."),
        DATABASE,
        message("Until an administrator removes it"),
        message("Stays: an entry may be what keeps somebody from being called. It is found; remove it by hand."),
        tables=(
            Table("lines", "settings", "number had_device"),
            Table("card_files", "name content", "line kind type put_at"),
        ),
    ),
    DataKind(
        "audit",
        message("Audit log"),
        message("Which user did what, when and from which address; whom they called or wrote to."),
        message("To know who has changed or seen something."),
        DATABASE,
        message("Since it was done"),
        message("The entry stays, without the person."),
        "audit_days",
        (Table("audit", "who address subject changes search", "id at kind action"),),
    ),
    DataKind(
        "users",
        message("Users of this page"),
        message(
            "User name, role, hash of the password, key of the authenticator app, names and public keys of passkeys, "
            "subject at the single sign-on, last sign-in; address and browser of each session; the name of each API "
            "token, and who made it."
        ),
        message("To let in whoever may use the page."),
        DATABASE,
        message("Until the user is removed, the session ends, or the token is revoked"),
        message("Not here: remove the user under Users."),
        tables=(
            Table(
                "users", "name role hash totp signed_in_at", "id made_at totp_last passkeys signed_out_at kept_session"
            ),
            Table("passkeys", "user_id name used_at", "id rp_id credential public_key sign_count made_at"),
            Table("recovery_codes", "user_id", "digest"),
            Table("web_links", "user_id", "digest made_at"),
            Table("oidc_identities", "issuer subject user_id"),
            Table("web_sessions", "user_id address agent started_at seen_at", "digest way"),
            Table("web_tokens", "name made_by made_by_id", "id digest scope made_at used_at expires_at"),
        ),
    ),
)

NOBODY = (
    Table("pauses", other="line request until reason"),
    Table("outgoing", other="line at"),
    Table("installation", other="name value"),
    Table("cluster_streams", other="name stream round received known known_digest sent_change sent_call"),
    Table("webhooks", other="id url events secret enabled message_text made_at"),
    Table("sqlite_sequence", other="name seq"),
)
"""Tables that hold nothing about anybody."""

SESSION_FILE = (
    Table("entities", "id username phone name date", "hash"),
    Table("sessions", other="dc_id server_address port auth_key takeout_id tmp_auth_key"),
    Table("sent_files", other="md5_digest file_size type id hash"),
    Table("update_state", other="id pts qts date seq"),
    Table("version", other="version"),
)
"""Telethon's, in each account's session file: contacts are in its first."""


@dataclass(frozen=True)
class Elsewhere:
    """What Astergram neither finds nor erases."""

    title: Message
    data: Message


ELSEWHERE = (
    Elsewhere(
        message("Backups"),
        message(
            "A backup has what was there when it was made, also what was erased since. Delete old ones; after a "
            "restore, erase again. What was there before a restore stays in before-restore in the state directory, and "
            "a backup that was not put in place in restore-staged: delete them."
        ),
    ),
    Elsewhere(
        message("Asterisk"),
        message(
            "Its CDR and CEL, its own logs, recordings and voicemail have names and numbers. The column of CDR with "
            "the call's ID leads to the rows of a call."
        ),
    ),
    Elsewhere(
        message("Telegram"),
        message(
            "The chats of the lines' accounts, with texts and cards, and their lists of calls: delete them there. What "
            "Telegram itself keeps is its own processing."
        ),
    ),
    Elsewhere(
        message("Log"),
        message(
            "Numbers, usernames and Telegram IDs of calls, unless they are masked (mask in [log]). How long it is kept "
            "is set where it is collected: journald, logrotate."
        ),
    ),
    Elsewhere(
        message("Programs that are told"),
        message("Receivers of webhooks, programs at AMI, collectors of traces, files that were exported."),
    ),
    Elsewhere(
        message("NATS, where several machines have the same lines"),
        message(
            "It has the calls of all machines. Erasing takes the person out of them there, too; who it was stands in "
            "an order to the other machines for 30 days. What its disk keeps for longer, and copies of its data, are "
            "not reached."
        ),
    ),
    Elsewhere(
        message("A web server in front of this page"),
        message("Its log has the addresses of pages, and with them what was searched for."),
    ),
)


def tables() -> Iterator[Table]:
    """Every table of the database."""
    for kind in KINDS:
        yield from kind.tables
    yield from NOBODY
