"""What Telegram does with several devices of one account, where its documentation leaves that open."""

from __future__ import annotations

from dataclasses import dataclass

AUTOCONFIRM_S = 7 * 86400.0
"""authorization_autoconfirm_period (https://core.telegram.org/api/config), by default."""


@dataclass
class DeviceRules:
    """Each can be set either way; a change counts from the next call, code or sign-in on.

    Args:
        only_last_active_rings: a call is offered to one device only, the one that was active last.
        login_notices: codes and new sign-ins are told to the account, by messages of Telegram's own account.
        unconfirmed: a new device of an account that has others is unconfirmed until one of these confirms it.
        autoconfirm_s: after so long it is confirmed by itself.
        accepting_tells: auth.acceptLoginToken says that the device is unconfirmed, which can be confirmed at once;
            otherwise both is so from its sign-in on.
        one_call: an account that is in a call, with any device, can't be in another one.
    """

    only_last_active_rings: bool = False
    login_notices: bool = False
    unconfirmed: bool = False
    autoconfirm_s: float = AUTOCONFIRM_S
    accepting_tells: bool = True
    one_call: bool = False
