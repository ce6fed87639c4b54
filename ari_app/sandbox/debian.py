"""Unpack Debian packages into a private folder: nothing is installed on the machine and no root is needed.

Standard library only, and no import of this project: ``scripts/setup`` runs this file with the system's ``python3``
before any virtual environment exists. apt-get resolves and downloads with a private state, so the machine's own package
database is neither read nor written; its apt configuration (proxies, credentials, transports) still applies.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

OWN = "own"
"""Suite name that stands for the suite of this machine."""

APT_SOURCES = Path("/etc/apt")
OS_RELEASE = Path("/etc/os-release")
KEYRINGS = tuple(Path("/usr/share/keyrings/debian-archive-keyring" + suffix) for suffix in (".gpg", ".pgp"))
SUITE_ALIASES = {"stable", "oldstable", "testing", "unstable", "sid"}
DOWNLOAD_RETRIES = 5

TRIPLETS = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}
LIBRARY_FOLDERS = ("usr/lib/{triplet}", "lib/{triplet}", "usr/lib/{triplet}/pulseaudio", "usr/lib")
UNUSED_FOLDERS = ("doc", "man", "locale", "lintian", "bug", "info")

# What only maintainer scripts and logins need: those never run here.
NEEDLESS = re.compile(
    r"(adduser|base-passwd|bash|coreutils|dash|debconf|debianutils|dirmngr|dpkg|findutils|gnupg|gpg|grep|gzip|"
    r"init-system-helpers|libpam-modules|libperl|login|mariadb-common|passwd|perl|pinentry|sed|systemd|sysvinit|tar|"
    r"ucf|util-linux)(-|\.|\d|$)"
)
# A program of the machine's own suite runs under the machine's own loader, which must meet its own C library.
HOST_LIBRARY = re.compile(r"(libc6|libc-bin|libcrypt1)$")


class DebianError(Exception):
    """Packages could not be had or unpacked; the text is one sentence for the person at the keyboard."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Which packages make a tree.

    ``own_loader``: start programs by the tree's own ``ld.so``, for a suite whose C library is not the machine's.
    ``dependencies``: unpack what the packages depend on as well.
    ``without``: a pattern of packages to leave out although something depends on them.
    ``links``: symbolic links (path in the tree, target) which maintainer scripts would have made.
    ``files``: files (path in the tree, text) of our own.
    ``outlined``: a pattern of Asterisk's XML documentation, of which only what modules need is kept: `outline`.
    """

    suite: str
    packages: tuple[str, ...]
    own_loader: bool = False
    dependencies: bool = True
    without: str = ""
    links: tuple[tuple[str, str], ...] = ()
    files: tuple[tuple[str, str], ...] = ()
    outlined: str = ""


ASTERISK_DOCUMENTATION = "usr/share/asterisk/documentation/*.xml"
FONTS = "etc/fonts/astergram.conf"
FONTS_TEXT = """\
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir prefix="relative">../../usr/share/fonts</dir>
  <cachedir prefix="xdg">fontconfig</cachedir>
</fontconfig>
"""

TREES: Mapping[str, Recipe] = {
    "asterisk": Recipe(
        "forky",
        ("asterisk", "asterisk-core-sounds-en-gsm"),
        own_loader=True,
        links=(("usr/share/asterisk/sounds/en", "en_US_f_Allison"),),
        outlined=ASTERISK_DOCUMENTATION,
    ),
    # An old one that many still run.
    "asterisk-16": Recipe(
        "bullseye",
        ("asterisk", "asterisk-opus", "asterisk-voicemail", "asterisk-core-sounds-en-gsm"),
        own_loader=True,
        links=(("usr/share/asterisk/sounds/en", "en_US_f_Allison"),),
        outlined=ASTERISK_DOCUMENTATION,
    ),
    # For Asterisk's CDR in a database: its driver is started in Asterisk, whose tree has the rest.
    "odbc": Recipe("forky", ("libsqliteodbc", "libodbcinst2"), own_loader=True, dependencies=False),
    # Half of what baresip-core depends on is for video modules, which a phone of ours never loads.
    "baresip": Recipe(OWN, ("baresip-core",), without=r"lib(llvm|z3|gl|directfb|icu|codec2|drm|vpx|x11|xcb|xml2)"),
    "coturn": Recipe(OWN, ("coturn",)),
    # Two static programs: the server and promtool. The rest is for its own page.
    "prometheus": Recipe(OWN, ("prometheus",), dependencies=False),
    "chromium": Recipe(OWN, ("chromium", "chromium-driver", "fonts-dejavu-core"), files=((FONTS, FONTS_TEXT),)),
    "pip": Recipe(OWN, ("python3-pip-whl", "ca-certificates"), dependencies=False),
}


@dataclasses.dataclass(frozen=True)
class Progress:
    """Where an unpacking stands: ``fraction`` (0 to 1) of ``phase``, or None when it cannot be known."""

    tree: str
    phase: str
    fraction: float | None = None


Report = Callable[[Progress], None]


@dataclasses.dataclass(frozen=True)
class Tree:
    """A folder of unpacked packages, with what is needed to start a program of it."""

    name: str
    root: Path
    triplet: str
    own_loader: bool

    def libraries(self) -> str:
        """Return the library folders of the tree, joined by colons."""
        return ":".join(map(str, self._library_folders()))

    def _library_folders(self) -> list[Path]:
        folders = (self.root / folder.format(triplet=self.triplet) for folder in LIBRARY_FOLDERS)
        return [folder for folder in folders if folder.is_dir()]

    def command(self, program: str, *arguments: str | Path) -> list[str]:
        """Return the argument list that starts ``program`` (a path in the tree, such as ``usr/sbin/asterisk``)."""
        own = [str(self.root / program), *map(str, arguments)]
        if not self.own_loader:
            return own
        loader = next((found for folder in self._library_folders() for found in folder.glob("ld-linux-*.so.*")), None)
        if loader is None:
            raise DebianError(f"{self.root} has no ld.so: delete the folder and start again")
        return [str(loader), "--library-path", self.libraries(), *own]

    def environment(self) -> dict[str, str]:
        """Return the variables to add to the environment of a program of the tree."""
        variables = {} if self.own_loader else {"LD_LIBRARY_PATH": self.libraries()}
        if (self.root / FONTS).is_file():  # a machine without a desktop has no fonts
            variables["FONTCONFIG_FILE"] = str(self.root / FONTS)
        return variables


@dataclasses.dataclass(frozen=True)
class Source:
    """A Debian archive that this machine's apt already uses."""

    uris: tuple[str, ...]
    suites: tuple[str, ...]
    signed_by: str | None = None

    def is_debian(self, codename: str) -> bool:
        """Tell whether this is Debian's main archive, and not its security archive or somebody else's."""
        if not {codename, *SUITE_ALIASES}.intersection(self.suites):
            return False
        if self.signed_by is not None and "debian-archive" in self.signed_by:
            return True
        # An unnamed or own key: go by the layout that Debian's mirrors share (a "mirror+file:" list is named alike).
        folder = self.uris[0].rstrip("/").rsplit("/", 1)[-1].removesuffix(".list")
        return folder == "debian"


def parse_one_line(text: str) -> Iterator[Source]:
    """Yield the enabled binary sources with component main of a ``.list`` file (sources.list(5), one-line style)."""
    pattern = re.compile(r"^\s*deb\s+(?:\[(?P<options>[^]]*)\]\s*)?(?P<uri>\S+)\s+(?P<suite>\S+)\s*(?P<components>.*)$")
    for line in text.splitlines():
        match = pattern.match(line.split("#", 1)[0])
        if match is None or "main" not in match["components"].split():
            continue
        options = dict(option.split("=", 1) for option in (match["options"] or "").split() if "=" in option)
        yield Source((match["uri"],), (match["suite"],), options.get("signed-by"))


def parse_deb822(text: str) -> Iterator[Source]:
    """Yield the enabled binary sources with component main of a ``.sources`` file (sources.list(5), deb822 style)."""
    for stanza in re.split(r"\n[ \t]*\n", "\n".join(li for li in text.splitlines() if not li.startswith("#"))):
        fields: dict[str, str] = {}
        name = ""
        for line in stanza.splitlines():
            if line[:1] in (" ", "\t"):
                fields[name] = fields.get(name, "") + "\n" + line
            elif ":" in line:
                name, _, value = line.partition(":")
                name = name.strip().lower()
                fields[name] = value.strip()
        uris, suites = fields.get("uris", "").split(), fields.get("suites", "").split()
        enabled = fields.get("enabled", "yes").lower() not in ("no", "false", "0")
        binary = "deb" in fields.get("types", "").split() and "main" in fields.get("components", "").split()
        if enabled and binary and uris and suites:
            yield Source(tuple(uris), tuple(suites), fields.get("signed-by"))


def machine_codename(os_release: Path = OS_RELEASE) -> str:
    """Return this machine's Debian suite, such as ``bookworm``."""
    fields = dict(line.split("=", 1) for line in os_release.read_text().splitlines() if "=" in line)
    codename = fields.get("VERSION_CODENAME", "").strip('"')
    if fields.get("ID", "").strip('"') != "debian" or not codename:
        raise DebianError("the sandbox takes its programs from Debian, and this machine is not a Debian release")
    return codename


def find_source(codename: str, folder: Path = APT_SOURCES) -> Source:
    """Return the first Debian archive that the machine's own apt sources name."""
    files = [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*"))]
    for file in files:
        if file.suffix not in (".list", ".sources") or not file.is_file():
            continue
        parse = parse_deb822 if file.suffix == ".sources" else parse_one_line
        for source in parse(file.read_text(encoding="utf-8", errors="replace")):
            if source.is_debian(codename):
                return source
    raise DebianError(f"{folder} names no Debian archive with component main: add one to {folder}/sources.list")


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder that keeps unpacked trees between runs."""
    if own := environment.get("ASTERGRAM_CACHE"):
        return Path(own).absolute()
    if xdg := environment.get("XDG_CACHE_HOME"):
        return Path(xdg).absolute() / "astergram"
    return Path.home() / ".cache" / "astergram"


def unpack(name: str, report: Report = lambda progress: None, cache: Path | None = None) -> Tree:
    """Return the tree ``name`` (a key of `TREES`), downloading and unpacking it first if the cache has none.

    Blocks for seconds to minutes; call it in a thread from a coroutine. Several processes may ask at once: one works
    and the others wait for it. Raises DebianError.
    """
    recipe = TREES[name]
    for tool in ("apt-get", "dpkg-deb", "dpkg"):
        if shutil.which(tool) is None:
            raise DebianError(f"{tool} is not on PATH: the sandbox takes its programs from Debian packages")
    codename = machine_codename()
    suite = codename if recipe.suite == OWN else recipe.suite
    architecture = _run(["dpkg", "--print-architecture"], "asking dpkg for the architecture").strip()
    if architecture not in TRIPLETS:
        raise DebianError(f"this machine is {architecture}: the sandbox knows {' and '.join(TRIPLETS)}")
    cache = cache or cache_folder()
    # The package list is part of the key, so that a tree of an older list is not taken for the present one.
    digest = hashlib.sha256(repr((recipe, NEEDLESS.pattern, HOST_LIBRARY.pattern)).encode()).hexdigest()[:8]
    key = f"{name}-{suite}-{architecture}-{digest}"
    tree = Tree(name, cache / key, TRIPLETS[architecture], recipe.own_loader)
    if tree.root.is_dir():
        return tree
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with _locked(cache / f"{key}.lock", lambda: report(Progress(name, "waiting for another start"))):
            if not tree.root.is_dir():
                for stale in cache.glob(f".{key}.*"):  # left by a process that was killed
                    shutil.rmtree(stale)
                with tempfile.TemporaryDirectory(prefix=f".{key}.", dir=cache) as folder:
                    work = Path(folder)
                    source = find_source(codename)
                    _build(name, recipe, suite, source, work, report)
                    (work / "tree").rename(tree.root)
    except OSError as error:
        raise DebianError(f"unpacking {name} into {cache} failed: {error.strerror or error}") from error
    return tree


@contextlib.contextmanager
def _locked(path: Path, waiting: Callable[[], None]) -> Iterator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(name: str, recipe: Recipe, suite: str, source: Source, work: Path, report: Report) -> None:
    """Leave the unpacked tree in ``work/tree``."""
    apt = _private_apt(source, suite, work)
    where = f"from {source.uris[0]}"
    report(Progress(name, "reading package lists"))
    _run([*apt, "update", "--error-on=any"], f"reading the package lists of {suite} {where}")
    wanted: list[str] = list(recipe.packages)
    if recipe.dependencies:
        listing = _run([*apt, "install", "--print-uris", "--yes", *recipe.packages], f"finding {name} in {suite}")
        wanted = list(_needed(recipe, listing, host_loader=not recipe.own_loader))
    downloads = work / "downloads"
    downloads.mkdir()
    downloading = f"downloading {len(wanted)} packages"
    report(Progress(name, downloading, 0.0))
    _download(
        [*apt, "download", *wanted],
        downloads,
        f"downloading {name} {where}",
        lambda fraction: report(Progress(name, downloading, fraction)),
    )
    packages = sorted(downloads.glob("*.deb"))
    tree = work / "tree"
    tree.mkdir()
    for done, package in enumerate(packages):
        report(Progress(name, f"unpacking {len(packages)} packages", done / len(packages)))
        _run(["dpkg-deb", "--extract", str(package), str(tree)], f"unpacking {package.name}")
        package.unlink()
    for folder in UNUSED_FOLDERS:
        shutil.rmtree(tree / "usr/share" / folder, ignore_errors=True)
    for link, target in recipe.links:
        (tree / link).unlink(missing_ok=True)
        (tree / link).symlink_to(target)
    for file, text in recipe.files:
        (tree / file).write_text(text)
    for document in tree.glob(recipe.outlined) if recipe.outlined else ():
        document.write_text(outline(document.read_text(encoding="utf-8")), encoding="utf-8")
    report(Progress(name, "ready", 1.0))


def outline(documentation: str) -> str:
    """Leave Asterisk's XML documentation without what nobody reads here: most of a start's time would go into it.

    Whole are the options of configuration files, without which modules do not load; of the rest there are names.
    """
    root = ElementTree.fromstring(documentation)  # noqa: S314 - of a signed package
    for each in root:
        if each.tag != "configInfo":
            for child in list(each):
                each.remove(child)
            ElementTree.SubElement(each, "synopsis")  # Asterisk warns of what has nothing in it
    return ElementTree.tostring(root, encoding="unicode")


def _needed(recipe: Recipe, listing: str, *, host_loader: bool) -> Iterator[str]:
    """Yield ``package=version`` of ``apt-get install --print-uris``, without what no program of a tree needs."""
    unwanted = [NEEDLESS]
    if host_loader:
        unwanted.append(HOST_LIBRARY)
    if recipe.without:
        unwanted.append(re.compile(recipe.without))
    for file in re.findall(r"^'[^']+' (\S+\.deb) ", listing, re.MULTILINE):
        package, version, _ = unquote(file).split("_")
        if not any(pattern.match(package) for pattern in unwanted):
            yield f"{package}={version}"


def _private_apt(source: Source, suite: str, work: Path) -> list[str]:
    """Write an apt state of our own below ``work`` and return the start of an apt-get command that uses it."""
    signed_by = source.signed_by
    if signed_by is None or "debian-archive" in signed_by:
        # The whole keyring instead of the stanza's key: that one may be of the machine's release alone.
        signed_by = next((str(keyring) for keyring in KEYRINGS if keyring.is_file()), signed_by)
    if signed_by is None:
        raise DebianError("Debian's archive keys are missing: install the package debian-archive-keyring")
    state = work / "apt"
    for folder in ("lists/partial", "cache/archives/partial", "parts"):
        (state / folder).mkdir(parents=True)
    (state / "status").touch()
    (state / "debian.sources").write_text(
        f"Types: deb\nURIs: {' '.join(source.uris)}\nSuites: {suite}\nComponents: main\nSigned-By: {signed_by}\n"
    )
    hooks = ("APT::Update::Pre-Invoke", "APT::Update::Post-Invoke", "APT::Update::Post-Invoke-Success")
    # Read after the machine's own configuration, of which proxies and credentials stay and hooks (root's work) go.
    lines = [f"#clear {hook};" for hook in (*hooks, "DPkg::Pre-Install-Pkgs", "DPkg::Post-Invoke")]
    options = {
        "Dir::Etc::sourcelist": state / "debian.sources",
        "Dir::Etc::sourceparts": state / "parts",
        "Dir::Etc::preferences": "/dev/null",
        "Dir::Etc::preferencesparts": state / "parts",
        "Dir::State": state,
        "Dir::State::lists": state / "lists",
        "Dir::State::status": state / "status",
        "Dir::Cache": state / "cache",
        "Acquire::Languages": "none",
        # A mirror may lag behind, or be a frozen copy.
        "Acquire::Check-Valid-Until": "false",
        "Acquire::Retries": DOWNLOAD_RETRIES,
        "APT::Install-Recommends": "false",
        # Root's apt would drop to a user who cannot reach this folder.
        "APT::Sandbox::User": "",
    }
    lines += [f'{option} "{value}";' for option, value in options.items()]
    configuration = state / "apt.conf"
    configuration.write_text("\n".join(lines) + "\n")
    return ["apt-get", "--quiet", "--config-file", str(configuration)]


def _download(command: Sequence[str], folder: Path, what: str, report: Callable[[float], None]) -> None:
    """Run an apt-get download in ``folder`` and report the share of bytes that has come (apt's status descriptor)."""
    reader, writer = os.pipe()
    with tempfile.TemporaryFile("w+") as output, os.fdopen(reader, encoding="utf-8", errors="replace") as status:
        process = subprocess.Popen(
            [*command, "--option", f"APT::Status-Fd={writer}"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=[writer],
            env=_environment(),
        )
        os.close(writer)
        with process:
            for line in status:
                kind, _, percent = line.split(":", 3)[:3]
                if kind == "dlstatus":
                    report(min(1.0, float(percent) / 100))
        if process.returncode != 0:
            output.seek(0)
            raise _explained(what, output.read())


def _run(command: Sequence[str], what: str) -> str:
    """Run a command and return its output; ``what`` says in an error what was being done."""
    result = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        env=_environment(),
        check=False,
    )
    if result.returncode != 0:
        raise _explained(what, result.stderr)
    return result.stdout


def _environment() -> dict[str, str]:
    return {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}


HINTS = (
    (r"No space left on device|not enough free space", "the disk is full"),
    (r"NO_PUBKEY|is not signed|EXPKEYSIG", "this machine's Debian keys do not know it: update debian-archive-keyring"),
    (r"Unable to locate package (\S+)|no installation candidate|Can't find", "that suite has no such package"),
    (
        r"Could not (resolve|connect)|Temporary failure|Unable to connect|Connection (failed|refused|timed out)",
        "the mirror cannot be reached: check the network and apt's proxy settings, then start again",
    ),
)


def _explained(what: str, output: str) -> DebianError:
    """Return an error of one sentence for the output of a failed apt-get or dpkg."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("E:", "Err:", "dpkg", "tar:"))] or lines or ["no output"]
    for pattern, hint in HINTS:
        if found := re.search(f".*(?:{pattern}).*", output):
            return DebianError(f"{what} failed: {hint} ({found[0].strip()})")
    return DebianError(f"{what} failed: {errors[-1]}")


def main(arguments: Sequence[str]) -> int:
    """Unpack the named trees and print their folders, one a line; 2 means failed, with a sentence on stderr."""
    unknown = [name for name in arguments if name not in TREES]
    if unknown or not arguments:
        print(f"usage: debian.py TREE...   with trees of {', '.join(TREES)}", file=sys.stderr)
        return 2
    try:
        for name in arguments:
            print(unpack(name).root)
    except DebianError as error:
        print(f"astergram: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
