"""The samples for Asterisk's own records, loaded by a real Asterisk without a complaint."""

import asyncio
import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from ari_app.asterisk.ami import Ami
from ari_app.sandbox import debian
from ari_app.sandbox.asterisk import PROJECT_DIALPLAN, PrivateAsterisk

WRITTEN_S = 10.0
SAMPLES = PROJECT_DIALPLAN.parent
ASTERISKS_OWN = "calldate clid src dst duration billsec disposition accountcode uniqueid linkedid userfield"
"""Some of what a table for CDR has already."""
CALL = """
[recorded]
exten => 1,1,MSet(CDR(telegram_line)=+79990000001,CDR(telegram_call)=1a58e91eb8f3)
 same => n,Answer()
"""
ODBC_INI = "[asteriskcdrdb]\nDriver = {driver}\nDatabase = {database}\n"
RES_ODBC = "[asteriskcdrdb]\nenabled = yes\ndsn = asteriskcdrdb\npre-connect = yes\n"


@dataclass(frozen=True)
class WithOdbc(debian.Tree):
    """Asterisk's tree with a driver for SQLite."""

    odbc: debian.Tree
    ini: Path

    def libraries(self) -> str:
        return f"{super().libraries()}:{self.odbc.libraries()}"

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "ODBCINI": str(self.ini)}


def complaints(asterisk: PrivateAsterisk) -> list[str]:
    """What its log has of warnings and errors."""
    return [line for line in asterisk.log.read_text().splitlines() if " WARNING[" in line or " ERROR[" in line]


async def test_files_of_cdr_and_cel() -> None:
    async with PrivateAsterisk() as asterisk:
        for module in "cdr_custom", "cel_custom":
            assert "Running" in await asterisk.cli(f"module show like {module}.so")
        assert complaints(asterisk) == []


def make_table(database: Path, sample: str) -> None:
    """A table that Asterisk has written before, with the columns that the sample adds."""
    columns = [*ASTERISKS_OWN.split(), *re.findall(r"\bADD (\w+) VARCHAR", sample)]
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(f"CREATE TABLE cdr ({', '.join(f'{name} VARCHAR(80)' for name in columns)})")


def rows(database: Path) -> list[dict[str, str]]:
    with closing(sqlite3.connect(database)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute("SELECT * FROM cdr")]


async def test_a_database(tmp_path: Path) -> None:
    plain, odbc = [await asyncio.to_thread(debian.unpack, name) for name in ("asterisk", "odbc")]
    database, ini = tmp_path / "cdr.db", tmp_path / "odbc.ini"
    driver = next(odbc.root.glob("usr/lib/*/odbc/libsqlite3odbc.so"))
    ini.write_text(ODBC_INI.format(driver=driver, database=database))
    tree = WithOdbc(plain.name, plain.root, plain.triplet, plain.own_loader, odbc, ini)
    sample = (SAMPLES / "cdr_adaptive_odbc.conf").read_text()
    make_table(database, sample)
    async with PrivateAsterisk(tmp_path / "asterisk", tree=tree, dialplan=CALL) as asterisk:
        etc = asterisk.run_dir / "etc"
        (etc / "res_odbc.conf").write_text(RES_ODBC)
        (etc / "cdr_adaptive_odbc.conf").write_text(sample)
        with (etc / "modules.conf").open("a") as modules:  # two of them need each other: only at the start
            modules.writelines(
                f"load = {name}.so\n" for name in ("res_odbc", "res_odbc_transaction", "cdr_adaptive_odbc")
            )
        await asterisk.kill()
        await asterisk.start()
        async with (
            Ami(asterisk.ami_host, asterisk.ami_port, asterisk.ami_user, asterisk.ami_password) as ami,
            asyncio.timeout(WRITTEN_S),
        ):
            await ami.action("Originate", Channel="Local/1@recorded/n", Application="Wait", Data="0.1", Async="false")
            while not (found := [row for row in rows(database) if row["telegram_line"]]):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        assert complaints(asterisk) == []
    assert [(row["telegram_line"], row["telegram_call"], row["disposition"]) for row in found] == [
        ("+79990000001", "1a58e91eb8f3", "ANSWERED")
    ]
    assert found[0]["calldate"]
