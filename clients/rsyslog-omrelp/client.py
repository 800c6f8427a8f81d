from numbered import HOST, PORT
from rsyslog import run_rsyslog

run_rsyslog(f"""
module(load="omrelp")
action(
    type="omrelp"
    target="{HOST}"
    port="{PORT}"
    template="RSYSLOG_SyslogProtocol23Format"
    action.resumeRetryCount="-1"
)
""")
