"""One file per kind of destination, each with a class `Destination`."""
