"""What names of servers and machines look like, for the configuration and the command line."""

SERVER = r"^(nats|tls)://(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?$"
MACHINE = r"^[A-Za-z0-9_-]{1,40}$"
