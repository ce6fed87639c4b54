"""Why the OpenID Connect provider lets nobody in."""

from ari_app.i18n import message
from ari_app.web.access.refusals import AccessRefused


class ProviderAway(AccessRefused):
    """The provider can't be asked; the sentence says why."""

    def __init__(self, reason: object) -> None:
        super().__init__(message("The sign-in provider does not answer as it should: {reason}.", reason=reason))


class AnswerRefused(AccessRefused):
    """What came from the provider proves nothing."""

    def __init__(self, reason: object) -> None:
        super().__init__(message("The sign-in provider's answer can't be used: {reason}. Try again.", reason=reason))
