"""The areas of the page and of the API, and who may what; a new one is named here."""

from ari_app.web.access.account import routes as account_pages
from ari_app.web.access.api import operations as access_operations
from ari_app.web.access.pages import routes as access_pages
from ari_app.web.access.passkey_pages import routes as passkey_pages
from ari_app.web.access.two_factor_pages import routes as two_factor_pages
from ari_app.web.access.users_api import operations as user_operations
from ari_app.web.access.users_pages import routes as user_pages
from ari_app.web.alerts.api import operations as alert_operations
from ari_app.web.alerts.pages import routes as alert_pages
from ari_app.web.audit.api import operations as audit_operations
from ari_app.web.audit.pages import routes as audit_pages
from ari_app.web.backups.api import operations as backup_operations
from ari_app.web.backups.pages import routes as backup_pages
from ari_app.web.calls.api import operations as call_operations
from ari_app.web.calls.pages import routes as call_pages
from ari_app.web.charts.api import operations as figure_operations
from ari_app.web.charts.pages import routes as chart_pages
from ari_app.web.cluster.api import operations as cluster_operations
from ari_app.web.cluster.pages import routes as cluster_pages
from ari_app.web.connect.api import operations as connect_operations
from ari_app.web.connect.pages import routes as connect_pages
from ari_app.web.http.live import routes as live_pages
from ari_app.web.http.roles import ANYBODY, Need, Role, RouteRoles
from ari_app.web.lines.api import operations as lines_operations
from ari_app.web.lines.card_files import routes as card_file_pages
from ari_app.web.lines.card_files_api import operations as card_file_operations
from ari_app.web.lines.pages import routes as lines_pages
from ari_app.web.lines.settings import routes as line_settings_pages
from ari_app.web.lines.setup import routes as line_setup_pages
from ari_app.web.lines.signin import routes as signin_pages
from ari_app.web.lines.signin_api import operations as signin_operations
from ari_app.web.lines.texts import routes as line_texts_pages
from ari_app.web.monitoring.api import operations as monitoring_operations
from ari_app.web.oidc.api import operations as oidc_operations
from ari_app.web.oidc.pages import routes as oidc_pages
from ari_app.web.overview.api import operations as status_operations
from ari_app.web.overview.pages import routes as overview_pages
from ari_app.web.people.api import operations as people_operations
from ari_app.web.people.pages import routes as people_pages
from ari_app.web.settings.api import operations as installation_operations
from ari_app.web.settings.pages import routes as settings_pages
from ari_app.web.webhooks.api import operations as webhook_operations
from ari_app.web.webhooks.pages import routes as webhook_pages

PAGES = (
    connect_pages,
    chart_pages,
    call_pages,
    access_pages,
    account_pages,
    two_factor_pages,
    passkey_pages,
    oidc_pages,
    user_pages,
    audit_pages,
    lines_pages,
    line_settings_pages,
    card_file_pages,
    line_setup_pages,
    line_texts_pages,
    signin_pages,
    live_pages,
    overview_pages,
    cluster_pages,
    people_pages,
    settings_pages,
    webhook_pages,
    alert_pages,
    backup_pages,
)

OPERATIONS = (
    *figure_operations,
    *connect_operations,
    *call_operations,
    *status_operations,
    *access_operations,
    *user_operations,
    *oidc_operations,
    *audit_operations,
    *people_operations,
    *installation_operations,
    *lines_operations,
    *card_file_operations,
    *signin_operations,
    *webhook_operations,
    *alert_operations,
    *backup_operations,
    *monitoring_operations,
    *cluster_operations,
)

_LINE, _API_LINE = "/lines/{number}", "/api/lines/{number}"
_NEEDS: dict[Need, tuple[str, ...]] = {
    ANYBODY: (
        "GET /static",
        "GET /login",
        "POST /login",
        "POST /login/code",
        "GET /login/oidc",
        "GET /login/oidc/callback",
        "GET /login/oidc/logout",
        "GET /password",
        "POST /password",
        "POST /choices",
        "GET /alive",
        "GET /health",
        "GET /ready",
    ),
    Role.VIEWER: (
        # Of one's own.
        "POST /logout",
        "POST /account/password",
        "POST /account/two-factor",
        "POST /account/two-factor/codes",
        "POST /account/two-factor/off",
        "POST /account/passkeys",
        "POST /account/passkeys/{id}/remove",
        "POST /account/sessions/others",
        "POST /api/access/password",
        # What changes nothing.
        f"POST {_LINE}/texts/{{language}}/preview/{{name}}",
        f"POST {_API_LINE}/texts/preview",
    ),
    Role.OPERATOR: (
        "POST /calls",
        "POST /api/calls",
        "POST /calls/{id}/hangup",
        "POST /cluster/hangup",
        "POST /api/cluster/hangup",
        "POST /api/calls/{id}/hangup",
        f"GET {_LINE}/try",
        f"GET {_LINE}/try/call",
        f"POST {_LINE}/try",
        f"POST {_API_LINE}/test-call",
        "POST /alerts/mute",
        "POST /alerts/mutes/{id}/end",
        "POST /api/alerts/mutes",
        "DELETE /api/alerts/mutes/{id}",
        "POST /connect/{flavour}/examine",
        "POST /api/doctor",
    ),
    Role.ADMINISTRATOR: (
        "GET /settings",
        "GET /api/installation",
        "GET /api/access/tokens",
        "GET /api/access/oidc",
        "GET /users",
        # Their addresses may hold secrets.
        "GET /settings/webhooks",
        "GET /settings/webhooks/list",
        "GET /settings/webhooks/{id}",
        "GET /settings/webhooks/{id}/deliveries",
        "GET /api/webhooks",
        "GET /api/webhooks/{id}",
        "GET /api/webhooks/{id}/deliveries",
        "GET /settings/backups",
        "GET /settings/backups/list",
        "GET /settings/backups/{name}/file",
        "GET /api/backups",
        "GET /api/backups/settings",
        "GET /api/backups/files/{name}",
        # Whom they tell.
        "GET /settings/alerts",
        "GET /settings/alerts/deliveries",
        "GET /api/alerts/settings",
        "GET /api/alerts/deliveries",
        "GET /api/users",
        "GET /audit",
        "GET /audit.csv",
        "GET /api/audit",
        "GET /api/audit.csv",
        # They gather what only administrators see in its own place.
        "GET /people",
        "GET /people/{person}",
        "GET /people/{person}/export",
        "GET /api/personal-data",
        "GET /api/people",
        "GET /api/people/{person}",
        "GET /api/people/{person}/export",
        "GET /lines/add",
        f"GET {_LINE}/{{tab}}",
        f"GET {_API_LINE}/settings",
        f"GET {_LINE}/texts",
        f"GET {_LINE}/texts/{{language}}",
        f"GET {_LINE}/setup",
        f"GET {_LINE}/setup/steps",
        f"GET {_API_LINE}/setup",
        # What signs a line in: a QR code is a key.
        f"GET {_LINE}/signin",
        f"GET {_LINE}/signin/view",
        f"GET {_API_LINE}/sign-in",
    ),
}
ROLES = RouteRoles(
    {(method, path): need for need, routes in _NEEDS.items() for method, path in map(str.split, routes)},
    people_only=frozenset(
        {
            ("POST", "/api/access/password"),
            ("POST", "/api/access/tokens"),
            ("POST", "/api/users"),
            ("GET", "/api/backups/files/{name}"),
            ("POST", "/api/backups/files/{name}/restore"),
            ("PATCH", "/api/users/{name}"),
            ("PUT", "/api/users/{name}/password"),
            ("POST", "/api/users/{name}/link"),
            ("DELETE", "/api/users/{name}/two-factor"),
        }
    ),
)
"""All else needs a viewer where it reads, an administrator where it changes something."""
