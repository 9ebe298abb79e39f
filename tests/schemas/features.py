"""Small schemas of our own writing, each with one thing that real schemas do, in the SQL of each engine that has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

ALL = "*"
"""Any engine that is not named by itself."""


@dataclass(frozen=True, slots=True)
class Case:
    """One thing. The names of its relations begin with ``prefix``; those that begin with an ``e`` are given invented rows."""

    line: int
    """Its line in `tests.features.LINES`."""
    what: str
    prefix: str
    sql: Mapping[str, str]
    """Statements by engine, each ended by a semicolon at the end of a line. An engine without any does not have it: see ``absent``."""
    findings: Mapping[str, str] = field(default_factory=dict)
    """By engine: a part of the finding that goes with it."""
    probe: str | None = None
    """A query of the mirror that must find no row."""
    absent: Mapping[str, str] = field(default_factory=dict)
    """By engine: statements of which the engine refuses the last."""

    def statements(self, engine: str) -> list[str]:
        """Return the statements for one engine; [] where it has no such thing."""
        return split(self.sql.get(engine, "" if engine in self.absent else self.sql.get(ALL, "")))


def split(text: str) -> list[str]:
    """Cut text into statements at semicolons at the end of a line."""
    return [part for part in (piece.strip() for piece in text.split(";\n")) if part]


CASES = (
    Case(
        1,
        "a shop has a manager, who has a shop",
        "e01",
        {
            ALL: """
                CREATE TABLE e01_shop (id INTEGER NOT NULL PRIMARY KEY, manager INTEGER NOT NULL);
                CREATE TABLE e01_staff (id INTEGER NOT NULL PRIMARY KEY, shop INTEGER NOT NULL,
                    FOREIGN KEY (shop) REFERENCES e01_shop (id));
                ALTER TABLE e01_shop ADD FOREIGN KEY (manager) REFERENCES e01_staff (id);
            """,
            "sqlite": """
                CREATE TABLE e01_shop (id INTEGER NOT NULL PRIMARY KEY, manager INTEGER NOT NULL REFERENCES e01_staff (id));
                CREATE TABLE e01_staff (id INTEGER NOT NULL PRIMARY KEY, shop INTEGER NOT NULL REFERENCES e01_shop (id));
            """,
        },
        absent={"duckdb": "CREATE TABLE e01_shop (id INTEGER PRIMARY KEY, manager INTEGER REFERENCES e01_staff (id))"},
        findings=dict.fromkeys(("postgresql", "mariadb", "sqlite"), "closes a cycle"),
    ),
    Case(
        2,
        "four relations in a circle, one key of which may be NULL",
        "e02a",
        {
            ALL: """
                CREATE TABLE e02a_one (id INTEGER NOT NULL PRIMARY KEY, four INTEGER);
                CREATE TABLE e02a_two (id INTEGER NOT NULL PRIMARY KEY, one INTEGER NOT NULL,
                    FOREIGN KEY (one) REFERENCES e02a_one (id));
                CREATE TABLE e02a_three (id INTEGER NOT NULL PRIMARY KEY, two INTEGER NOT NULL,
                    FOREIGN KEY (two) REFERENCES e02a_two (id));
                CREATE TABLE e02a_four (id INTEGER NOT NULL PRIMARY KEY, three INTEGER NOT NULL,
                    FOREIGN KEY (three) REFERENCES e02a_three (id));
                ALTER TABLE e02a_one ADD FOREIGN KEY (four) REFERENCES e02a_four (id);
            """,
            "sqlite": """
                CREATE TABLE e02a_one (id INTEGER NOT NULL PRIMARY KEY, four INTEGER REFERENCES e02a_four (id));
                CREATE TABLE e02a_two (id INTEGER NOT NULL PRIMARY KEY, one INTEGER NOT NULL REFERENCES e02a_one (id));
                CREATE TABLE e02a_three (id INTEGER NOT NULL PRIMARY KEY, two INTEGER NOT NULL REFERENCES e02a_two (id));
                CREATE TABLE e02a_four (id INTEGER NOT NULL PRIMARY KEY, three INTEGER NOT NULL REFERENCES e02a_three (id));
            """,
        },
        absent={"duckdb": "CREATE TABLE e02a_one (id INTEGER PRIMARY KEY, four INTEGER REFERENCES e02a_four (id))"},
        findings=dict.fromkeys(("postgresql", "mariadb", "sqlite"), "closes a cycle"),
    ),
    Case(
        3,
        "a person's two addresses",
        "e03a",
        {
            ALL: """
                CREATE TABLE e03a_address (id INTEGER NOT NULL PRIMARY KEY, city VARCHAR(40) NOT NULL);
                CREATE TABLE e03a_person (id INTEGER NOT NULL PRIMARY KEY, mailing INTEGER NOT NULL, billing INTEGER,
                    FOREIGN KEY (mailing) REFERENCES e03a_address (id), FOREIGN KEY (billing) REFERENCES e03a_address (id));
            """
        },
    ),
    Case(
        3,
        "a person's addresses, and each address's person",
        "e03b",
        {
            ALL: """
                CREATE TABLE e03b_person (id INTEGER NOT NULL PRIMARY KEY, mailing INTEGER, billing INTEGER);
                CREATE TABLE e03b_address (id INTEGER NOT NULL PRIMARY KEY, person INTEGER NOT NULL,
                    FOREIGN KEY (person) REFERENCES e03b_person (id));
                ALTER TABLE e03b_person ADD FOREIGN KEY (mailing) REFERENCES e03b_address (id);
                ALTER TABLE e03b_person ADD FOREIGN KEY (billing) REFERENCES e03b_address (id);
            """,
            "sqlite": """
                CREATE TABLE e03b_person (id INTEGER NOT NULL PRIMARY KEY,
                    mailing INTEGER REFERENCES e03b_address (id), billing INTEGER REFERENCES e03b_address (id));
                CREATE TABLE e03b_address (id INTEGER NOT NULL PRIMARY KEY, person INTEGER NOT NULL REFERENCES e03b_person (id));
            """,
        },
        absent={
            "duckdb": """
                CREATE TABLE e03b_person (id INTEGER NOT NULL PRIMARY KEY, mailing INTEGER);
                CREATE TABLE e03b_address (id INTEGER NOT NULL PRIMARY KEY, person INTEGER REFERENCES e03b_person (id));
                ALTER TABLE e03b_person ADD FOREIGN KEY (mailing) REFERENCES e03b_address (id)
            """
        },
        findings=dict.fromkeys(("postgresql", "mariadb", "sqlite"), "closes a cycle"),
    ),
    Case(
        4,
        "edges refer to a relation that has a UNIQUE and no primary key",
        "e04",
        {
            ALL: """
                CREATE TABLE e04_event (uid VARCHAR(40) NOT NULL, room INTEGER NOT NULL, UNIQUE (uid));
                CREATE TABLE e04_edge (event VARCHAR(40) NOT NULL, previous VARCHAR(40) NOT NULL,
                    FOREIGN KEY (event) REFERENCES e04_event (uid));
            """
        },
    ),
    Case(
        5,
        "only a unique index, or no key at all",
        "e05",
        {
            ALL: """
                CREATE TABLE e05_state (room INTEGER NOT NULL, kind INTEGER NOT NULL, note VARCHAR(20));
                CREATE UNIQUE INDEX e05_one ON e05_state (room, kind);
                CREATE TABLE e05_heap (what VARCHAR(20), size INTEGER);
            """
        },
        probe="SELECT room FROM e05_state GROUP BY room, kind HAVING COUNT(*) > 1",
    ),
    Case(
        8,
        "a tree whose roots are NULL, and one whose roots refer to themselves",
        "e08a",
        {
            ALL: """
                CREATE TABLE e08a_category (id INTEGER NOT NULL PRIMARY KEY, parent INTEGER,
                    FOREIGN KEY (parent) REFERENCES e08a_category (id));
                CREATE TABLE e08a_employee (id INTEGER NOT NULL PRIMARY KEY, boss INTEGER NOT NULL,
                    FOREIGN KEY (boss) REFERENCES e08a_employee (id));
            """
        },
        findings={"duckdb": "checked but not declared"},
    ),
    Case(
        8,
        "two references of a relation to itself",
        "e08b",
        {
            ALL: """
                CREATE TABLE e08b_page (id INTEGER NOT NULL PRIMARY KEY, parent INTEGER, moved_to INTEGER,
                    FOREIGN KEY (parent) REFERENCES e08b_page (id), FOREIGN KEY (moved_to) REFERENCES e08b_page (id));
            """
        },
    ),
    Case(
        9,
        "one to one extensions",
        "e09a",
        {
            ALL: """
                CREATE TABLE e09a_account (id INTEGER NOT NULL PRIMARY KEY);
                CREATE TABLE e09a_settings (account INTEGER NOT NULL PRIMARY KEY, dark BOOLEAN NOT NULL,
                    FOREIGN KEY (account) REFERENCES e09a_account (id));
            """
        },
    ),
    Case(
        10,
        "tenants: keys that share a column",
        "e10",
        {
            ALL: """
                CREATE TABLE e10_tenant (id INTEGER NOT NULL PRIMARY KEY);
                CREATE TABLE e10_purchase (tenant INTEGER NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (tenant, number),
                    FOREIGN KEY (tenant) REFERENCES e10_tenant (id));
                CREATE TABLE e10_product (tenant INTEGER NOT NULL, sku INTEGER NOT NULL, PRIMARY KEY (tenant, sku),
                    FOREIGN KEY (tenant) REFERENCES e10_tenant (id));
                CREATE TABLE e10_line (tenant INTEGER NOT NULL, number INTEGER NOT NULL, pos INTEGER NOT NULL,
                    sku INTEGER NOT NULL, PRIMARY KEY (tenant, number, pos),
                    FOREIGN KEY (tenant, number) REFERENCES e10_purchase (tenant, number),
                    FOREIGN KEY (tenant, sku) REFERENCES e10_product (tenant, sku));
            """
        },
    ),
    Case(
        11,
        "a junction with two overlapping uniques",
        "e11",
        {
            ALL: """
                CREATE TABLE e11_person (id INTEGER NOT NULL PRIMARY KEY);
                CREATE TABLE e11_club (id INTEGER NOT NULL PRIMARY KEY);
                CREATE TABLE e11_membership (person INTEGER NOT NULL, club INTEGER NOT NULL, seat INTEGER NOT NULL,
                    PRIMARY KEY (person, club), UNIQUE (club, seat),
                    FOREIGN KEY (person) REFERENCES e11_person (id), FOREIGN KEY (club) REFERENCES e11_club (id));
            """
        },
    ),
    Case(
        12,
        "rows counted only where they live",
        "r12",
        {
            "postgresql": """
                CREATE TABLE r12_city (id INTEGER NOT NULL, name TEXT NOT NULL);
                CREATE TABLE r12_capital (state TEXT NOT NULL) INHERITS (r12_city);
                INSERT INTO r12_city SELECT n, 'c' || n FROM generate_series(1, 30) n;
                INSERT INTO r12_capital SELECT n, 'c' || n, 's' || n FROM generate_series(31, 40) n;
            """
        },
        probe="SELECT 1 WHERE (SELECT COUNT(*) FROM ONLY r12_city) <> 30 OR (SELECT COUNT(*) FROM r12_city) <> 40",
        absent=dict.fromkeys(
            ("mariadb", "sqlite", "duckdb"),
            "CREATE TABLE r12_city (id INTEGER);\n CREATE TABLE r12_capital (state VARCHAR(9)) INHERITS (r12_city)",
        ),
        findings={"postgresql": "other relations inherit from it"},
    ),
    Case(
        13,
        "partitions by range, nested by list",
        "r13",
        {
            "postgresql": """
                CREATE TABLE r13_sale (id INTEGER NOT NULL, day DATE NOT NULL, region TEXT NOT NULL, PRIMARY KEY (id, day, region))
                    PARTITION BY RANGE (day);
                CREATE TABLE r13_sale_2024 PARTITION OF r13_sale FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')
                    PARTITION BY LIST (region);
                CREATE TABLE r13_sale_2024_n PARTITION OF r13_sale_2024 FOR VALUES IN ('north');
                CREATE TABLE r13_sale_2024_s PARTITION OF r13_sale_2024 FOR VALUES IN ('south');
                INSERT INTO r13_sale SELECT n, DATE '2024-01-01' + n, (ARRAY['north', 'south'])[n % 2 + 1]
                    FROM generate_series(1, 200) n;
            """,
            "mariadb": """
                CREATE TABLE r13_sale (id INTEGER NOT NULL, day DATE NOT NULL, PRIMARY KEY (id, day))
                    PARTITION BY RANGE (YEAR(day)) (PARTITION y24 VALUES LESS THAN (2025), PARTITION y25 VALUES LESS THAN (2026));
                INSERT INTO r13_sale SELECT seq, DATE '2024-01-01' + INTERVAL seq DAY FROM seq_1_to_200;
            """,
        },
        absent=dict.fromkeys(
            ("sqlite", "duckdb"), "CREATE TABLE r13_sale (id INTEGER, day DATE) PARTITION BY RANGE (day)"
        ),
    ),
    Case(
        14,
        "a partial unique",
        "e14a",
        {
            ALL: """
                CREATE TABLE e14a_owner (id INTEGER NOT NULL PRIMARY KEY);
                CREATE TABLE e14a_mail (id INTEGER NOT NULL PRIMARY KEY, owner INTEGER NOT NULL, is_primary BOOLEAN NOT NULL,
                    FOREIGN KEY (owner) REFERENCES e14a_owner (id));
                CREATE UNIQUE INDEX e14a_one ON e14a_mail (owner) WHERE is_primary;
            """
        },
        probe="SELECT owner FROM e14a_mail WHERE is_primary GROUP BY owner HAVING COUNT(*) > 1",
        absent=dict.fromkeys(
            ("mariadb", "duckdb"),
            "CREATE TABLE e14a_mail (owner INTEGER, is_primary BOOLEAN);\n"
            "CREATE UNIQUE INDEX e14a_one ON e14a_mail (owner) WHERE is_primary",
        ),
    ),
    Case(
        14,
        "a unique under which NULLs are equal",
        "e14b",
        {
            "postgresql": """
                CREATE TABLE e14b_slot (id INTEGER NOT NULL PRIMARY KEY, place INTEGER, hour INTEGER,
                    UNIQUE NULLS NOT DISTINCT (place, hour));
            """
        },
        probe="SELECT place FROM e14b_slot GROUP BY place, hour HAVING COUNT(*) > 1",
        absent=dict.fromkeys(
            ("mariadb", "sqlite", "duckdb"), "CREATE TABLE e14b_slot (place INTEGER, UNIQUE NULLS NOT DISTINCT (place))"
        ),
    ),
    Case(
        14,
        "a unique expression",
        "e14c",
        {
            ALL: """
                CREATE TABLE e14c_user (id INTEGER NOT NULL PRIMARY KEY, email VARCHAR(60) NOT NULL);
                CREATE UNIQUE INDEX e14c_one ON e14c_user (lower(email));
            """,
        },
        probe="SELECT lower(email) FROM e14c_user GROUP BY lower(email) HAVING COUNT(*) > 1",
        absent={
            "mariadb": "CREATE TABLE e14c_user (email VARCHAR(60));\nCREATE UNIQUE INDEX e14c_one ON e14c_user ((lower(email)))"
        },
    ),
    Case(
        14,
        "a unique prefix",
        "e14d",
        {
            "mariadb": "CREATE TABLE e14d_path (id INTEGER NOT NULL PRIMARY KEY, path TEXT NOT NULL, UNIQUE (path(20)));\n"
        },
        probe="SELECT LEFT(path, 20) FROM e14d_path GROUP BY LEFT(path, 20) HAVING COUNT(*) > 1",
        absent=dict.fromkeys(
            ("postgresql", "sqlite", "duckdb"), "CREATE TABLE e14d_path (path TEXT, UNIQUE (path(20)))"
        ),
    ),
    Case(
        15,
        "ranges, lists, and conditions over several columns",
        "e15a",
        {
            ALL: """
                CREATE TABLE e15a_item (id INTEGER NOT NULL PRIMARY KEY, price INTEGER NOT NULL, size VARCHAR(2) NOT NULL,
                    kind INTEGER NOT NULL, weight INTEGER, low INTEGER NOT NULL, high INTEGER NOT NULL,
                    CHECK (price BETWEEN 5 AND 9), CHECK (size IN ('S', 'M', 'L')), CHECK (kind IN (1, 2, 3)),
                    CHECK (kind <> 3 OR weight IS NULL), CHECK (low <= high));
            """
        },
        probe="SELECT id FROM e15a_item WHERE price NOT BETWEEN 5 AND 9 OR (kind = 3 AND weight IS NOT NULL) OR low > high",
    ),
    Case(
        15,
        "exactly one of two references, and a column that says which",
        "e15c",
        {
            ALL: """
                CREATE TABLE e15c_plan (id INTEGER NOT NULL PRIMARY KEY);
                CREATE TABLE e15c_contract (id INTEGER NOT NULL PRIMARY KEY);
                CREATE TABLE e15c_phase (id INTEGER NOT NULL PRIMARY KEY, plan_id INTEGER, contract_id INTEGER,
                    CHECK ((plan_id IS NULL) <> (contract_id IS NULL)),
                    FOREIGN KEY (plan_id) REFERENCES e15c_plan (id), FOREIGN KEY (contract_id) REFERENCES e15c_contract (id));
                CREATE TABLE e15c_limit (id INTEGER NOT NULL PRIMARY KEY, kind VARCHAR(9) NOT NULL, plan_id INTEGER, contract_id INTEGER,
                    CHECK ((kind = 'plan' AND plan_id IS NOT NULL AND contract_id IS NULL)
                        OR (kind = 'contract' AND plan_id IS NULL AND contract_id IS NOT NULL)),
                    FOREIGN KEY (plan_id) REFERENCES e15c_plan (id), FOREIGN KEY (contract_id) REFERENCES e15c_contract (id));
            """
        },
    ),
    Case(
        15,
        "a condition on a column that a composite reference gives",
        "e15d",
        {
            ALL: """
                CREATE TABLE e15d_party (id INTEGER NOT NULL PRIMARY KEY, kind VARCHAR(9) NOT NULL, UNIQUE (id, kind),
                    CHECK (kind IN ('person', 'firm')));
                CREATE TABLE e15d_visit (id INTEGER NOT NULL PRIMARY KEY, party INTEGER NOT NULL, kind VARCHAR(9) NOT NULL,
                    CHECK (kind = 'person'), FOREIGN KEY (party, kind) REFERENCES e15d_party (id, kind));
            """
        },
    ),
    Case(
        15,
        "a pattern",
        "e15b",
        {
            ALL: "CREATE TABLE e15b_code (id INTEGER NOT NULL PRIMARY KEY, code VARCHAR(9) NOT NULL, CHECK (code LIKE 'X-%'));\n",
        },
        probe="SELECT id FROM e15b_code WHERE code NOT LIKE 'X-%'",
    ),
    Case(
        16,
        "bookings of one room that do not overlap",
        "e16",
        {
            "postgresql": """
                CREATE TABLE e16_booking (id INTEGER NOT NULL PRIMARY KEY, during tsrange NOT NULL,
                    EXCLUDE USING gist (during WITH &&));
            """
        },
        probe="SELECT a.id FROM e16_booking a JOIN e16_booking b ON a.id < b.id AND a.during && b.during",
        absent={
            "mariadb": "CREATE TABLE e16_booking (during INTEGER, EXCLUDE USING gist (during WITH &&))",
            "sqlite": "CREATE TABLE e16_booking (during INTEGER, EXCLUDE USING gist (during WITH &&))",
            "duckdb": "CREATE TABLE e16_booking (during INTEGER, EXCLUDE USING gist (during WITH &&))",
        },
        findings={"postgresql": "not modelled"},
    ),
    Case(
        17,
        "a generated column",
        "e17a",
        {
            ALL: """
                CREATE TABLE e17a_line (id INTEGER NOT NULL PRIMARY KEY, price INTEGER NOT NULL, amount INTEGER NOT NULL,
                    total INTEGER GENERATED ALWAYS AS (price * amount) STORED);
            """,
            "duckdb": """
                CREATE TABLE e17a_line (id INTEGER NOT NULL PRIMARY KEY, price INTEGER NOT NULL, amount INTEGER NOT NULL,
                    total INTEGER GENERATED ALWAYS AS (price * amount) VIRTUAL);
            """,
        },
        probe="SELECT id FROM e17a_line WHERE total <> price * amount OR total IS NULL",
    ),
    Case(
        17,
        "a counter that goes on after the highest key",
        "e17b",
        {
            "postgresql": "CREATE TABLE e17b_row (id INTEGER GENERATED ALWAYS AS IDENTITY PRIMARY KEY, size INTEGER);\n",
            "mariadb": "CREATE TABLE e17b_row (id INTEGER NOT NULL AUTO_INCREMENT PRIMARY KEY, size INTEGER);\n",
            "sqlite": "CREATE TABLE e17b_row (id INTEGER PRIMARY KEY AUTOINCREMENT, size INTEGER);\n",
            "duckdb": """
                CREATE SEQUENCE e17b_numbers;
                CREATE TABLE e17b_row (id INTEGER PRIMARY KEY DEFAULT nextval('e17b_numbers'), size INTEGER);
            """,
        },
    ),
    Case(
        21,
        "documents in a column",
        "r21",
        {
            "postgresql": """
                CREATE TABLE r21_event (id INTEGER NOT NULL PRIMARY KEY, payload JSONB NOT NULL);
                INSERT INTO r21_event SELECT n, jsonb_build_object('kind', n % 3, 'at', n) FROM generate_series(1, 60) n;
            """,
            "mariadb": """
                CREATE TABLE r21_event (id INTEGER NOT NULL PRIMARY KEY, payload JSON NOT NULL);
                INSERT INTO r21_event SELECT seq, JSON_OBJECT('kind', seq % 3, 'at', seq) FROM seq_1_to_60;
            """,
            "sqlite": """
                CREATE TABLE r21_event (id INTEGER NOT NULL PRIMARY KEY, payload JSON NOT NULL);
                INSERT INTO r21_event SELECT value, json_object('kind', value % 3, 'at', value)
                    FROM (WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 60) SELECT * FROM n);
            """,
            "duckdb": """
                CREATE TABLE r21_event (id INTEGER NOT NULL PRIMARY KEY, payload JSON NOT NULL);
                INSERT INTO r21_event SELECT i, json_object('kind', i % 3, 'at', i) FROM range(1, 61) t(i);
            """,
        },
        findings={
            "postgresql": "not modelled",
            "mariadb": "not modelled",
            "sqlite": "not modelled",
            "duckdb": "not modelled",
        },
    ),
    Case(
        29,
        "a relation of 1,000 columns",
        "e29a",
        {
            ALL: "CREATE TABLE e29a_wide (id INTEGER NOT NULL PRIMARY KEY, "
            + ", ".join(f"c{number} INTEGER" for number in range(999))
            + ");\n"
        },
    ),
    Case(
        29,
        "a relation that is empty, and stays so",
        "x29b",
        {ALL: "CREATE TABLE x29b_empty (id INTEGER NOT NULL PRIMARY KEY, size INTEGER NOT NULL);\n"},
        probe="SELECT id FROM x29b_empty",
    ),
    Case(
        6,
        "references that were never checked, some of which find nobody",
        "r06",
        {
            "postgresql": """
                CREATE TABLE r06_parent (id INTEGER NOT NULL PRIMARY KEY);
                CREATE TABLE r06_child (id INTEGER NOT NULL PRIMARY KEY, parent INTEGER NOT NULL);
                INSERT INTO r06_parent SELECT generate_series(1, 40);
                INSERT INTO r06_child SELECT n, n % 50 + 1 FROM generate_series(1, 400) n;
                ALTER TABLE r06_child ADD FOREIGN KEY (parent) REFERENCES r06_parent (id) NOT VALID;
            """,
            "mariadb": """
                CREATE TABLE r06_parent (id INTEGER NOT NULL PRIMARY KEY);
                CREATE TABLE r06_child (id INTEGER NOT NULL PRIMARY KEY, parent INTEGER NOT NULL,
                    FOREIGN KEY (parent) REFERENCES r06_parent (id));
                INSERT INTO r06_parent SELECT seq FROM seq_1_to_40;
                SET foreign_key_checks = 0;
                INSERT INTO r06_child SELECT seq, seq % 50 + 1 FROM seq_1_to_400;
                SET foreign_key_checks = 1;
            """,
            "sqlite": """
                CREATE TABLE r06_parent (id INTEGER NOT NULL PRIMARY KEY);
                CREATE TABLE r06_child (id INTEGER NOT NULL PRIMARY KEY, parent INTEGER NOT NULL REFERENCES r06_parent (id));
                WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40) INSERT INTO r06_parent SELECT i FROM n;
                WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)
                    INSERT INTO r06_child SELECT i, i % 50 + 1 FROM n;
            """,
        },
        absent={
            "duckdb": """
                CREATE TABLE r06_parent (id INTEGER NOT NULL PRIMARY KEY);
                CREATE TABLE r06_child (id INTEGER NOT NULL PRIMARY KEY, parent INTEGER REFERENCES r06_parent (id));
                INSERT INTO r06_child VALUES (1, 1)
            """
        },
        findings=dict.fromkeys(("postgresql", "mariadb", "sqlite"), "find no parent, as in the source"),
    ),
    Case(
        18,
        "a trigger that overwrites what is written",
        "e18a",
        {
            "postgresql": """
                CREATE TABLE e18a_note (id INTEGER NOT NULL PRIMARY KEY, words VARCHAR(40) NOT NULL);
                CREATE FUNCTION e18a_touch() RETURNS trigger LANGUAGE plpgsql AS
                    $$ BEGIN NEW.words := 'touched'; RETURN NEW; END $$;
                CREATE TRIGGER e18a_touched BEFORE INSERT ON e18a_note FOR EACH ROW EXECUTE FUNCTION e18a_touch();
            """,
            "mariadb": """
                CREATE TABLE e18a_note (id INTEGER NOT NULL PRIMARY KEY, words VARCHAR(40) NOT NULL);
                CREATE TRIGGER e18a_touched BEFORE INSERT ON e18a_note FOR EACH ROW SET NEW.words = 'touched';
            """,
            "sqlite": """
                CREATE TABLE e18a_note (id INTEGER NOT NULL PRIMARY KEY, words VARCHAR(40) NOT NULL);
                CREATE TRIGGER e18a_touched AFTER INSERT ON e18a_note
                    BEGIN UPDATE e18a_note SET words = 'touched' WHERE id = NEW.id; END;
            """,
        },
        findings=dict.fromkeys(("postgresql", "mariadb", "sqlite"), "triggers are not read"),
        probe="SELECT id FROM e18a_note WHERE words = 'touched'",
        absent={
            "duckdb": """
                CREATE TABLE e18a_note (id INTEGER);
                CREATE TRIGGER e18a_touched BEFORE INSERT ON e18a_note FOR EACH ROW EXECUTE FUNCTION touch()
            """
        },
    ),
    Case(
        18,
        "a time that every UPDATE moves",
        "e18b",
        {
            "mariadb": """
                CREATE TABLE e18b_note (id INTEGER NOT NULL PRIMARY KEY,
                    changed TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP);
            """
        },
        probe="SELECT id FROM e18b_note WHERE changed > NOW() - INTERVAL 1 HOUR",
    ),
    Case(
        20,
        "enumerations",
        "e20a",
        {
            "postgresql": """
                CREATE TYPE e20a_mood AS ENUM ('calm', 'merry');
                CREATE TABLE e20a_person (id INTEGER NOT NULL PRIMARY KEY, mood e20a_mood NOT NULL);
            """,
            "mariadb": "CREATE TABLE e20a_person (id INTEGER NOT NULL PRIMARY KEY, mood ENUM('calm', 'merry') NOT NULL);\n",
            "duckdb": """
                CREATE TYPE e20a_mood AS ENUM ('calm', 'merry');
                CREATE TABLE e20a_person (id INTEGER NOT NULL PRIMARY KEY, mood e20a_mood NOT NULL);
            """,
        },
        probe="SELECT id FROM e20a_person WHERE mood NOT IN ('calm', 'merry')",
        absent={"sqlite": "CREATE TYPE e20a_mood AS ENUM ('calm', 'merry')"},
    ),
    Case(
        22,
        "reserved words, spaces, mixed case and Unicode",
        "e22a",
        {
            ALL: """
                CREATE TABLE "e22a_Order By" (id INTEGER NOT NULL PRIMARY KEY, "select" INTEGER NOT NULL, "Größe in m" INTEGER);
                CREATE TABLE "e22a_table" (id INTEGER NOT NULL PRIMARY KEY, "group" INTEGER NOT NULL,
                    FOREIGN KEY ("group") REFERENCES "e22a_Order By" (id));
            """,
            "mariadb": """
                CREATE TABLE `e22a_Order By` (id INTEGER NOT NULL PRIMARY KEY, `select` INTEGER NOT NULL, `Größe in m` INTEGER);
                CREATE TABLE `e22a_table` (id INTEGER NOT NULL PRIMARY KEY, `group` INTEGER NOT NULL,
                    FOREIGN KEY (`group`) REFERENCES `e22a_Order By` (id));
            """,
        },
    ),
    Case(
        27,
        "codes of digits with leading zeros",
        "r27a",
        {
            "postgresql": """
                CREATE TABLE r27a_part (id INTEGER NOT NULL PRIMARY KEY, code VARCHAR(6) NOT NULL UNIQUE);
                INSERT INTO r27a_part SELECT n, lpad((n * 37)::text, 6, '0') FROM generate_series(1, 300) n;
            """,
            "mariadb": """
                CREATE TABLE r27a_part (id INTEGER NOT NULL PRIMARY KEY, code VARCHAR(6) NOT NULL UNIQUE);
                INSERT INTO r27a_part SELECT seq, LPAD(seq * 37, 6, '0') FROM seq_1_to_300;
            """,
            "sqlite": """
                CREATE TABLE r27a_part (id INTEGER NOT NULL PRIMARY KEY, code VARCHAR(6) NOT NULL UNIQUE);
                WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
                    INSERT INTO r27a_part SELECT i, printf('%06d', i * 37) FROM n;
            """,
            "duckdb": """
                CREATE TABLE r27a_part (id INTEGER NOT NULL PRIMARY KEY, code VARCHAR(6) NOT NULL UNIQUE);
                INSERT INTO r27a_part SELECT i, lpad((i * 37)::VARCHAR, 6, '0') FROM range(1, 301) t(i);
            """,
        },
        probe="SELECT id FROM r27a_part WHERE LENGTH(code) <> 6",
    ),
    Case(
        28,
        "a view",
        "e28a",
        {
            ALL: """
                CREATE TABLE e28a_person (id INTEGER NOT NULL PRIMARY KEY, age INTEGER NOT NULL);
                CREATE VIEW e28a_adult AS SELECT id FROM e28a_person WHERE age > 17;
            """
        },
        findings=dict.fromkeys(("postgresql", "mariadb", "sqlite", "duckdb"), "is a view"),
    ),
    Case(
        28,
        "a materialized view",
        "e28b",
        {
            "postgresql": """
                CREATE TABLE e28b_person (id INTEGER NOT NULL PRIMARY KEY, age INTEGER NOT NULL);
                CREATE MATERIALIZED VIEW e28b_adult AS SELECT id FROM e28b_person WHERE age > 17;
            """
        },
        findings={"postgresql": "view"},
        absent=dict.fromkeys(("mariadb", "sqlite"), "CREATE MATERIALIZED VIEW e28b_adult AS SELECT 1 AS one"),
    ),
    Case(
        29,
        "one parent with nearly all children",
        "r29c",
        {
            "postgresql": """
                CREATE TABLE r29c_parent (id INTEGER NOT NULL PRIMARY KEY);
                CREATE TABLE r29c_child (id INTEGER NOT NULL PRIMARY KEY, parent INTEGER NOT NULL REFERENCES r29c_parent (id));
                INSERT INTO r29c_parent SELECT generate_series(1, 60);
                INSERT INTO r29c_child SELECT n, CASE WHEN n % 20 = 0 THEN n % 60 + 1 ELSE 7 END FROM generate_series(1, 800) n;
            """,
            "mariadb": """
                CREATE TABLE r29c_parent (id INTEGER NOT NULL PRIMARY KEY);
                CREATE TABLE r29c_child (id INTEGER NOT NULL PRIMARY KEY, parent INTEGER NOT NULL,
                    FOREIGN KEY (parent) REFERENCES r29c_parent (id));
                INSERT INTO r29c_parent SELECT seq FROM seq_1_to_60;
                INSERT INTO r29c_child SELECT seq, IF(seq % 20 = 0, seq % 60 + 1, 7) FROM seq_1_to_800;
            """,
            "sqlite": """
                CREATE TABLE r29c_parent (id INTEGER NOT NULL PRIMARY KEY);
                CREATE TABLE r29c_child (id INTEGER NOT NULL PRIMARY KEY, parent INTEGER NOT NULL REFERENCES r29c_parent (id));
                WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60) INSERT INTO r29c_parent SELECT i FROM n;
                WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 800)
                    INSERT INTO r29c_child SELECT i, CASE WHEN i % 20 = 0 THEN i % 60 + 1 ELSE 7 END FROM n;
            """,
            "duckdb": """
                CREATE TABLE r29c_parent (id INTEGER NOT NULL PRIMARY KEY);
                CREATE TABLE r29c_child (id INTEGER NOT NULL PRIMARY KEY, parent INTEGER NOT NULL REFERENCES r29c_parent (id));
                INSERT INTO r29c_parent SELECT i FROM range(1, 61) t(i);
                INSERT INTO r29c_child SELECT i, CASE WHEN i % 20 = 0 THEN i % 60 + 1 ELSE 7 END FROM range(1, 801) t(i);
            """,
        },
        probe="SELECT 1 FROM (SELECT COUNT(*) AS most FROM r29c_child GROUP BY parent ORDER BY 1 DESC LIMIT 1) t WHERE most < 700",
    ),
    Case(
        30,
        "uniqueness without regard to case",
        "r30a",
        {
            "mariadb": """
                CREATE TABLE r30a_user (id INTEGER NOT NULL PRIMARY KEY,
                    name VARCHAR(8) CHARACTER SET latin1 COLLATE latin1_swedish_ci NOT NULL UNIQUE);
                INSERT INTO r30a_user SELECT seq, CONCAT(CHAR(65 + seq % 26), 'b', CHAR(97 + seq DIV 26)) FROM seq_1_to_300;
            """,
            "sqlite": """
                CREATE TABLE r30a_user (id INTEGER NOT NULL PRIMARY KEY, name VARCHAR(8) COLLATE NOCASE NOT NULL UNIQUE);
                WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
                    INSERT INTO r30a_user SELECT i, char(65 + i % 26) || 'b' || char(97 + i / 26) FROM n;
            """,
            "duckdb": """
                CREATE TABLE r30a_user (id INTEGER NOT NULL PRIMARY KEY, name VARCHAR COLLATE NOCASE NOT NULL UNIQUE);
                INSERT INTO r30a_user SELECT i, chr((65 + i % 26)::INTEGER) || 'b' || chr((97 + i // 26)::INTEGER) FROM range(1, 301) t(i);
            """,
        },
        probe="SELECT LOWER(name) FROM r30a_user GROUP BY LOWER(name) HAVING COUNT(*) > 1",
    ),
    Case(
        30,
        "text of fixed length, and empty text that is not NULL",
        "r30b",
        {
            ALL: """
                CREATE TABLE r30b_row (id INTEGER NOT NULL PRIMARY KEY, code CHAR(6) NOT NULL, note VARCHAR(9));
                INSERT INTO r30b_row VALUES (1, 'a', ''), (2, 'b', NULL), (3, 'a', ''), (4, 'b', NULL), (5, 'a', ''), (6, 'b', NULL),
                    (7, 'a', ''), (8, 'b', NULL), (9, 'a', ''), (10, 'b', NULL), (11, 'a', ''), (12, 'b', NULL),
                    (13, 'a', ''), (14, 'b', NULL), (15, 'a', ''), (16, 'b', NULL), (17, 'a', ''), (18, 'b', NULL),
                    (19, 'a', ''), (20, 'b', NULL), (21, 'a', ''), (22, 'b', NULL), (23, 'a', ''), (24, 'b', NULL);
            """
        },
        probe="SELECT 1 FROM (SELECT COUNT(*) AS a, COUNT(note) AS n, MAX(LENGTH(note)) AS l FROM r30b_row) t "
        "WHERE a <> 24 OR n <> 12 OR l <> 0",
    ),
    Case(
        13,
        "partitions that hold whatever comes",
        "e13b",
        {
            "postgresql": """
                CREATE TABLE e13b_log (id INTEGER NOT NULL PRIMARY KEY, note TEXT NOT NULL) PARTITION BY HASH (id);
                CREATE TABLE e13b_log_0 PARTITION OF e13b_log FOR VALUES WITH (MODULUS 2, REMAINDER 0);
                CREATE TABLE e13b_log_1 PARTITION OF e13b_log FOR VALUES WITH (MODULUS 2, REMAINDER 1);
            """,
            "mariadb": """
                CREATE TABLE e13b_log (id INTEGER NOT NULL PRIMARY KEY, note VARCHAR(20) NOT NULL) PARTITION BY HASH (id) PARTITIONS 2;
            """,
        },
    ),
    Case(
        24,
        "a sum within the row that a CHECK declares",
        "e24a",
        {
            ALL: """
                CREATE TABLE e24a_bill (id INTEGER NOT NULL PRIMARY KEY, net INTEGER NOT NULL, tax INTEGER NOT NULL,
                    total INTEGER NOT NULL, CHECK (total = net + tax));
            """
        },
        probe="SELECT id FROM e24a_bill WHERE total <> net + tax",
    ),
    Case(
        25,
        "spans of one owner that begin on different days and end after they begin",
        "e25a",
        {
            ALL: """
                CREATE TABLE e25a_person (id INTEGER NOT NULL PRIMARY KEY);
                CREATE TABLE e25a_salary (person INTEGER NOT NULL, start_date DATE NOT NULL, end_date DATE NOT NULL,
                    PRIMARY KEY (person, start_date), CHECK (start_date <= end_date),
                    FOREIGN KEY (person) REFERENCES e25a_person (id));
            """
        },
        probe="SELECT person FROM e25a_salary WHERE start_date > end_date",
    ),
    Case(
        26,
        "what is NULL until a status says otherwise, by a CHECK",
        "e26a",
        {
            ALL: """
                CREATE TABLE e26a_parcel (id INTEGER NOT NULL PRIMARY KEY, status VARCHAR(8) NOT NULL, shipped_at DATE,
                    CHECK (status IN ('open', 'shipped')), CHECK (status <> 'open' OR shipped_at IS NULL),
                    CHECK (status <> 'shipped' OR shipped_at IS NOT NULL));
            """
        },
        probe="SELECT id FROM e26a_parcel WHERE (status = 'open') <> (shipped_at IS NULL)",
    ),
    Case(
        26,
        "the same where nobody declares it",
        "r26b",
        {
            "postgresql": """
                CREATE TABLE r26b_parcel (id INTEGER NOT NULL PRIMARY KEY, status VARCHAR(8) NOT NULL, shipped_at DATE);
                INSERT INTO r26b_parcel SELECT n, CASE WHEN n % 3 = 0 THEN 'open' ELSE 'shipped' END,
                    CASE WHEN n % 3 <> 0 THEN DATE '2024-01-01' + n % 90 END FROM generate_series(1, 600) n;
            """,
            "mariadb": """
                CREATE TABLE r26b_parcel (id INTEGER NOT NULL PRIMARY KEY, status VARCHAR(8) NOT NULL, shipped_at DATE);
                INSERT INTO r26b_parcel SELECT seq, IF(seq % 3 = 0, 'open', 'shipped'),
                    IF(seq % 3 <> 0, DATE '2024-01-01' + INTERVAL seq % 90 DAY, NULL) FROM seq_1_to_600;
            """,
            "sqlite": """
                CREATE TABLE r26b_parcel (id INTEGER NOT NULL PRIMARY KEY, status VARCHAR(8) NOT NULL, shipped_at DATE);
                WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600)
                    INSERT INTO r26b_parcel SELECT i, CASE WHEN i % 3 = 0 THEN 'open' ELSE 'shipped' END,
                    CASE WHEN i % 3 <> 0 THEN date('2024-01-01', (i % 90) || ' days') END FROM n;
            """,
            "duckdb": """
                CREATE TABLE r26b_parcel (id INTEGER NOT NULL PRIMARY KEY, status VARCHAR(8) NOT NULL, shipped_at DATE);
                INSERT INTO r26b_parcel SELECT i, CASE WHEN i % 3 = 0 THEN 'open' ELSE 'shipped' END,
                    CASE WHEN i % 3 <> 0 THEN DATE '2024-01-01' + (i % 90)::INTEGER END FROM range(1, 601) t(i);
            """,
        },
        probe="SELECT id FROM r26b_parcel WHERE (status = 'open') <> (shipped_at IS NULL)",
    ),
    Case(
        19,
        "roles and rights",
        "x19",
        {},
        absent=dict.fromkeys(("sqlite", "duckdb"), "CREATE ROLE x19_reader"),
    ),
    Case(
        2,
        "a circle of composite keys that are deferred",
        "e02b",
        {
            "postgresql": """
                CREATE TABLE e02b_lock (a INTEGER NOT NULL, b INTEGER NOT NULL, PRIMARY KEY (a, b));
                CREATE TABLE e02b_mode (a INTEGER NOT NULL, b INTEGER NOT NULL, PRIMARY KEY (a, b),
                    FOREIGN KEY (a, b) REFERENCES e02b_lock (a, b) DEFERRABLE INITIALLY DEFERRED);
                ALTER TABLE e02b_lock ADD FOREIGN KEY (a, b) REFERENCES e02b_mode (a, b) DEFERRABLE INITIALLY DEFERRED;
            """,
            "sqlite": """
                CREATE TABLE e02b_lock (a INTEGER NOT NULL, b INTEGER NOT NULL, PRIMARY KEY (a, b),
                    FOREIGN KEY (a, b) REFERENCES e02b_mode (a, b) DEFERRABLE INITIALLY DEFERRED);
                CREATE TABLE e02b_mode (a INTEGER NOT NULL, b INTEGER NOT NULL, PRIMARY KEY (a, b),
                    FOREIGN KEY (a, b) REFERENCES e02b_lock (a, b) DEFERRABLE INITIALLY DEFERRED);
            """,
        },
        absent={
            "mariadb": """
                CREATE TABLE e02b_lock (a INTEGER NOT NULL PRIMARY KEY);
                CREATE TABLE e02b_mode (a INTEGER, FOREIGN KEY (a) REFERENCES e02b_lock (a) DEFERRABLE INITIALLY DEFERRED)
            """,
            "duckdb": """
                CREATE TABLE e02b_lock (a INTEGER NOT NULL PRIMARY KEY);
                CREATE TABLE e02b_mode (a INTEGER, FOREIGN KEY (a) REFERENCES e02b_lock (a) DEFERRABLE INITIALLY DEFERRED)
            """,
        },
        findings=dict.fromkeys(("postgresql", "sqlite"), "closes a cycle"),
    ),
    Case(
        24,
        "prices copied from the product, and sums of a bill's lines, where nobody declares it",
        "r24b",
        {
            ALL: """
                CREATE TABLE r24b_product (id INTEGER NOT NULL PRIMARY KEY, price INTEGER NOT NULL);
                CREATE TABLE r24b_bill (id INTEGER NOT NULL PRIMARY KEY, total INTEGER NOT NULL);
                CREATE TABLE r24b_line (id INTEGER NOT NULL PRIMARY KEY, bill INTEGER NOT NULL, product INTEGER NOT NULL,
                    price INTEGER NOT NULL, FOREIGN KEY (bill) REFERENCES r24b_bill (id),
                    FOREIGN KEY (product) REFERENCES r24b_product (id));
                CREATE TABLE r24b_n (i INTEGER NOT NULL);
                INSERT INTO r24b_n VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9);
                INSERT INTO r24b_product SELECT a.i * 10 + b.i + 1, (a.i * 31 + b.i * 17) % 23 + 2 FROM r24b_n a, r24b_n b WHERE a.i < 4;
                INSERT INTO r24b_bill SELECT b.id, SUM(p.price) FROM
                    (SELECT a.i * 100 + b.i * 10 + c.i + 1 AS n, b.i * 10 + c.i + 1 AS id FROM r24b_n a, r24b_n b, r24b_n c
                        WHERE (a.i * 7 + b.i * 3 + c.i) % 10 > a.i) b
                    JOIN r24b_product p ON p.id = b.n * 13 % 40 + 1 GROUP BY b.id;
                INSERT INTO r24b_line SELECT b.n, b.id, p.id, p.price FROM
                    (SELECT a.i * 100 + b.i * 10 + c.i + 1 AS n, b.i * 10 + c.i + 1 AS id FROM r24b_n a, r24b_n b, r24b_n c
                        WHERE (a.i * 7 + b.i * 3 + c.i) % 10 > a.i) b
                    JOIN r24b_product p ON p.id = b.n * 13 % 40 + 1;
            """
        },
        probe="SELECT l.id FROM r24b_line l JOIN r24b_product p ON p.id = l.product WHERE p.price <> l.price "
        "UNION ALL SELECT b.id FROM r24b_bill b LEFT JOIN (SELECT bill, SUM(price) AS made FROM r24b_line GROUP BY bill) l "
        "ON l.bill = b.id WHERE b.total <> COALESCE(l.made, 0)",
    ),
    Case(
        15,
        "one of several that is not NULL, whatever their types",
        "e15c",
        {
            ALL: """
                CREATE TABLE e15c_refund (id INTEGER NOT NULL PRIMARY KEY, note VARCHAR(36), kind VARCHAR(20), target UUID,
                    CHECK (note IS NOT NULL OR (kind IS NOT NULL AND target IS NOT NULL)));
            """
        },
        probe="SELECT id FROM e15c_refund WHERE note IS NULL AND (kind IS NULL OR target IS NULL)",
    ),
)
