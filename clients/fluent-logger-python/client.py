from fluent import sender

from numbered import HOST, PORT, believed, messages

# What it cannot send at once, it keeps and sends later, so `emit` says little.
logger = sender.FluentSender("shop", host=HOST, port=PORT)
for number, text in messages():
    logger.emit("order", {"message": text})
    believed(number)
logger.close()
