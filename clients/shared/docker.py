"""A Docker engine of Debian, and a container that prints numbered messages
through one of its log drivers. The driver runs in the engine, so the container
needs no network."""

import io
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

from daemon import ROOT
from numbered import believed, messages

START_LIMIT_S = 60
END_LIMIT_S = 60
IMAGE = "printer"


def _environment(folder):
    places = [ROOT / place for place in ("usr/sbin", "usr/bin", "sbin", "bin")]
    path = ":".join([*(str(place) for place in places), os.environ["PATH"]])
    return {
        **os.environ, "PATH": path, "DOCKER_HOST": f"unix://{folder}/docker.sock",
        "LD_LIBRARY_PATH": os.environ.get("CLIENT_LIBRARIES", ""), "DOCKER_CONFIG": str(folder),
    }


class Engine:
    def __init__(self, folder):
        self.env = _environment(folder)
        self.process = subprocess.Popen(
            [ROOT / "usr/sbin/dockerd", "--bridge", "none", "--iptables=false",
             "--storage-driver", "vfs", "--data-root", folder / "data",
             "--exec-root", folder / "exec", "--pidfile", folder / "pid",
             "--host", self.env["DOCKER_HOST"]],
            env=self.env, stdout=sys.stderr,
        )
        deadline = time.monotonic() + START_LIMIT_S
        while self.docker("version", check=False).returncode != 0:
            if self.process.poll() is not None or time.monotonic() > deadline:
                sys.exit("the Docker engine does not start")
            time.sleep(0.2)

    def docker(self, *arguments, check=True, **options):
        command = [ROOT / "usr/bin/docker", *arguments]
        return subprocess.run(command, env=self.env, check=check, capture_output=True, **options)

    def stop(self):
        self.process.terminate()
        self.process.wait(END_LIMIT_S)


def _image():
    """A file system with nothing but busybox."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add(ROOT / "bin/busybox", "bin/busybox")
    return packed.getvalue()


def run(driver, *options):
    """Sends all messages through a container with this log driver. It believes
    what the container has printed."""
    # The engine ends its containers when it stops, so it must not be killed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory() as name:
        engine = Engine(Path(name))
        try:
            engine.docker("import", "-", IMAGE, input=_image())
            flags = [part for option in options for part in ("--log-opt", option)]
            container = subprocess.Popen(
                [ROOT / "usr/bin/docker", "run", "--interactive", "--network", "none",
                 "--name", "shop", "--log-driver", driver, *flags, IMAGE, "/bin/busybox", "cat"],
                env=engine.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )
            for number, text in messages():
                container.stdin.write(f"{text}\n")
                container.stdin.flush()
                if container.stdout.readline() == f"{text}\n":
                    believed(number)
            sys.stdin.read()
            container.stdin.close()
            container.wait(END_LIMIT_S)
        finally:
            engine.stop()
