"""What alembic runs to bring a catalog up to date, over the connection that it is handed."""

from alembic import context

from mirror.catalog.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table="mirror_version",
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
