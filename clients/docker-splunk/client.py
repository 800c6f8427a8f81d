from docker import run
from numbered import HOST, PORT

run("splunk", "splunk-token=secret", f"splunk-url=http://{HOST}:{PORT}")
