"""A PostgreSQL of the tests' own: on a socket in a folder of its own, gone with it. For tests of more than one server."""
import glob
import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile


def programs():
    """The folder of the newest initdb, or None."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"), key=lambda path: int(path.split("/")[4]))
    return pathlib.Path(found[-1]).parent if found else None


def missing():
    """Why it cannot be had here; "" if it can."""
    if not programs():
        return "no PostgreSQL on this machine (Debian's package postgresql)"
    if os.getuid() == 0 and not any(user.pw_name == "postgres" for user in pwd.getpwall()):
        return "PostgreSQL does not run as root, and there is no user 'postgres'"
    return ""


class Postgresql:
    """A context. `url` is the address of an empty database."""

    def __enter__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="ingrain-pg-"))  # short: a socket's path has 107 bytes
        try:
            self.run("initdb", "-D", self.folder / "data", "-A", "trust", "-E", "UTF8", "--no-sync", "-U", "ingrain")
            self.control("-o", f"-k {self.folder} -c listen_addresses='' -c fsync=off", "-l", self.folder / "log", "start")
            self.run("createdb", "-h", self.folder, "-U", "ingrain", "served")
        except BaseException:
            self.__exit__()
            raise
        self.url = f"postgresql://ingrain@/served?host={self.folder}"
        return self

    def __exit__(self, *_):
        try:
            if (self.folder / "data" / "postmaster.pid").exists():
                self.control("-m", "immediate", "stop")
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def control(self, *arguments):
        self.run("pg_ctl", "-D", self.folder / "data", "-w", *arguments)

    def run(self, program, *arguments):
        command = [str(programs() / program), *map(str, arguments)]
        if os.getuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            command = ["runuser", "-u", "postgres", "--", *command]
        # Its own files: a server that goes on in the background would keep a pipe open.
        with tempfile.TemporaryFile() as said:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, cwd="/", timeout=120)
            said.seek(0)
            assert done.returncode == 0, f"{program}: {said.read().decode(errors='replace')}"
