"""`astergram join`: makes this a machine of a cluster, which may have begun with it."""

import argparse
import logging
import re
import secrets
import socket
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from ari_app.cli.config_file import section_added
from ari_app.cli.terminal import typed
from ari_app.cluster.bucket import Conflict, EngineAway
from ari_app.cluster.patterns import MACHINE
from ari_app.config import ConfigError, Settings
from ari_app.doctor.findings import Grade
from ari_app.doctor.nats import LOGIN, each_server, together
from ari_app.doctor.surroundings import NatsServers

if TYPE_CHECKING:
    from ari_app.cluster.engine import NatsEngine  # of an optional package

SECRET_BYTES = 30
UNCHANGED = "; nothing was changed"


class JoinRefused(Exception):
    """This machine has not become one of the cluster; the text says why, and what to do."""


async def join(settings: Settings, options: argparse.Namespace) -> None:
    """Write [cluster] into the configuration file. Raises JoinRefused, ConfigError, NothingTyped, OSError."""
    if settings.cluster:
        raise JoinRefused(
            f"{options.config} has a [cluster] section already (or the environment has): this machine is "
            f"{settings.cluster.machine} of a cluster; take the section out first{UNCHANGED}"
        )
    try:
        from ari_app.cluster.engine import connected
        from ari_app.cluster.joining import all_servers
    except ImportError as error:
        raise ConfigError("nats-py is missing: pip install 'astergram[cluster]'") from error
    logging.getLogger("ari_app.cluster").addHandler(logging.NullHandler())  # it tells a program that goes on
    machine = options.machine or _host_name()
    password = (await typed(f"password of {options.user} in NATS: ", hidden=True)).strip() if options.user else ""
    await _examine(NatsServers(tuple(options.servers), options.user, SecretStr(password) if password else None))
    try:
        servers, away = await all_servers(options.servers, options.user, password)
        for each in away:
            print(f"{each} is named by the others, can't be reached from here, and is left out")
        for advice in together(NatsServers(tuple(servers))):
            print(f"{advice.sentence} {advice.remedy}")
        async with connected(servers, f"join-{secrets.token_hex(4)}", options.user, password) as engine:
            section = {"servers": servers, "machine": machine}
            section |= {"user": options.user, "password": password} if options.user else {}
            section |= {"asterisk_url": options.asterisk_url} if options.asterisk_url else {}
            is_first = await _join(engine, machine, section, options.config)
    except EngineAway as error:
        raise JoinRefused(f"the NATS servers do not answer: {error}{UNCHANGED}") from error
    _tell(machine, servers, options, is_first=is_first)


async def _join(engine: "NatsEngine", machine: str, section: dict[str, Any], config: Path) -> bool:
    """Whether it is the first machine."""
    from ari_app.cluster import joining

    if not await joining.is_free(engine, machine):
        raise JoinRefused(
            f"a machine of the cluster that is at work is called {machine}: give this one another name with --machine. "
            f"One that was cut off a moment ago keeps its name for some minutes{UNCHANGED}"
        )
    sealed = await joining.sealed(engine)
    if not sealed and (machines := await joining.machines(engine)):
        raise JoinRefused(
            f"there is a cluster ({', '.join(machines)}), and nothing in NATS that a secret could be told right or "
            f"wrong by: set the same `secret` under [cluster] by hand on each machine{UNCHANGED}"
        )
    if sealed:
        secret = (await typed("secret of the cluster (under [cluster] on its other machines): ", hidden=True)).strip()
        if not joining.opens(secret, sealed):
            raise JoinRefused(f"this is not the secret of this cluster{UNCHANGED}")
    else:
        secret = secrets.token_urlsafe(SECRET_BYTES)
    try:
        await _write(engine, config, section | {"secret": secret}, begins=not sealed)
    except Conflict as error:
        raise JoinRefused(f"another machine has begun a cluster just now: run this again{UNCHANGED}") from error
    except PermissionError as error:
        raise JoinRefused(f"{config} can't be written: run this as root{UNCHANGED}") from error
    return not sealed


async def _write(engine: "NatsEngine", config: Path, section: dict[str, Any], *, begins: bool) -> None:
    """The section, and what NATS is to have of a cluster that begins: both or neither."""
    from ari_app.cluster import joining

    revision = 0
    try:
        with section_added(config, "cluster", section):
            if begins:
                revision = await joining.begin(engine, section["secret"])
    except BaseException:
        if revision:
            with suppress(EngineAway, Conflict):
                await joining.take_back(engine, revision)
        raise


async def _examine(nats: NatsServers) -> None:
    """Raises JoinRefused where one of them can't be used."""
    problems = [each for each in await each_server(nats) if each.grade is Grade.PROBLEM]
    if problems:
        login = "" if nats.user else " A user of NATS is named with --user, and the password asked for."
        if nats.user and any(each.remedy is LOGIN for each in problems):
            login = " User and password are here that of --user and the one that was asked for."
        raise JoinRefused(
            "\n".join(f"{each.sentence}. {each.remedy}" for each in problems) + f"{login} Nothing was changed."
        )


def _host_name() -> str:
    name = socket.gethostname().partition(".")[0]
    if not re.match(MACHINE, name):
        raise JoinRefused(f"this machine's own name, {name!r}, can't be one in a cluster: give it one with --machine")
    return name


def _tell(machine: str, servers: list[str], options: argparse.Namespace, *, is_first: bool) -> None:
    config: Path = options.config
    if is_first:
        print(f"{machine} is the first machine of a new cluster; {config} has its [cluster], with a new secret.")
    else:
        print(f"{machine} is a machine of the cluster; {config} has its [cluster].")
    if config.stat().st_mode & stat.S_IROTH:
        print(f"Everybody on this machine may read {config}, which has a secret now: chmod o-r {config}")
    print("Restart Astergram: systemctl restart astergram")
    if is_first:
        user = f" --user {options.user}" if options.user else ""
        print(f"Then, on the next machine: astergram join {' '.join(servers)}{user}")
        print(f"It asks for the secret: what stands as `secret` under [cluster] in {config}.")


COMMANDS = {"join": join}
FAILURES: tuple[type[Exception], ...] = (JoinRefused,)
