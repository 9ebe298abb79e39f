-- Everything at once that SQLite lets a schema do and a mirror must honour; every name and row is made up.
-- Statements end with a semicolon at the end of a line.

-- a circle of two, both sides NOT NULL, deferrable; keys that name only the table
CREATE TABLE shop (
  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL COLLATE NOCASE UNIQUE,
  manager INTEGER NOT NULL REFERENCES staff DEFERRABLE INITIALLY DEFERRED
);
CREATE TABLE staff (
  id INTEGER PRIMARY KEY, shop INTEGER NOT NULL REFERENCES shop ON UPDATE CASCADE, boss INTEGER REFERENCES staff (id),
  login VARCHAR(30) COLLATE NOCASE NOT NULL, email TEXT, active BOOLEAN NOT NULL DEFAULT 1, left_on DATE
);
CREATE UNIQUE INDEX staff_login ON staff (login);
CREATE UNIQUE INDEX staff_active_email ON staff (email) WHERE active = 1;
CREATE UNIQUE INDEX staff_lower_email ON staff (lower(email));
CREATE INDEX staff_by_boss ON staff (boss DESC, login COLLATE BINARY);
CREATE INDEX staff_gone ON staff (left_on) WHERE left_on IS NOT NULL;

-- WITHOUT ROWID, STRICT, both
CREATE TABLE word (word TEXT NOT NULL, lang TEXT NOT NULL, seen INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (lang, word)) WITHOUT ROWID;
CREATE TABLE exact (id INTEGER PRIMARY KEY, n INT NOT NULL, r REAL, t TEXT, b BLOB, a ANY) STRICT;
CREATE TABLE both (code TEXT NOT NULL PRIMARY KEY, n INTEGER NOT NULL) STRICT, WITHOUT ROWID;

-- types that only hint, and values that do not care
CREATE TABLE mixed (
  id INT NOT NULL PRIMARY KEY, anything, number NUMERIC, money DECIMAL(10,2), short VARCHAR(3), day DATE, moment DATETIME,
  clock TIME, flag BOOLEAN, page CLOB, raw BLOB, real REAL, big BIGINT UNSIGNED, doc JSON, strange "FLOATING POINT",
  empty TEXT, early DATE
);

-- generated, stored and virtual; defaults of all sorts; CHECKs of columns and of the table
CREATE TABLE product (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL, net NUMERIC(8,2) NOT NULL CHECK (net >= 0), tax NUMERIC(8,2) NOT NULL,
  gross NUMERIC GENERATED ALWAYS AS (net + tax) STORED, shout TEXT AS (upper(name)) VIRTUAL,
  state TEXT NOT NULL DEFAULT 'new' CHECK (state IN ('new', 'old', 'it''s gone')),
  made TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP, rank INTEGER DEFAULT (1 + 1), note TEXT DEFAULT NULL,
  CONSTRAINT taxed CHECK (tax <= 1000)
);
CREATE INDEX product_shout ON product (shout);
CREATE INDEX product_half ON product (net / 2);

-- a key to a UNIQUE that is not primary, in another order, of text that is compared without case
CREATE TABLE place (country TEXT NOT NULL COLLATE NOCASE, city TEXT NOT NULL COLLATE NOCASE, people INTEGER, UNIQUE (country, city));
CREATE TABLE visit (
  id INTEGER PRIMARY KEY, city TEXT, country TEXT, at TEXT NOT NULL,
  CONSTRAINT visited FOREIGN KEY (country, city) REFERENCES place (country, city) ON DELETE SET NULL
);

-- keys that share columns; a primary key that is a foreign key; a self-reference that is NOT NULL
CREATE TABLE tenant (id INTEGER NOT NULL PRIMARY KEY, title TEXT NOT NULL UNIQUE);
CREATE TABLE item (tenant INTEGER NOT NULL REFERENCES tenant, sku TEXT NOT NULL, PRIMARY KEY (tenant, sku));
CREATE TABLE "order" (tenant INTEGER NOT NULL REFERENCES tenant, no INTEGER NOT NULL, "select" TEXT, PRIMARY KEY (tenant, no));
CREATE TABLE line (
  tenant INTEGER NOT NULL, no INTEGER NOT NULL, pos INTEGER NOT NULL, sku TEXT NOT NULL, amount INTEGER NOT NULL,
  PRIMARY KEY (tenant, no, pos), UNIQUE (tenant, no, sku),
  FOREIGN KEY (tenant, no) REFERENCES "order", FOREIGN KEY (tenant, sku) REFERENCES item
);
CREATE TABLE tenant_extra (tenant INTEGER PRIMARY KEY REFERENCES tenant, plan TEXT NOT NULL);
CREATE TABLE category (id INTEGER PRIMARY KEY, parent INTEGER NOT NULL REFERENCES category, name TEXT NOT NULL);
CREATE TABLE friend (a INTEGER NOT NULL REFERENCES staff, b INTEGER NOT NULL REFERENCES staff, since DATE, PRIMARY KEY (a, b));
CREATE TABLE heap (x, y);
CREATE TABLE void (id INTEGER PRIMARY KEY, z TEXT);
CREATE TABLE "größe ""und"" maß" ("schlüssel 1" INTEGER PRIMARY KEY, "a.b" TEXT, [c d] TEXT);

CREATE VIEW adult AS SELECT id, login FROM staff WHERE active;
CREATE TRIGGER count_words AFTER INSERT ON word BEGIN UPDATE word SET seen = seen + 1 WHERE word = NEW.word; END;
CREATE TRIGGER no_heap BEFORE DELETE ON heap BEGIN SELECT raise(ABORT, 'never'); END;

WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 8) INSERT INTO shop SELECT i, 'Shop ' || i, i FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40)
  INSERT INTO staff SELECT i, 1 + i % 8, CASE WHEN i > 5 THEN 1 + i % 5 END, 'Login' || i, 'Mail' || i || '@example.org', i % 3 > 0,
  CASE WHEN i % 3 = 0 THEN date('2020-01-01', i || ' days') END FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60)
  INSERT INTO word (word, lang) SELECT 'word' || (i / 2), CASE i % 2 WHEN 0 THEN 'en' ELSE 'de' END FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40)
  INSERT INTO exact SELECT i, i * 2, i / 7.0, 'text ' || i, randomblob(5), CASE i % 2 WHEN 0 THEN i ELSE 'any' || i END FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30) INSERT INTO both SELECT 'C' || (100 + i), i FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60)
  INSERT INTO mixed SELECT i, CASE i % 3 WHEN 0 THEN i WHEN 1 THEN 'text' ELSE i / 2.0 END, i * 1.5, i / 4.0, 'longer than three',
  date('2021-01-01', i || ' days'), datetime('2021-01-01 08:00:00', i || ' hours'), time('06:00:00', i || ' minutes'), i % 2,
  'page ' || i, randomblob(4), i / 3.0, 9007199254740993 + i, json_object('n', i), i * 0.5, CASE WHEN i % 4 THEN '' END,
  CASE i % 5 WHEN 0 THEN '0044-03-15' ELSE '1850-06-0' || (1 + i % 9) END FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50)
  INSERT INTO product (id, name, net, tax, state) SELECT i, 'Product ' || i, i * 1.25, i * 0.25,
  CASE i % 3 WHEN 0 THEN 'new' WHEN 1 THEN 'old' ELSE 'it''s gone' END FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20)
  INSERT INTO place SELECT 'Land' || (i % 4), 'City' || i, i * 1000 FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60)
  INSERT INTO visit SELECT i, CASE WHEN i % 5 THEN 'CITY' || (1 + i % 20) END, CASE WHEN i % 5 THEN 'land' || ((1 + i % 20) % 4) END,
  datetime('2022-05-06', i || ' hours') FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4) INSERT INTO tenant SELECT i, 'Tenant ' || i FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60) INSERT INTO item SELECT 1 + i % 4, 'SKU-' || (100 + i) FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40)
  INSERT INTO "order" SELECT 1 + i % 4, i, CASE i % 2 WHEN 0 THEN 'web' ELSE 'phone' END FROM n;
INSERT INTO line SELECT o.tenant, o.no, row_number() OVER (PARTITION BY o.tenant, o.no ORDER BY i.sku), i.sku, 1 + o.no % 5
  FROM "order" o JOIN item i ON i.tenant = o.tenant AND (i.rowid * 7 + o.no) % 6 = 0;
INSERT INTO tenant_extra SELECT id, 'plan' FROM tenant WHERE id > 1;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40) INSERT INTO category SELECT i, max(1, i / 3), 'Category ' || i FROM n;
INSERT INTO friend SELECT a.id, b.id, date('2019-01-01', (a.id * b.id) || ' days') FROM staff a JOIN staff b ON (a.id + b.id) % 9 = 0 AND a.id <> b.id;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30) INSERT INTO heap SELECT i % 4, 'y' FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20) INSERT INTO "größe ""und"" maß" SELECT i, 'a', 'c' || i % 3 FROM n;
