"""rsyslog, with a configuration of the client."""

from daemon import ROOT, library_folder, run

_FIRST = """
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="SOCKET")
"""


def run_rsyslog(action):
    run(_FIRST + action, lambda folder: [
        ROOT / "usr/sbin/rsyslogd", "-n", "-f", folder / "daemon.conf",
        "-i", folder / "pid", "-M", library_folder() / "rsyslog",
    ])
