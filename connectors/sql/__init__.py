"""PostgreSQL: read the result of a query."""

from connectors.sql.source import SqlQuerySource

__all__ = ["SqlQuerySource"]
