from numbered import HOST, PORT
from rsyslog import run_rsyslog

run_rsyslog(f"""
module(load="omelasticsearch")
action(
    type="omelasticsearch"
    server="{HOST}"
    serverport="{PORT}"
    bulkmode="on"
    action.resumeRetryCount="-1"
)
""")
