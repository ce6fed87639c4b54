"""The areas of the page and of the API; a new one is named here."""

from ari_app.web.api.access import operations as access_operations
from ari_app.web.api.calls import operations as call_operations
from ari_app.web.api.card_files import operations as card_file_operations
from ari_app.web.api.connect import operations as connect_operations
from ari_app.web.api.figures import operations as figure_operations
from ari_app.web.api.installation import operations as installation_operations
from ari_app.web.api.lines import operations as lines_operations
from ari_app.web.api.signin import operations as signin_operations
from ari_app.web.api.status import operations as status_operations
from ari_app.web.pages.access import routes as access_pages
from ari_app.web.pages.calls import routes as call_pages
from ari_app.web.pages.card_files import routes as card_file_pages
from ari_app.web.pages.charts import routes as chart_pages
from ari_app.web.pages.connect import routes as connect_pages
from ari_app.web.pages.line_settings import routes as line_settings_pages
from ari_app.web.pages.line_setup import routes as line_setup_pages
from ari_app.web.pages.line_texts import routes as line_texts_pages
from ari_app.web.pages.lines import routes as lines_pages
from ari_app.web.pages.live import routes as live_pages
from ari_app.web.pages.overview import routes as overview_pages
from ari_app.web.pages.settings import routes as settings_pages
from ari_app.web.pages.signin import routes as signin_pages

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
)
