"""Alembic's entry: runs revisions on the connection that it is handed. It opens nothing itself."""

from __future__ import annotations

from alembic import context

from app.adapters.journal_schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
