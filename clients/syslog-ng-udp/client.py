from numbered import HOST, PORT
from syslog_ng import run_syslog_ng

run_syslog_ng(f"""
destination d_sluice {{ syslog("{HOST}" port({PORT}) transport("udp")); }};
""")
