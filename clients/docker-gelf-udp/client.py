from docker import run
from numbered import HOST, PORT

run("gelf", f"gelf-address=udp://{HOST}:{PORT}")
