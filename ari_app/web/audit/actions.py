"""What the audit log calls the things that are done, and by which route each is done."""

from collections.abc import Mapping

from ari_app.i18n import Message, message

SIGNED_IN, SIGN_IN_FAILED = "sign-in", "sign-in failed"
USER_ADDED, ROLE_CHANGED = "user added", "role changed"
TEXT_SENT, CALL_PLACED, CALL_ENDED = "text sent", "call placed", "call ended"

ACTIONS: Mapping[str, Message] = {
    SIGNED_IN: message("Signed in"),
    SIGN_IN_FAILED: message("Sign-in failed"),
    "sign-out": message("Signed out"),
    "sessions ended": message("Other browsers signed out"),
    "password changed": message("Password changed"),
    "password set by link": message("Password set by a link"),
    "password link made": message("Link for a password made"),
    USER_ADDED: message("User added"),
    ROLE_CHANGED: message("Role changed"),
    "user removed": message("User removed"),
    "two-factor on": message("Two-factor authentication turned on"),
    "two-factor off": message("Two-factor authentication turned off"),
    "recovery codes made": message("Recovery codes made"),
    "passkey added": message("Passkey added"),
    "passkey removed": message("Passkey removed"),
    "sign-in provider tested": message("Sign-in provider tested"),
    "token made": message("API token made"),
    "token revoked": message("API token revoked"),
    "settings changed": message("Settings changed"),
    "webhook added": message("Webhook added"),
    "webhook changed": message("Webhook changed"),
    "webhook removed": message("Webhook removed"),
    "webhook secret renewed": message("Secret of a webhook renewed"),
    "webhook tested": message("Webhook tested"),
    "event sent again": message("Event sent again"),
    "alerts changed": message("Settings of alerts changed"),
    "alerts tested": message("Alerts tested"),
    "alerts muted": message("Alerts muted"),
    "alerts unmuted": message("Alerts unmuted"),
    "line added": message("Line added"),
    "line changed": message("Line changed"),
    "line removed": message("Line removed"),
    "line reset": message("Line reset"),
    "line logged out": message("Line logged out"),
    "line sign-in": message("Sign-in of a line"),
    "account set up": message("Account set up"),
    "card file changed": message("File of a card changed"),
    CALL_PLACED: message("Call placed"),
    CALL_ENDED: message("Call ended by hand"),
    TEXT_SENT: message("Text sent"),
    "card sent": message("Card sent"),
    "line moved": message("Line moved to another machine"),
    "machine forgotten": message("Machine forgotten"),
    "drain begun": message("New calls stopped"),
    "drain cancelled": message("New calls taken again"),
    "diagnostics": message("Diagnostics run"),
    "calls exported": message("Calls exported"),
    "audit log exported": message("Audit log exported"),
    "person exported": message("Data of a person exported"),
    "person erased": message("Data of a person erased"),
    "backup made": message("Backup made"),
    "backup restored": message("Backup restored"),
    "backup downloaded": message("Backup downloaded"),
    "backup removed": message("Backup removed"),
    "restore prepared": message("Restore prepared for the next start"),
    "restore cancelled": message("Prepared restore cancelled"),
    "backups changed": message("Settings of backups changed"),
}
"""By the name that is kept."""

_LINE, _API_LINE = "/lines/{number}", "/api/lines/{number}"
_ROUTES: Mapping[str, tuple[str, ...]] = {
    "sign-out": ("POST /logout",),
    "sessions ended": ("POST /account/sessions/others",),
    "password changed": ("POST /account/password", "POST /api/access/password", "PUT /api/users/{name}/password"),
    "password set by link": ("POST /password",),
    "password link made": ("POST /users/{name}/link", "POST /api/users/{name}/link", "POST /api/access/link"),
    USER_ADDED: ("POST /users", "POST /api/users"),
    ROLE_CHANGED: ("POST /users/{name}/role", "PATCH /api/users/{name}"),
    "user removed": ("POST /users/{name}/remove", "DELETE /api/users/{name}"),
    "two-factor on": ("POST /account/two-factor",),
    "two-factor off": (
        "POST /account/two-factor/off",
        "POST /users/{name}/two-factor/off",
        "DELETE /api/users/{name}/two-factor",
    ),
    "passkey added": ("POST /account/passkeys",),
    "passkey removed": ("POST /account/passkeys/{id}/remove",),
    "recovery codes made": ("POST /account/two-factor/codes",),
    "sign-in provider tested": ("POST /users/oidc/test", "POST /api/access/oidc/test"),
    "token made": ("POST /settings/tokens", "POST /api/access/tokens"),
    "token revoked": ("POST /settings/tokens/{id}/revoke", "DELETE /api/access/tokens/{id}"),
    "settings changed": (
        "POST /settings/installation",
        "PATCH /api/installation",
        "POST /lines/add/application",
        "POST /people/periods",
    ),
    "webhook added": ("POST /settings/webhooks", "POST /api/webhooks"),
    "webhook changed": ("POST /settings/webhooks/{id}", "PATCH /api/webhooks/{id}"),
    "webhook removed": ("POST /settings/webhooks/{id}/remove", "DELETE /api/webhooks/{id}"),
    "webhook secret renewed": ("POST /settings/webhooks/{id}/secret", "POST /api/webhooks/{id}/secret"),
    "webhook tested": ("POST /settings/webhooks/{id}/test", "POST /api/webhooks/{id}/test"),
    "event sent again": (
        "POST /settings/webhooks/{id}/deliveries/{delivery}/send",
        "POST /api/webhooks/{id}/deliveries/{delivery}/send",
    ),
    "alerts changed": ("POST /settings/alerts", "PATCH /api/alerts/settings"),
    "alerts tested": ("POST /settings/alerts/test", "POST /api/alerts/test"),
    "alerts muted": ("POST /alerts/mute", "POST /api/alerts/mutes"),
    "alerts unmuted": ("POST /alerts/mutes/{id}/end", "DELETE /api/alerts/mutes/{id}"),
    "line added": ("POST /lines/add", "POST /api/lines"),
    "line changed": (
        f"POST {_LINE}/{{tab}}",
        f"POST {_LINE}/texts/{{language}}",
        f"PATCH {_API_LINE}/settings",
    ),
    "line removed": (f"POST {_LINE}/remove", f"DELETE {_API_LINE}"),
    "line reset": (f"POST {_LINE}/reset", f"POST {_API_LINE}/reset"),
    "line logged out": (f"POST {_LINE}/logout", f"POST {_API_LINE}/logout"),
    "line sign-in": (
        f"POST {_LINE}/signin/{{way}}",
        f"POST {_LINE}/signin/enter",
        f"POST {_LINE}/signin/password",
        f"POST {_LINE}/signin/resend",
        f"POST {_LINE}/signin/cancel",
        f"POST {_API_LINE}/sign-in",
        f"POST {_API_LINE}/sign-in/code",
        f"POST {_API_LINE}/sign-in/password",
        f"POST {_API_LINE}/sign-in/resend",
        f"DELETE {_API_LINE}/sign-in",
    ),
    "account set up": (f"POST {_LINE}/setup", f"POST {_API_LINE}/setup"),
    "card file changed": (
        f"POST {_LINE}/card/{{kind}}",
        f"POST {_LINE}/card/{{kind}}/remove",
        f"PUT {_API_LINE}/card/{{kind}}",
        f"DELETE {_API_LINE}/card/{{kind}}",
    ),
    "line moved": ("POST /cluster/move", "POST /api/cluster/move"),
    "machine forgotten": ("POST /cluster/forget", "POST /api/cluster/forget"),
    CALL_PLACED: (f"POST {_LINE}/try", f"POST {_API_LINE}/test-call", "POST /calls", "POST /api/calls"),
    CALL_ENDED: (
        "POST /calls/{id}/hangup",
        "POST /api/calls/{id}/hangup",
        "POST /cluster/hangup",
        "POST /api/cluster/hangup",
    ),
    "drain begun": ("POST /drain", "PUT /api/drain"),
    "drain cancelled": ("POST /drain/cancel", "DELETE /api/drain"),
    "diagnostics": ("POST /connect/{flavour}/examine", "POST /api/doctor"),
    "backup made": ("POST /settings/backups/make", "POST /api/backups"),
    "backup removed": ("POST /settings/backups/{name}/remove", "DELETE /api/backups/files/{name}"),
    "restore prepared": ("POST /settings/backups/{name}/restore", "POST /api/backups/files/{name}/restore"),
    "restore cancelled": ("POST /settings/backups/restore/cancel", "DELETE /api/backups/restore"),
    "backups changed": ("POST /settings/backups", "PATCH /api/backups/settings"),
    # What reads, and is kept all the same: the data leaves the house.
    "backup downloaded": ("GET /settings/backups/{name}/file", "GET /api/backups/files/{name}"),
    "calls exported": ("GET /calls.csv", "GET /api/calls.csv"),
    "audit log exported": ("GET /audit.csv", "GET /api/audit.csv"),
    "person exported": ("GET /people/{person}/export", "GET /api/people/{person}/export"),
    "person erased": ("POST /people/{person}/erase", "POST /api/people/{person}/erase"),
}
NOT_RECORDED = frozenset(
    {
        ("POST", "/login/code"),
        ("POST", "/login"),  # it says so itself, with who it was
        ("POST", "/choices"),
        ("POST", f"{_LINE}/texts/{{language}}/preview/{{name}}"),
        ("POST", f"{_API_LINE}/texts/preview"),
    }
)
RECORDED: Mapping[tuple[str, str], str] = {
    (method, path): action for action, routes in _ROUTES.items() for method, path in map(str.split, routes)
}


def action_of(method: str, path: str) -> str:
    """What a route does, for the audit log; empty for what is not recorded. One without words is told as it is."""
    if (method, path) in NOT_RECORDED:
        return ""
    return RECORDED.get((method, path), "" if method in ("GET", "HEAD", "OPTIONS") else f"{method} {path}")
