from logger import send_with

send_with("--udp")
