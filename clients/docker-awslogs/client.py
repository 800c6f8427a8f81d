import os

from docker import run
from numbered import HOST, PORT

# The engine signs its requests with these, and Sluice does not check that.
os.environ |= {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}
run(
    "awslogs", "awslogs-region=eu-west-1", f"awslogs-endpoint=http://{HOST}:{PORT}",
    "awslogs-group=shop", "awslogs-stream=orders",
)
