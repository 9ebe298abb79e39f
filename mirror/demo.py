"""Build the three linked databases that ``mirror demo`` mirrors, and say how to configure it for them.

The CRM and the support desk live in SQLite, the shop in DuckDB. Customers are shared: the shop and the desk know them
by the CRM's id, a foreign key that no engine can declare.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mirror_connectors.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pyarrow as pa

__all__ = ["CONFIG", "DemoSource", "build"]


@dataclass(frozen=True, slots=True)
class DemoSource:
    """A source database of the demo: its name in the configuration, and the URL that opens it from any folder."""

    name: str
    url: str


CONFIG = """\
# The configuration of the demo: three databases that share their customers, mirrored together.
# Relative paths are relative to this file.

[sources.crm]                    # who the customers are: SQLite
url = "sqlite:///sources/crm.db"

[sources.shop]                   # what they buy: DuckDB
url = "duckdb:///sources/shop.duckdb"

[sources.support]                # what they complain about: SQLite
url = "sqlite:///sources/support.db"

[targets.crm]                    # where each mirror goes; any engine would do
url = "sqlite:///mirrored/crm.db"
mode = "replace"                 # what an earlier run left there makes way, all or nothing

[targets.shop]
url = "duckdb:///mirrored/shop.duckdb"
mode = "replace"

[targets.support]
url = "sqlite:///mirrored/support.db"
mode = "replace"

# Foreign keys that no engine can declare, because they lead from one database into another.
[[links]]
child = "shop.main.order(customer_ref)"
parent = "crm.main.customer(id)"
same = [["customer_email", "email"]]  # the shop keeps a copy of the address: both must agree

[[links]]
child = "support.main.ticket(customer_id)"
parent = "crm.main.customer(id)"

# A declared key may be named as well, to say which columns agree along it.
[[links]]
child = "shop.main.order_line(sku)"
parent = "shop.main.product(sku)"
same = [["unit_price", "price"]]

# Reference relations say nothing about anybody, and are taken as they are.
[[rules]]
match = "crm.main.country"
copy = true

[[rules]]
match = "shop.main.category"
copy = true

[privacy]
k = 10                           # what fewer than ten rows share is never learned

[run]
scale = 1.0                      # as many rows as the sources have; 0.1 or 50.0 work as well
seed = 7                         # same seed, same rows
profile = "demo.mirror"          # what was learned is kept here; with it, a run needs no source
"""


# What is declared -----------------------------------------------------------------------------------------------------

_CRM_DDL = """
CREATE TABLE country (
    code CHAR(2) PRIMARY KEY NOT NULL,
    name VARCHAR(60) NOT NULL UNIQUE,
    calling_code VARCHAR(5) NOT NULL,
    in_eu BOOLEAN NOT NULL CHECK (in_eu IN (0, 1))
);
CREATE TABLE customer (
    id INTEGER PRIMARY KEY,
    given_name VARCHAR(60) NOT NULL,
    family_name VARCHAR(60) NOT NULL,
    email VARCHAR(120) NOT NULL UNIQUE,
    phone VARCHAR(30),
    birth_date DATE,
    city VARCHAR(60) NOT NULL,
    country_code CHAR(2) NOT NULL REFERENCES country (code),
    segment VARCHAR(20) NOT NULL CHECK (segment IN ('private', 'student', 'small_business', 'enterprise')),
    loyalty_tier VARCHAR(10) NOT NULL CHECK (loyalty_tier IN ('none', 'bronze', 'silver', 'gold')),
    signed_up_at TIMESTAMP NOT NULL,
    marketing_opt_in BOOLEAN NOT NULL CHECK (marketing_opt_in IN (0, 1)),
    referred_by INTEGER REFERENCES customer (id)
);
CREATE INDEX customer_country ON customer (country_code);
CREATE INDEX customer_name ON customer (family_name, given_name);
CREATE TABLE address (
    id INTEGER PRIMARY KEY,
    customer_id INTEGER NOT NULL REFERENCES customer (id) ON DELETE CASCADE,
    kind VARCHAR(10) NOT NULL CHECK (kind IN ('shipping', 'billing')),
    street VARCHAR(120) NOT NULL,
    postal_code VARCHAR(12) NOT NULL,
    city VARCHAR(60) NOT NULL,
    country_code CHAR(2) NOT NULL REFERENCES country (code),
    UNIQUE (customer_id, kind)
);
CREATE INDEX address_postal_code ON address (postal_code);
"""

_SHOP_DDL = """
CREATE TABLE category (
    id INTEGER PRIMARY KEY,
    name VARCHAR NOT NULL UNIQUE,
    parent_id INTEGER REFERENCES category (id)
);
CREATE TABLE product (
    sku VARCHAR PRIMARY KEY,
    name VARCHAR NOT NULL,
    category_id INTEGER NOT NULL REFERENCES category (id),
    price DECIMAL(10, 2) NOT NULL CHECK (price > 0),
    active BOOLEAN NOT NULL
);
CREATE TABLE "order" (
    id BIGINT PRIMARY KEY,
    customer_ref BIGINT NOT NULL,
    customer_email VARCHAR NOT NULL,
    ordered_at TIMESTAMP NOT NULL,
    shipped_at TIMESTAMP,
    status VARCHAR NOT NULL CHECK (status IN ('placed', 'paid', 'shipped', 'delivered', 'cancelled')),
    shipping DECIMAL(10, 2) NOT NULL,
    total DECIMAL(12, 2) NOT NULL,
    CHECK (shipped_at >= ordered_at)
);
CREATE INDEX order_customer ON "order" (customer_ref);
CREATE INDEX order_time ON "order" (ordered_at);
CREATE TABLE order_line (
    order_id BIGINT REFERENCES "order" (id),
    line_no INTEGER,
    sku VARCHAR NOT NULL REFERENCES product (sku),
    quantity INTEGER NOT NULL CHECK (quantity > 0),
    unit_price DECIMAL(10, 2) NOT NULL,
    line_total DECIMAL(12, 2) NOT NULL,
    PRIMARY KEY (order_id, line_no)
);
CREATE INDEX line_product ON order_line (sku);
CREATE TABLE payment (
    id BIGINT PRIMARY KEY,
    order_id BIGINT NOT NULL UNIQUE REFERENCES "order" (id),
    method VARCHAR NOT NULL CHECK (method IN ('card', 'wallet', 'bank_transfer', 'invoice')),
    paid_at TIMESTAMP NOT NULL,
    amount DECIMAL(12, 2) NOT NULL
);
COMMENT ON COLUMN "order".customer_ref IS 'customer.id in the CRM';
COMMENT ON COLUMN "order".total IS 'all lines and the shipping';
"""

_SUPPORT_DDL = """
CREATE TABLE agent (
    id INTEGER PRIMARY KEY,
    name VARCHAR(120) NOT NULL,
    email VARCHAR(120) NOT NULL UNIQUE,
    team VARCHAR(20) NOT NULL CHECK (team IN ('orders', 'billing', 'product')),
    hired_on DATE NOT NULL
);
CREATE TABLE ticket (
    id INTEGER PRIMARY KEY,
    customer_id INTEGER NOT NULL,
    agent_id INTEGER REFERENCES agent (id),
    opened_at TIMESTAMP NOT NULL,
    closed_at TIMESTAMP,
    priority VARCHAR(10) NOT NULL CHECK (priority IN ('low', 'normal', 'high', 'urgent')),
    status VARCHAR(10) NOT NULL CHECK (status IN ('open', 'pending', 'closed')),
    subject VARCHAR(200) NOT NULL,
    body TEXT NOT NULL,
    CHECK (closed_at >= opened_at)
);
CREATE INDEX ticket_customer ON ticket (customer_id);
CREATE INDEX ticket_opened ON ticket (opened_at);
CREATE TABLE message (
    ticket_id INTEGER NOT NULL REFERENCES ticket (id) ON DELETE CASCADE,
    position INTEGER NOT NULL CHECK (position >= 1),
    author VARCHAR(10) NOT NULL CHECK (author IN ('customer', 'agent', 'system')),
    sent_at TIMESTAMP NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (ticket_id, position)
);
"""


def build(folder: Path, *, seed: int = 1, customers: int = 2000) -> tuple[DemoSource, ...]:
    """Write ``crm``, ``shop`` and ``support`` into ``folder / "sources"``, and say how to open them.

    Everything follows from ``seed`` (0 or more) and ``customers``: about three orders, eight lines, one and a half
    tickets and four messages for each customer. What an earlier demo left in ``sources`` is replaced; ``mirrored`` is
    made beside it if need be, for the targets of ``CONFIG``.

    Raises ``ConfigError`` for fewer than 50 customers, and where ``sources`` holds files that no demo has put there.
    """
    from mirror.demo_company import company

    if customers < 50:
        raise ConfigError(f"customers: wanted at least 50 for a demo, found {customers}; leave it out for 2000")
    sources = _make_room(folder.resolve())
    made = company(seed=seed, customers=customers)
    _write_sqlite(sources / "crm.db", _CRM_DDL, made.crm)
    _write_duckdb(sources / "shop.duckdb", _SHOP_DDL, made.shop)
    _write_sqlite(sources / "support.db", _SUPPORT_DDL, made.support)
    return (
        DemoSource("crm", f"sqlite:///{(sources / 'crm.db').as_posix()}"),
        DemoSource("shop", f"duckdb:///{(sources / 'shop.duckdb').as_posix()}"),
        DemoSource("support", f"sqlite:///{(sources / 'support.db').as_posix()}"),
    )


def _make_room(folder: Path) -> Path:
    # A folder named "sources" may well be somebody's own: only one that carries our note is cleared.
    sources, note = folder / "sources", folder / "sources" / "made-by-mirror-demo.txt"
    if sources.exists() and any(sources.iterdir()) and not note.exists():
        raise ConfigError(
            f"{sources}: wanted no such folder, or one that an earlier demo made; found other files; "
            "run the demo in another folder"
        )
    sources.mkdir(parents=True, exist_ok=True)
    (folder / "mirrored").mkdir(exist_ok=True)
    note.write_text(
        "These databases were made up by `mirror demo`, which replaces them when it runs again.\n", encoding="utf-8"
    )
    for name in ("crm.db", "shop.duckdb", "shop.duckdb.wal", "support.db"):
        (sources / name).unlink(missing_ok=True)
    return sources


def _write_sqlite(path: Path, ddl: str, relations: Mapping[str, pa.Table]) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.executescript(ddl)
        with connection:
            for name, rows in relations.items():
                marks = ", ".join("?" * rows.num_columns)
                columns = [_sqlite_values(column) for column in rows.columns]
                connection.executemany(f"INSERT INTO {name} VALUES ({marks})", zip(*columns, strict=True))  # noqa: S608


def _sqlite_values(column: pa.ChunkedArray) -> list[Any]:
    # SQLite has no type for time: text as its own functions write it.
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_temporal(column.type):
        pattern = "%Y-%m-%d" if pa.types.is_date(column.type) else "%Y-%m-%d %H:%M:%S"
        return list(pc.strftime(column, pattern).to_pylist())
    return list(column.to_pylist())


def _write_duckdb(path: Path, ddl: str, relations: Mapping[str, pa.Table]) -> None:
    import duckdb

    # One thread, so that rows stand in the file in the order they were made.
    with duckdb.connect(str(path), config={"threads": 1}) as connection:
        connection.execute(ddl)
        for name, rows in relations.items():
            # DuckDB looks for a parent among the rows of earlier statements only, so a tree goes in row by row.
            step = 1 if name == "category" else rows.num_rows
            for start in range(0, rows.num_rows, step):
                connection.register("made", rows.slice(start, step))
                connection.execute(f'INSERT INTO "{name}" BY NAME SELECT * FROM made')  # noqa: S608
                connection.unregister("made")
