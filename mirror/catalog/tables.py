"""The catalog's tables as they are now; how an older catalog becomes like this is in ``versions``."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, DateTime, Double, ForeignKey, Integer, MetaData, String, Table, Text

HEAD = "0001"
"""The newest migration. A catalog that is there already needs no alembic."""

# Constraints have names, so that any later migration can change them on any engine.
metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pk",
        "fk": "%(table_name)s_%(column_0_name)s_fk",
        "uq": "%(table_name)s_%(column_0_name)s_key",
        "ix": "%(table_name)s_%(column_0_name)s_idx",
    }
)

run = Table(
    "mirror_run",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job", Text, nullable=False),
    Column("started", DateTime, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("message", Text, nullable=False),
    Column("rows_written", BigInteger, nullable=False),
    Column("seconds", Double),
    Column("profile", String(64)),
)

run_source = Table(
    "mirror_run_source",
    metadata,
    Column("run", ForeignKey("mirror_run.id", ondelete="CASCADE"), primary_key=True),
    Column("source", String(128), primary_key=True),
    Column("engine", String(32), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("profiled_at", String(32), nullable=False),
    Column("identity", Text),
)

run_target = Table(
    "mirror_run_target",
    metadata,
    Column("run", ForeignKey("mirror_run.id", ondelete="CASCADE"), primary_key=True),
    Column("source", String(128), primary_key=True),
    Column("engine", String(32), nullable=False),
    Column("url", Text, nullable=False),
    Column("identity", Text, nullable=False),
    Column("mode", String(16), nullable=False),
)

# One row for each target that is being written. The key is a digest, since identities may be longer than a key may be.
target_lock = Table(
    "mirror_target_lock",
    metadata,
    Column("target", String(64), primary_key=True),
    Column("run", ForeignKey("mirror_run.id", ondelete="CASCADE"), nullable=False),
    Column("place", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("born", String(32), nullable=False),
    Column("renewed", DateTime, nullable=False),
)
