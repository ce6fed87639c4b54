"""What can be set for a line, as forms."""

from ari_app.described import described
from ari_app.i18n import message
from ari_app.lines.settings import CardSettings, LineSettings
from ari_app.web.http.setting_forms import Form, group

LANGUAGES = {"en": "English", "ru": "Русский"}
ABOUT = {each.key: each for each in described(LineSettings)} | {
    f"card.{each.key}": each for each in described(CardSettings)
}


SETTINGS: Form = (
    group(message("The line"), ABOUT, "name", "company", "language", language=LANGUAGES),
    group(message("Calls"), ABOUT, "context", "max_calls", "callers", "default", "bare_number_prefix", "account_code"),
    group(message("An application of its own"), ABOUT, "api_id", "api_hash"),
)
CARD: Form = (
    group(
        message("When the card is sent"),
        ABOUT,
        "card.no_answer",
        "card.declined",
        "card.busy",
        "card.cancelled",
        "card.cancelled_after_s",
        "card.missed",
        "card.card_every_s",
    ),
    group(message("The button “call me back”"), ABOUT, "card.callback"),
    group(
        message("What comes with it"), ABOUT, "card.contact_phone", "card.contact_first_name", "card.contact_last_name"
    ),
)
LISTS: Form = (group(message("Who may call the line, and whom it may call"), ABOUT, "deny", "allow", "only_contacts"),)
LIMITS: Form = (
    group(message("Outgoing calls"), ABOUT, "calls_per_minute", "calls_per_day"),
    group(message("When Telegram limits the account"), ABOUT, "flood_margin_s", "peer_flood_s"),
    group(message("Who is on Telegram"), ABOUT, "lookups_per_minute", "resolve_cache_s", "not_found_cache_s"),
)
