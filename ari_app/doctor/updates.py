"""Whether there is a newer Astergram, where that is to be asked."""

from ari_app import __version__
from ari_app.doctor.findings import Finding, Topic, advice, ok
from ari_app.doctor.surroundings import Surroundings
from ari_app.i18n import message
from ari_app.updates import UpdateUnknown, is_newer, newest

ASK_S = 15.0
"""Shorter than a check may take."""


async def newer(here: Surroundings) -> list[Finding]:
    """Ask the place that Astergram was installed from; nothing where that is not set."""
    if here.update_source == "off":
        return []
    index = here.update_index.get_secret_value() if here.update_index else ""
    try:
        found = await newest(here.update_source, index, ASK_S)
    except UpdateUnknown as error:
        said = message("Whether there is a newer Astergram could not be found out: {reason}.", reason=str(error))
        return [advice(Topic.MACHINE, said)]
    if is_newer(found):
        said = message("Astergram {newer} can be installed; {version} runs.", newer=found, version=__version__)
        return [advice(Topic.MACHINE, said, message("docs/upgrade.md says how to upgrade."))]
    return [ok(Topic.MACHINE, message("There is no newer Astergram than {version}.", version=__version__))]
