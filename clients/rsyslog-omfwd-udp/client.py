from numbered import HOST, PORT
from rsyslog import run_rsyslog

run_rsyslog(f"""
action(
    type="omfwd"
    target="{HOST}"
    port="{PORT}"
    protocol="udp"
    template="RSYSLOG_SyslogProtocol23Format"
)
""")
