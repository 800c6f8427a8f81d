from pygelf import GelfUdpHandler

from gelf import send_through
from numbered import HOST, PORT

send_through(GelfUdpHandler(host=HOST, port=PORT))
