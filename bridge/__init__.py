"""ticket-bridge: posts customers' e-mail answers as replies on their support tickets."""

__version__ = "0.1.0"
