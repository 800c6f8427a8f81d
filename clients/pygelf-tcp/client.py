from pygelf import GelfTcpHandler

from gelf import send_through
from numbered import HOST, PORT

send_through(GelfTcpHandler(host=HOST, port=PORT))
