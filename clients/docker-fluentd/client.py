from docker import run
from numbered import HOST, PORT

run("fluentd", f"fluentd-address={HOST}:{PORT}")
