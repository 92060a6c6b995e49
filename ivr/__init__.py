"""A telephone server that listens: SIP and speech in, understanding and answers out."""

__version__ = "0.1.0"
