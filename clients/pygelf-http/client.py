from pygelf import GelfHttpHandler

from gelf import send_through
from numbered import HOST, PORT

send_through(GelfHttpHandler(host=HOST, port=PORT))
