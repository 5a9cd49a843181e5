"""The spool on PostgreSQL (extra ``postgres``), for any number of bridges at once."""

from bridge.spool.postgres.store import migrate, open_postgres

__all__ = ["migrate", "open_postgres"]
