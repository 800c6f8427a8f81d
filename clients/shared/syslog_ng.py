"""syslog-ng, with a destination `d_sluice` of the client."""

from daemon import ROOT, run

_FIRST = """
@version: 3.38
source s_local { unix-dgram("SOCKET"); };
"""
_LAST = """
log { source(s_local); destination(d_sluice); };
"""


def run_syslog_ng(destination):
    run(_FIRST + destination + _LAST, lambda folder: [
        ROOT / "usr/sbin/syslog-ng", "--foreground", "--no-caps",
        "--cfgfile", folder / "daemon.conf", "--persist-file", folder / "persist",
        "--pidfile", folder / "pid", "--control", folder / "control",
        "--module-path", ROOT / "usr/lib/syslog-ng/3.38",
    ])
