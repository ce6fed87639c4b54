"""Every command that a page of the documentation shows, and what the tests do with it.

`RUN` is typed into bash in this order by tests/e2e/test_docs_commands.py: `astergram`, `asterisk` and the like are a
sandbox's there. `NOT_RUN` says why not. A command is in one of them, without the comment behind it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs/ru").glob("*.md")),
]
PROGRAMS = (
    "age|apt|asterisk|astergram|chmod|chown|cp|curl|docker|editor|fwconsole|git|install|journalctl|ln|mkdir|pip|promtool"
    "|python3|source|ssh|systemctl|systemd-analyze|systemd-sysusers|tar|useradd"
)
COMMAND = re.compile(
    r"(?:\$ )?(?:[A-Z_]+=\S+ )*(?:sudo -u \S+ )?"
    rf"(?:{PROGRAMS}|(?:\./)?scripts/[a-z-]+|\.venv/bin/\S+|/opt/astergram/bin/\S+)(?= |$)"
)
NO_COMMAND = re.compile(
    r"\[|;|#|exten =>|\{|server \{|Local/|scrape_configs|OTEL_|\d{4}-\d\d-\d\d |Action:|Event:|Text:|POST /|from \w+"
    r"|table inet|headers =|sequenceDiagram|stateDiagram| *a person on Telegram"
)
"""How a block begins that is a piece of a configuration, of a program, a protocol or a drawing."""


@dataclass(frozen=True)
class Do:
    """A command: what it reads, its exit status, what it says (a pattern); ``endless``: until it says something."""

    command: str
    reads: str = ""
    status: int = 0
    says: str = ""
    endless: bool = False


def shown() -> Iterator[tuple[Path, str]]:
    """Each command, with the page that shows it, without comments; in blocks, and within a sentence in backquotes."""
    for page in PAGES:
        text = page.read_text()
        for block in blocks(text):
            if COMMAND.match(block):
                for line in re.sub(r"\\\n\s*", "", block).splitlines():
                    if line.strip() and not line.lstrip().startswith(("#", "{")):  # a comment, or what was answered
                        yield page, bare(line)
        for code in re.findall(r"`([^`\n]+)`", re.sub(r"^(?: {4}.*|```\w*)$", "", text, flags=re.MULTILINE)):
            if COMMAND.match(code) and is_whole(code):
                yield page, bare(code)


def blocks(text: str) -> Iterator[str]:
    """The blocks of code of a page: fenced ones, and those indented by four blanks or more after an empty line."""
    text = text.expandtabs(4)
    yield from re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    rest = re.sub(r"^```\w*\n.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    for indented in re.findall(r"(?:^|\n)\n((?: {4,}.*\n(?:\n(?= {4}))?)+)", rest):
        lines = indented.splitlines()
        margin = min(len(line) - len(line.lstrip()) for line in lines if line.strip())
        yield "\n".join(line[margin:] for line in lines) + "\n"


def bare(line: str) -> str:
    """Without a prompt and a comment behind it."""
    return re.sub(r"\s{2,}#.*$", "", line.strip().removeprefix("$ ")).strip()


def is_whole(code: str) -> bool:
    """Whether it is a command to be typed, and not the name of a program, a file or a group of commands."""
    return " " in code and "..." not in code


PASSWORD = "correct horse battery"
RUN = (
    Do("astergram --version", says=r"astergram \d"),
    Do("astergram --help", says="exit status:"),
    Do("astergram line --help", says="examples:"),
    # Asterisk: its files, and the dialplan.
    Do("curl -u astergram:PASSWORD http://127.0.0.1:8088/ari/asterisk/ping", says=r'"ping":\s*"pong"'),
    Do("curl http://127.0.0.1:8088/ari/asterisk/ping", says="Authentication required"),
    Do("asterisk -rx 'module reload http'"),
    Do("asterisk -rx 'module reload res_ari.so'"),
    Do("asterisk -rx 'manager reload'"),
    Do("asterisk -rx 'manager show user astergram'", says="read perm: +.*user"),
    Do("astergram dialplan check", status=1, says="no extension 79990000001"),
    Do("astergram dialplan print", says=r"\[phones-to-telegram\]"),
    Do("astergram dialplan print --pbx mikopbx", says="_\\*9XXXXXX"),
    Do("astergram dialplan print --pbx mikopbx --prefix '*77'", says="_\\*77XXXXXX"),
    Do("astergram dialplan install --incoming 101@phones", says=r"\+#include extensions-astergram.conf"),
    Do("asterisk -rx 'dialplan reload'"),
    Do("astergram dialplan check", says="ok"),
    Do("astergram dialplan remove", says="-#include extensions-astergram.conf"),
    Do("astergram dialplan install --prefix '*9'", says="_\\*9XXXXXX"),
    Do("astergram dialplan remove"),
    Do("astergram dialplan install --pbx freepbx", says="extensions_custom.conf"),
    Do("astergram dialplan remove"),
    Do("astergram dialplan install", says="phones-to-telegram"),
    # The program.
    Do("astergram status", says="has been running"),
    Do("astergram status --json", says='"lines"'),
    Do("astergram doctor", says="Asterisk answers at"),
    Do("sudo -u astergram astergram doctor", says="Asterisk answers at"),
    Do("astergram ready", says="ready"),
    Do("astergram metrics", says="astergram_ready 1"),
    Do("curl -s http://127.0.0.1:8090/health", says='"status": ?"ok"'),
    Do("curl -s http://127.0.0.1:8090/ready", says='"status": ?"ready"'),
    Do("promtool check rules docs/monitoring/alerts.yml", says="SUCCESS"),
    # Lines and the installation.
    Do("astergram line list", says="\\+79990000001"),
    Do("astergram line set +79990000001 card.callback=600@queues"),
    Do("astergram line set +79990000001 card.picture=company.jpg"),
    Do("astergram line set +79990000001 context=telegram-agent"),
    Do("astergram line set +79990000001 context=telegram-recorded"),
    Do("astergram line set +79990000001 max_calls=4"),
    Do("astergram line show +79990000001 > line.toml"),
    Do("astergram line set +79990000001 --file line.toml"),
    Do("astergram settings", says="company"),
    Do("astergram settings company=Acme bot_token=-", reads="BOT_TOKEN\n", says="Acme"),
    Do("astergram settings bot_token=- < token"),
    Do("astergram settings timezone=Europe/Moscow", says="Europe/Moscow"),
    # Users, tokens, the audit log.
    Do("astergram user add anna --role operator --link", says="http.*link="),
    Do("astergram user list", says="anna"),
    Do("astergram user role anna administrator", says="administrator now"),
    Do("astergram web link anna", says="http.*link="),
    Do("astergram web link", says="http.*link="),
    Do("astergram audit list --find anna", says="anna"),
    Do("astergram audit list --last 100", says="anna"),
    Do("astergram audit export audit.csv"),
    Do("astergram token add CRM --scope calls --days 90", says="^astergram_"),
    Do("astergram token add agent --scope read", says="^astergram_"),
    Do("astergram token list", says="CRM"),
    Do("astergram token revoke 3", says="is revoked"),
    Do('curl -H "Authorization: Bearer $TOKEN" http://127.0.0.1:8090/api/status', says='"running_s"'),
    Do('curl -N -H "Authorization: Bearer $TOKEN" http://127.0.0.1:8090/api/events', says=r"retry: \d+", endless=True),
    # Webhooks.
    Do(
        "astergram webhook add https://crm.example.com/astergram --event call.offered --event call.ended", says="whsec_"
    ),
    Do("astergram webhook list", says="http://127.0.0.1"),
    Do("astergram webhook test 0123456789ab"),
    Do("astergram webhook deliveries 0123456789ab --state failed"),
    Do("astergram webhook resend 0123456789ab 1790000000123"),
    # Alerts: nobody has that address, and no mail server is there.
    Do('astergram alerts settings \'telegram_to=["@anna", "+79990000002"]\'', says="@anna"),
    Do('astergram alerts settings \'telegram_to=["@anna", "+79990000002"]\' language=ru', says="ru"),
    Do("astergram alerts test", says="tests are being sent: [12]"),
    Do("astergram alerts deliveries"),
    Do("astergram alerts list"),
    Do("astergram alerts mute --hours 2", says="muted"),
    Do(
        "astergram alerts settings 'mail_to=[\"anna@example.com\"]' mail_from=pbx@example.com"
        " mail_host=smtp.example.com mail_user=pbx mail_password=-",
        reads="a secret\n",
        says="pbx@example.com",
    ),
    Do("astergram alerts settings", says="mail_host"),
    # Calls, and no more of them.
    Do("astergram call +79990000002 --from 101@phones", says="[0-9a-f]{12}"),
    Do(
        'curl -X POST -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json"'
        ' -H "Idempotency-Key: order-4711" -d \'{"from": "101@phones", "to": "+79990000002"}\''
        " http://127.0.0.1:8090/api/calls",
        says='"id"',
    ),
    Do("astergram calls list", says="[0-9a-f]{12}"),
    Do("astergram calls show CALLID", says="101@phones"),
    Do("astergram drain", says="no call"),
    Do("astergram drain --cancel"),
    Do("astergram drain --limit 600", says="no call"),
    Do("astergram drain --limit 3600", says="no call"),
    # People's data, and what has happened.
    Do("astergram people kinds", says="cards_days"),
    Do("astergram people find +79990000002", says=r"\+79990000002"),
    Do("astergram people show 5000000002", says="[1-9] calls"),
    Do("astergram people export 5000000002 anna.json", says="anna.json is written"),
    Do("astergram people erase 5000000002 --reference 'Request 17'", says="[1-9] calls"),
    Do("astergram people erase 5000000002 --reference 'Обращение 17'", says="nothing is kept"),
    Do("astergram settings cards_days=14", says="14"),
    Do("astergram activity --last 50"),
    # Backups, at work; and what a shell completes.
    Do("astergram backup astergram-backup.tar.gz"),
    Do(
        "astergram backups settings schedule=daily at=03:30 keep=14 passphrase=-",
        reads="a secret for backups\n",
        says="keep = 14",
    ),
    Do("astergram backups settings schedule=hours hours=6", says="hours = 6"),
    Do("astergram backups make", says=r"\.tar\.gz\.age is made"),
    Do("astergram backups list", says=r"\.tar\.gz\.age"),
    Do("astergram backups settings", says="schedule"),
    Do("astergram backups cancel", says="nothing is restored"),
    Do("astergram completion bash > /etc/bash_completion.d/astergram"),
    Do("astergram completion fish > ~/.config/fish/completions/astergram.fish"),
    Do("astergram settings proxy=-", reads="A_PROXY\n", says='proxy = "set"'),
    Do("astergram settings api_id=12345 api_hash=-", reads="0123456789abcdef0123456789abcdef\n"),
    Do("astergram line remove +79990000001"),
)
RESTORE = Do("astergram restore --replace astergram-backup.tar.gz")
RESTORE_ANEW = Do("astergram restore astergram-backup.tar.gz")
"""Once the program is stopped: over what there is, and where there is nothing."""
NOT_RUN = {
    r"(\./)?scripts/(demo|test|soak|bench|coverage|setup|release|build-deb|check)\b.*|PYTHON=.*|\.venv/bin/.*": (
        "for developers, and long; each has tests of its own, or is what runs the tests"
    ),
    r"astergram join .*": "takes NATS servers: tests/integration/test_join.py runs it",
    r"astergram cluster.*": "takes NATS servers and two machines; tests/e2e/test_two_machines.py has them",
    r"git push .*": "takes a repository elsewhere",
    r"(systemctl|journalctl|systemd-analyze) .*|.*; reboot": (
        "takes systemd as the machine's first process; tests/e2e/test_service.py and tests/survival do what it does"
    ),
    r"(apt|useradd|install|ln|chown|mkdir|cp) .*": "takes root; the package does the like in scripts/debian/try",
    r".*pip install .*": "takes a package index; scripts/setup and scripts/build-deb install by pip",
    r"docker .*": "takes a container engine",
    r"fwconsole .*": "is FreePBX's",
    r"curl .*HOST.*": "is MikoPBX's address; otherwise as the one that is run",
    r"ssh .*": "takes another machine",
    r"source <\(astergram completion zsh\)": "takes zsh; tests/integration/test_cli.py looks at what is printed",
    r"astergram line (add|signin) .*": "asks for a code at a terminal: tests/integration/test_cli.py types it",
    r"astergram user (add anna --role operator|password anna|remove anna|two-factor-off anna)": (
        "asks at a terminal: tests/integration/test_web_users.py and test_web_two_factor.py run it"
    ),
    r"astergram line logout .*": "ends the account's session: tests/integration/test_cli.py asks, and goes no further",
    r"astergram webhook secret 0123456789ab": "asks at a terminal: tests/integration/test_web_webhooks.py runs it",
    r"astergram alerts (un)?mute 0123456789ab": "takes an alert: tests/integration/test_web_alerts.py mutes one",
    r"astergram web oidc( --test)?": "takes a provider: tests/integration/test_web_oidc_ways.py starts one",
    r"astergram run": "is the program that the others are run with",
    r".* docs/examples/voice_agent\.py": "tests/e2e/test_recipes.py calls it",
    r"asterisk -rvvv": "is Asterisk's console, which stays open",
    r"astergram (audit export|backup|call|completion|line show|line set)": "names a command, without what it takes",
    r"astergram restore (--replace )?(FILE|ФАЙЛ|/path/to/.*|/путь/.*)": (
        "is `astergram restore astergram-backup.tar.gz`; tests/integration/test_web_backups.py opens an encrypted one"
    ),
    r"age -d .*|tar xzf .*": (
        "takes age, which asks at a terminal; tests/unit/test_backups.py opens a backup by age's format, and unpacks it"
    ),
    r"astergram backups restore (NAME|ИМЯ)": "takes a name: tests/integration/test_web_backups.py restores one",
    r"astergram backup (FILE|ФАЙЛ)": "is `astergram backup astergram-backup.tar.gz`",
}
"""By a pattern of the whole command: why it is not run."""
