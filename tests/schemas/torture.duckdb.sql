-- Everything at once that DuckDB lets a schema do and a mirror must honour; every name and row is made up.
-- Statements end with a semicolon at the end of a line.

CREATE SCHEMA "other place";
CREATE TYPE mood AS ENUM ('sad', 'it''s fine', 'happy');
CREATE SEQUENCE item_numbers START WITH 1000 INCREMENT BY 5;
CREATE SEQUENCE "other place".notes START WITH 10;

CREATE TABLE person (
  id INTEGER PRIMARY KEY, email VARCHAR NOT NULL UNIQUE, name VARCHAR COLLATE NOCASE NOT NULL, boss INTEGER, feels mood,
  born DATE CHECK (born < DATE '2020-01-01'), seen TIMESTAMPTZ, exact TIMESTAMP_NS, wakes TIME, away INTERVAL, active BOOLEAN DEFAULT true,
  FOREIGN KEY (boss) REFERENCES person (id)
);
CREATE UNIQUE INDEX person_name ON person (name);
CREATE UNIQUE INDEX person_lower ON person (lower(email));
CREATE INDEX person_born ON person (born, active);

CREATE TABLE numbers (
  id UBIGINT PRIMARY KEY, tiny TINYINT, utiny UTINYINT, small SMALLINT, usmall USMALLINT, medium UINTEGER, huge HUGEINT, uhuge UHUGEINT,
  exact DECIMAL(18,3), wide DECIMAL(38,10), single FLOAT, twice DOUBLE, bits BIT, raw BLOB, mark UUID, doc JSON
);
CREATE TABLE nested (
  id INTEGER PRIMARY KEY, list INTEGER[], fixed DOUBLE[3], deep STRUCT(a INTEGER, b VARCHAR), pairs MAP(VARCHAR, INTEGER),
  either UNION(n INTEGER, t VARCHAR), feelings mood[]
);
CREATE TABLE item (
  id INTEGER DEFAULT nextval('item_numbers') PRIMARY KEY, name VARCHAR NOT NULL, net DECIMAL(8,2) NOT NULL CHECK (net >= 0),
  gross DECIMAL(10,2) GENERATED ALWAYS AS (net * 1.25) VIRTUAL, state VARCHAR DEFAULT 'new' CHECK (state IN ('new', 'old')),
  made TIMESTAMP DEFAULT current_timestamp, low INTEGER NOT NULL, high INTEGER NOT NULL, CHECK (high >= low)
);
CREATE TABLE tenant (id SMALLINT PRIMARY KEY, title VARCHAR NOT NULL);
CREATE TABLE product (tenant SMALLINT NOT NULL, sku VARCHAR NOT NULL, PRIMARY KEY (tenant, sku), FOREIGN KEY (tenant) REFERENCES tenant (id));
CREATE TABLE "order" (tenant SMALLINT NOT NULL, no INTEGER NOT NULL, PRIMARY KEY (tenant, no), FOREIGN KEY (tenant) REFERENCES tenant (id));
CREATE TABLE line (
  tenant SMALLINT NOT NULL, no INTEGER NOT NULL, pos UTINYINT NOT NULL, sku VARCHAR NOT NULL, PRIMARY KEY (tenant, no, pos), UNIQUE (tenant, no, sku),
  FOREIGN KEY (tenant, no) REFERENCES "order" (tenant, no), FOREIGN KEY (tenant, sku) REFERENCES product (tenant, sku)
);
CREATE TABLE country (code VARCHAR UNIQUE NOT NULL, title VARCHAR);
CREATE TABLE visit (country VARCHAR REFERENCES country (code), "at" TIMESTAMP_S NOT NULL);
CREATE TABLE person_vip (person INTEGER PRIMARY KEY REFERENCES person (id), since DATE NOT NULL);
CREATE TABLE extremes (id INTEGER PRIMARY KEY, day DATE, moment TIMESTAMP, ratio DOUBLE, empty VARCHAR);
CREATE TABLE heap (x INTEGER, y VARCHAR);
CREATE TABLE void (id INTEGER PRIMARY KEY, z VARCHAR);
CREATE TABLE "other place"."größe ""und"" maß" (id INTEGER DEFAULT nextval('"other place".notes') PRIMARY KEY, "a.b" VARCHAR, "select" INTEGER);

CREATE VIEW adult AS SELECT id, email FROM person WHERE active;
CREATE MACRO twice(x) AS x * 2;
COMMENT ON TABLE person IS 'whoever it is';

INSERT INTO person SELECT i, 'Mail' || i || '@example.org', 'Name' || i, CASE WHEN i > 5 THEN 1 + i % 5 END, (['sad', 'it''s fine', 'happy'])[1 + i % 3],
  DATE '1960-01-01' + i * 300, TIMESTAMPTZ '2024-01-01 00:00:00+00' + to_hours(i), TIMESTAMP_NS '2024-01-01 00:00:00.123456', TIME '06:00:00' + to_minutes(i),
  to_minutes(i * 50), i % 3 > 0 FROM (SELECT range::INTEGER AS i FROM range(1, 6));
INSERT INTO person SELECT i, 'Mail' || i || '@example.org', 'Name' || i, CASE WHEN i > 5 THEN 1 + i % 5 END, (['sad', 'it''s fine', 'happy'])[1 + i % 3],
  DATE '1960-01-01' + i * 300, TIMESTAMPTZ '2024-01-01 00:00:00+00' + to_hours(i), TIMESTAMP_NS '2024-01-01 00:00:00.123456', TIME '06:00:00' + to_minutes(i),
  to_minutes(i * 50), i % 3 > 0 FROM (SELECT range::INTEGER AS i FROM range(6, 41));
INSERT INTO numbers SELECT 18446744073709551615::UBIGINT - i::UBIGINT, i - 20, i, i * 100 - 900, i * 1000, i * 1000000, -100000000000000000000::HUGEINT * i,
  100000000000000000000::UHUGEINT * i, i / 8, i / 3, i / 7, i / 11, '10101'::BIT, 'ab'::BLOB, ('aaaaaaaa-bbbb-4ccc-8ddd-' || lpad(i::VARCHAR, 12, '0'))::UUID,
  '{"n": 1}' FROM (SELECT range::INTEGER AS i FROM range(1, 41));
INSERT INTO nested SELECT i, [i, 2], [1.0, 2.0, i], {'a': i, 'b': 'x'}, MAP {'k': i}, i::INTEGER, ['sad'::mood] FROM (SELECT range::INTEGER AS i FROM range(1, 31));
INSERT INTO item (name, net, state, low, high) SELECT 'Item ' || i, i / 4, CASE WHEN i % 2 = 0 THEN 'new' ELSE 'old' END, i, i * 2 FROM (SELECT range::INTEGER AS i FROM range(1, 41));
INSERT INTO tenant SELECT i, 'Tenant ' || i FROM (SELECT range::INTEGER AS i FROM range(1, 5));
INSERT INTO product SELECT 1 + i % 4, 'SKU-' || (100 + i) FROM (SELECT range::INTEGER AS i FROM range(1, 61));
INSERT INTO "order" SELECT 1 + i % 4, i FROM (SELECT range::INTEGER AS i FROM range(1, 41));
INSERT INTO line SELECT o.tenant, o.no, row_number() OVER (PARTITION BY o.tenant, o.no ORDER BY p.sku), p.sku FROM "order" o
  JOIN product p ON p.tenant = o.tenant AND (p.sku[5:]::INTEGER * 7 + o.no) % 6 < 2;
INSERT INTO country SELECT chr(65 + i) || chr(66 + i), 'Land ' || i FROM (SELECT range::INTEGER AS i FROM range(0, 20));
INSERT INTO visit SELECT chr(65 + i % 20) || chr(66 + i % 20), TIMESTAMP '2024-02-03 00:00:00' + to_hours(i) FROM (SELECT range::INTEGER AS i FROM range(1, 61));
INSERT INTO person_vip SELECT i * 2, DATE '2020-01-01' + i FROM (SELECT range::INTEGER AS i FROM range(1, 16));
INSERT INTO extremes SELECT i, CASE WHEN i % 7 = 0 THEN 'infinity'::DATE WHEN i % 5 = 0 THEN DATE '0044-03-15 (BC)' ELSE DATE '1850-01-01' + i END,
  CASE WHEN i % 7 = 0 THEN '-infinity'::TIMESTAMP ELSE TIMESTAMP '9999-12-31 23:59:59' END,
  CASE WHEN i % 7 = 0 THEN 'nan'::DOUBLE WHEN i % 5 = 0 THEN 'inf'::DOUBLE ELSE i / 3 END, CASE WHEN i % 4 > 0 THEN '' END FROM (SELECT range::INTEGER AS i FROM range(1, 61));
INSERT INTO heap SELECT i % 4, 'y' FROM (SELECT range::INTEGER AS i FROM range(1, 31));
INSERT INTO "other place"."größe ""und"" maß" ("a.b", "select") SELECT 'a', i % 3 FROM (SELECT range::INTEGER AS i FROM range(1, 21));
