"""A list of lines: searched, by state, page by page. The overview and the page of all lines have one each."""

from collections import Counter
from typing import Any

from aiohttp import web

from ari_app.web.http.rows import rows
from ari_app.web.lines.filter import STATES, LineFilter
from ari_app.web.lines.line import all_shown
from ari_app.web.ui.render import render

OVERVIEW = "/"
FEW = 10
"""Lines that the overview shows at once; so many need no search."""
ON_A_PAGE = 50


def line_list(request: web.Request, where: str, part: str) -> dict[str, Any]:
    """For `lines/found.html`. ``where``: the page that has it; ``part``: the address of the list alone.

    The overview begins with the lines that ask for somebody.
    """
    overview = where == OVERVIEW
    many = FEW if overview else ON_A_PAGE
    chosen = LineFilter.of(request.query)
    everything = list(all_shown(request))
    found = [line for line in everything if chosen.finds(line.number, line.name)]
    states = Counter(line.state for line in found)
    if chosen.state:
        found = [line for line in found if line.state == chosen.state]
    if overview:
        found.sort(key=lambda line: STATES.index(line.state))
    first = (chosen.page - 1) * many
    return {
        "chosen": chosen,
        "where": where,
        "part": part,
        "no_lines": not everything,
        "searched": len(everything) > FEW,
        "states": [(state, states[state]) for state in STATES],
        "total": len(found),
        "pages": -(-len(found) // many),
        "found": rows(request, found[first : first + many], lambda line: line.face),
    }


def part_of(request: web.Request, where: str, part: str) -> web.StreamResponse:
    """The list alone; with `live` it is only to be shown anew."""
    values = line_list(request, where, part)
    if "live" in request.query:
        return render(request, "lines/rows.html", **values)
    page = render(request, "lines/found.html", **values)
    page.headers["HX-Push-Url"] = values["chosen"].address(where)
    return page
