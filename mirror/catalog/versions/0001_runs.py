"""Runs, what they knew, what they wrote, and who is writing now."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "mirror_run",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("job", sa.Text, nullable=False),
        sa.Column("started", sa.DateTime, nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("rows_written", sa.BigInteger, nullable=False),
        sa.Column("seconds", sa.Double),
        sa.Column("profile", sa.String(64)),
        sa.PrimaryKeyConstraint("id", name="mirror_run_pk"),
    )
    op.create_table(
        "mirror_run_source",
        sa.Column("run", sa.Integer, nullable=False),
        sa.Column("source", sa.String(128), nullable=False),
        sa.Column("engine", sa.String(32), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("profiled_at", sa.String(32), nullable=False),
        sa.Column("identity", sa.Text),
        sa.PrimaryKeyConstraint("run", "source", name="mirror_run_source_pk"),
        sa.ForeignKeyConstraint(["run"], ["mirror_run.id"], name="mirror_run_source_run_fk", ondelete="CASCADE"),
    )
    op.create_table(
        "mirror_run_target",
        sa.Column("run", sa.Integer, nullable=False),
        sa.Column("source", sa.String(128), nullable=False),
        sa.Column("engine", sa.String(32), nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("identity", sa.Text, nullable=False),
        sa.Column("mode", sa.String(16), nullable=False),
        sa.PrimaryKeyConstraint("run", "source", name="mirror_run_target_pk"),
        sa.ForeignKeyConstraint(["run"], ["mirror_run.id"], name="mirror_run_target_run_fk", ondelete="CASCADE"),
    )
    op.create_table(
        "mirror_target_lock",
        sa.Column("target", sa.String(64), nullable=False),
        sa.Column("run", sa.Integer, nullable=False),
        sa.Column("place", sa.Text, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("born", sa.String(32), nullable=False),
        sa.Column("renewed", sa.DateTime, nullable=False),
        sa.PrimaryKeyConstraint("target", name="mirror_target_lock_pk"),
        sa.ForeignKeyConstraint(["run"], ["mirror_run.id"], name="mirror_target_lock_run_fk", ondelete="CASCADE"),
    )


def downgrade() -> None:
    for name in ("mirror_target_lock", "mirror_run_target", "mirror_run_source", "mirror_run"):
        op.drop_table(name)
