from docker import run
from numbered import HOST, PORT

run("syslog", f"syslog-address=tcp://{HOST}:{PORT}")
