"""Installs clients below the cache, never on the machine or in the repository."""

import hashlib
import json
import shutil
import subprocess
import sys

INSTALL_LIMIT_S = 600


def install(client, cache):
    """Installs a client's packages below the cache, unless they are there, and
    copies its program to `<cache>/<name>`."""
    folder = cache / client.name
    folder.mkdir(parents=True, exist_ok=True)
    for file in [*client.folder.iterdir(), *(client.folder.parent / "shared").iterdir()]:
        if file.is_file():
            shutil.copy(file, folder)
    wanted = _digest(client)
    home = _home(client, cache)
    home.mkdir(exist_ok=True)
    mark = home / ".installed"
    if not mark.exists() or mark.read_text() != wanted:
        print(f"installing {client.name}", file=sys.stderr, flush=True)
        _INSTALLERS[client.language](client, home)
        mark.write_text(wanted)


def _home(client, cache):
    """Where the packages are. Clients of the same Debian packages share them."""
    if client.language == "debian":
        return cache / f"debian-{_digest(client)[:12]}"
    return cache / client.name


def _digest(client):
    text = json.dumps(client.packages)
    for name in ("requirements.txt", "package.json"):
        if (client.folder / name).exists():
            text += (client.folder / name).read_text()
    return hashlib.sha256(text.encode()).hexdigest()


def _run(command, **options):
    done = subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=INSTALL_LIMIT_S, **options,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} failed:\n{done.stdout[-3000:]}")
    return done.stdout


def _python(_client, folder):
    _run([sys.executable, "-m", "venv", "--clear", folder / "venv"])
    pip = [folder / "venv/bin/python", "-m", "pip", "install", "-q"]
    _run([*pip, "--disable-pip-version-check", "-r", folder / "requirements.txt"])


def _node(_client, folder):
    _run(["npm", "install", "--no-audit", "--no-fund", "--loglevel=error"], cwd=folder)


def _debian(client, folder):
    """Unpacks Debian's packages with what they need and the machine lacks."""
    options = ["-o", "APT::Sandbox::User=", "-o", "Debug::NoLocking=1"]
    command = ["apt-get", *options, "install", "-s", "--no-install-recommends"]
    plan = _run([*command, *client.packages])
    missing = [line.split()[1] for line in plan.splitlines() if line.startswith("Inst ")]
    archives = folder / "archives"
    archives.mkdir(exist_ok=True)
    _run(["apt-get", *options, "-q", "download", *{*missing, *client.packages}], cwd=archives)
    for archive in archives.glob("*.deb"):
        _run(["dpkg-deb", "-x", archive, folder / "root"])


_INSTALLERS = {"python": _python, "node": _node, "debian": _debian}


def version(client, cache):
    """The version of the client's main package."""
    main, folder = client.packages[0], _home(client, cache)
    if client.language == "node":
        text = (folder / "node_modules" / main / "package.json").read_text()
        return json.loads(text)["version"]
    if client.language == "python":
        code = f"import importlib.metadata as m; print(m.version({main!r}))"
        return _run([folder / "venv/bin/python", "-c", code]).strip()
    archive = next((folder / "archives").glob(f"{main}_*.deb"))
    return archive.name.split("_")[1].replace("%3a", ":")


def command(client, cache):
    """How the client's program is started, and its environment."""
    folder = cache / client.name
    if client.language == "node":
        return ["node", folder / "client.mjs"], {}
    if client.language == "python":
        return [folder / "venv/bin/python", "-u", folder / "client.py"], {}
    root = _home(client, cache) / "root"
    libraries = [*root.glob("usr/lib/*-linux-gnu"), *root.glob("lib/*-linux-gnu")]
    libraries += [*root.glob("usr/lib/syslog-ng"), *root.glob("lib/systemd")]
    env = {
        "CLIENT_ROOT": root,
        "CLIENT_LIBRARIES": ":".join(str(library) for library in libraries),
    }
    return [sys.executable, "-u", folder / "client.py"], env
