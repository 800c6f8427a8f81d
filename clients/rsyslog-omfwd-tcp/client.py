from numbered import HOST, PORT
from rsyslog import run_rsyslog

run_rsyslog(f"""
action(
    type="omfwd"
    target="{HOST}"
    port="{PORT}"
    protocol="tcp"
    template="RSYSLOG_SyslogProtocol23Format"
    action.resumeRetryCount="-1"
)
""")
