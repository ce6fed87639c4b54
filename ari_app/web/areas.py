"""The areas of the page and of the API; a new one is named here."""

from ari_app.web.access.api import operations as access_operations
from ari_app.web.access.pages import routes as access_pages
from ari_app.web.calls.api import operations as call_operations
from ari_app.web.calls.pages import routes as call_pages
from ari_app.web.charts.api import operations as figure_operations
from ari_app.web.charts.pages import routes as chart_pages
from ari_app.web.connect.api import operations as connect_operations
from ari_app.web.connect.pages import routes as connect_pages
from ari_app.web.http.live import routes as live_pages
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
from ari_app.web.overview.api import operations as status_operations
from ari_app.web.overview.pages import routes as overview_pages
from ari_app.web.settings.api import operations as installation_operations
from ari_app.web.settings.pages import routes as settings_pages
from ari_app.web.webhooks.api import operations as webhook_operations
from ari_app.web.webhooks.pages import routes as webhook_pages

PAGES = (
    connect_pages,
    chart_pages,
    call_pages,
    access_pages,
    lines_pages,
    line_settings_pages,
    card_file_pages,
    line_setup_pages,
    line_texts_pages,
    signin_pages,
    live_pages,
    overview_pages,
    settings_pages,
    webhook_pages,
)

OPERATIONS = (
    *figure_operations,
    *connect_operations,
    *call_operations,
    *status_operations,
    *access_operations,
    *installation_operations,
    *lines_operations,
    *card_file_operations,
    *signin_operations,
    *webhook_operations,
    *monitoring_operations,
)
