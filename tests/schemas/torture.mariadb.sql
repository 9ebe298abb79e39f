-- Everything at once that MariaDB lets a schema do and a mirror must honour; every name and row is made up.
-- Statements end with a semicolon at the end of a line.

SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO,NO_ENGINE_SUBSTITUTION';
SET SESSION foreign_key_checks = 0;

CREATE SEQUENCE ticket_numbers START WITH 1000 INCREMENT BY 5;

-- a circle of two, both sides NOT NULL
CREATE TABLE shop (
  id int unsigned NOT NULL AUTO_INCREMENT, name varchar(60) NOT NULL, manager_id int unsigned NOT NULL,
  PRIMARY KEY (id), CONSTRAINT shop_manager FOREIGN KEY (manager_id) REFERENCES staff (id) ON UPDATE CASCADE
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci COMMENT = 'where things are sold';
CREATE TABLE staff (
  id int unsigned NOT NULL AUTO_INCREMENT, shop_id int unsigned NOT NULL, boss_id int unsigned,
  login varchar(40) CHARACTER SET latin1 COLLATE latin1_swedish_ci NOT NULL COMMENT 'compared without case',
  badge char(6) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  nickname varchar(30) CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci,
  hired year NOT NULL, shift time, PRIMARY KEY (id), UNIQUE KEY login (login), UNIQUE KEY badge (badge),
  UNIQUE KEY by_nickname (nickname), KEY shop (shop_id),
  CONSTRAINT staff_shop FOREIGN KEY (shop_id) REFERENCES shop (id),
  CONSTRAINT staff_boss FOREIGN KEY (boss_id) REFERENCES staff (id) ON DELETE SET NULL
);

-- a circle through four
CREATE TABLE ring_a (id int NOT NULL PRIMARY KEY, next_id int NOT NULL, FOREIGN KEY (next_id) REFERENCES ring_b (id));
CREATE TABLE ring_b (id int NOT NULL PRIMARY KEY, next_id int NOT NULL, FOREIGN KEY (next_id) REFERENCES ring_c (id));
CREATE TABLE ring_c (id int NOT NULL PRIMARY KEY, next_id int NOT NULL, FOREIGN KEY (next_id) REFERENCES ring_d (id));
CREATE TABLE ring_d (id int NOT NULL PRIMARY KEY, next_id int, FOREIGN KEY (next_id) REFERENCES ring_a (id));

-- two keys there and one back; a primary key that numbers its second column
CREATE TABLE person (
  id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY, email varchar(80) NOT NULL, given varchar(40) NOT NULL,
  home_id int, mail_id int, born date, email_lower varchar(80) AS (lower(email)) VIRTUAL,
  initial char(1) AS (left(given, 1)) STORED INVISIBLE, secret varchar(20) INVISIBLE DEFAULT 'none',
  created datetime(3) NOT NULL DEFAULT current_timestamp(3),
  changed timestamp(6) NOT NULL DEFAULT current_timestamp(6) ON UPDATE current_timestamp(6),
  UNIQUE KEY email (email), KEY by_initial (initial),
  CONSTRAINT person_home FOREIGN KEY (home_id) REFERENCES address (id),
  CONSTRAINT person_mail FOREIGN KEY (mail_id) REFERENCES address (id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;
CREATE TABLE address (
  id int NOT NULL AUTO_INCREMENT PRIMARY KEY, person_id bigint unsigned, street varchar(200) NOT NULL, zip char(5),
  FULLTEXT KEY words (street), KEY zip_street (zip, street (20)),
  CONSTRAINT address_person FOREIGN KEY (person_id) REFERENCES person (id)
);

-- a key on a prefix, one in the default collation, one on several columns with a prefix
CREATE TABLE attrib (
  region int NOT NULL, type smallint unsigned NOT NULL, value text NOT NULL, note text,
  UNIQUE KEY attribx (region, type, value (50)), UNIQUE KEY note_start (note (12)), KEY value_start (value (10))
) ENGINE = MyISAM CHARACTER SET latin1;

-- types without a twin elsewhere
CREATE TABLE kinds (
  id int NOT NULL PRIMARY KEY, tiny tinyint, flag tinyint(1) NOT NULL DEFAULT 1, small smallint unsigned,
  medium mediumint, big bigint unsigned, fixed decimal(30,10), wide decimal(65,2), single float, twice double,
  bits bit(8) NOT NULL DEFAULT b'101', one bit(1), filled int(6) unsigned zerofill, at year,
  day date DEFAULT '2000-01-01', moment datetime, span time(3),
  colour enum('red', 'it''s green', 'blue,ish') NOT NULL DEFAULT 'red', days set('mon', 'tue', 'wed'),
  raw binary(16), rest varbinary(40), doc json, page longtext, padded char(10), host inet6, mark uuid, spot point
);

-- CHECKs of a column and of the table
CREATE TABLE measured (
  id int NOT NULL PRIMARY KEY, low int NOT NULL CHECK (low >= 0), high int NOT NULL,
  state varchar(10) NOT NULL CHECK (state IN ('new', 'done', 'gone')), percent decimal(5,2),
  CONSTRAINT ordered CHECK (high >= low), CONSTRAINT percent_fits CHECK (percent BETWEEN 0 AND 100)
);

-- keys that share columns: with one another, with the primary key
CREATE TABLE tenant (id smallint NOT NULL PRIMARY KEY, title varchar(40) NOT NULL UNIQUE);
CREATE TABLE product (
  tenant_id smallint NOT NULL, sku varchar(12) NOT NULL, price decimal(8,2) NOT NULL, PRIMARY KEY (tenant_id, sku),
  FOREIGN KEY (tenant_id) REFERENCES tenant (id)
);
CREATE TABLE `order` (
  tenant_id smallint NOT NULL, no int NOT NULL, `select` varchar(10), PRIMARY KEY (tenant_id, no),
  FOREIGN KEY (tenant_id) REFERENCES tenant (id)
);
CREATE TABLE order_line (
  tenant_id smallint NOT NULL, order_no int NOT NULL, position tinyint NOT NULL, sku varchar(12) NOT NULL,
  quantity int NOT NULL, PRIMARY KEY (tenant_id, order_no, position), UNIQUE KEY once (tenant_id, order_no, sku),
  FOREIGN KEY (tenant_id, order_no) REFERENCES `order` (tenant_id, no) ON DELETE CASCADE,
  FOREIGN KEY (tenant_id, sku) REFERENCES product (tenant_id, sku)
);

-- a key to a UNIQUE that is not primary, of text that is compared without case; a subtype; no key at all
CREATE TABLE country (code char(2) NOT NULL, title varchar(50) NOT NULL, UNIQUE KEY code (code), UNIQUE KEY title (title));
CREATE TABLE visit (country char(2) NOT NULL, `when` datetime NOT NULL, FOREIGN KEY (country) REFERENCES country (code));
CREATE TABLE person_vip (
  person_id bigint unsigned NOT NULL PRIMARY KEY, discount tinyint NOT NULL, FOREIGN KEY (person_id) REFERENCES person (id)
);
CREATE TABLE heap (a int, b varchar(10));

-- AUTO_INCREMENT beside the primary key, and second in a key of MyISAM
CREATE TABLE numbered (
  code varchar(10) NOT NULL PRIMARY KEY, serial int NOT NULL AUTO_INCREMENT, UNIQUE KEY serial (serial)
) AUTO_INCREMENT = 500;
CREATE TABLE grouped (
  kind enum('fish', 'bird') NOT NULL, id int NOT NULL AUTO_INCREMENT, name varchar(30) NOT NULL, PRIMARY KEY (kind, id)
) ENGINE = MyISAM;
CREATE TABLE ticket (no int NOT NULL DEFAULT nextval(ticket_numbers) PRIMARY KEY, what varchar(30) NOT NULL);

-- system versions, the system's own columns among the others
CREATE TABLE price (
  id int NOT NULL PRIMARY KEY, amount decimal(8,2) NOT NULL,
  since timestamp(6) GENERATED ALWAYS AS ROW START INVISIBLE, until timestamp(6) GENERATED ALWAYS AS ROW END INVISIBLE,
  PERIOD FOR SYSTEM_TIME (since, until)
) WITH SYSTEM VERSIONING;
CREATE TABLE rate (id int NOT NULL PRIMARY KEY, amount decimal(8,2) NOT NULL) WITH SYSTEM VERSIONING;

-- partitions
CREATE TABLE reading (id int NOT NULL, day date NOT NULL, value double, PRIMARY KEY (id, day))
  PARTITION BY RANGE COLUMNS (day) (
    PARTITION p2022 VALUES LESS THAN ('2023-01-01'), PARTITION p2023 VALUES LESS THAN ('2024-01-01'));
CREATE TABLE regional (id int NOT NULL, region int NOT NULL, PRIMARY KEY (id, region))
  PARTITION BY LIST (region) (PARTITION north VALUES IN (1, 3, 5), PARTITION south VALUES IN (20, 40));
CREATE TABLE hashed (id int NOT NULL PRIMARY KEY, label varchar(10)) PARTITION BY KEY (id) PARTITIONS 4;
CREATE TABLE aria (id int NOT NULL PRIMARY KEY, label varchar(10) NOT NULL) ENGINE = Aria;

-- names: spaces, quotes, Unicode, sixty-four characters
CREATE TABLE `größe ``und`` maß` (`schlüssel 1` int NOT NULL PRIMARY KEY, `a.b` int, `"q"` varchar(5));
CREATE TABLE abcdefghij_abcdefghij_abcdefghij_abcdefghij_abcdefghij_abcdefghi (id int NOT NULL PRIMARY KEY);

CREATE VIEW adult AS SELECT id, email FROM person WHERE born < '2006-01-01';
CREATE FUNCTION doubled (n int) RETURNS int DETERMINISTIC RETURN n * 2;
CREATE TRIGGER stamp BEFORE INSERT ON heap FOR EACH ROW SET NEW.b = upper(NEW.b);

-- rows: twenty-five of most, from numbers
INSERT INTO shop SELECT seq, concat('Shop number ', seq), seq FROM seq_1_to_8;
INSERT INTO staff SELECT seq, 1 + seq MOD 8, IF(seq > 5, 1 + seq MOD 5, NULL), concat('Login', seq), concat('B', 10000 + seq),
  concat('Nick ', char(64 + seq)), 1990 + seq, sec_to_time(seq * 1000) FROM seq_1_to_25;
INSERT INTO ring_a SELECT seq, seq FROM seq_1_to_12;
INSERT INTO ring_b SELECT seq, seq FROM seq_1_to_12;
INSERT INTO ring_c SELECT seq, seq FROM seq_1_to_12;
INSERT INTO ring_d SELECT seq, IF(seq MOD 3 = 0, NULL, seq) FROM seq_1_to_12;
INSERT INTO address (id, person_id, street, zip) SELECT seq, IF(seq MOD 4 = 0, NULL, 1 + seq MOD 30),
  concat('Long Street ', seq), lpad(seq * 37, 5, '0') FROM seq_1_to_40;
INSERT INTO person (id, email, given, home_id, mail_id, born, secret, created, changed)
  SELECT seq, concat('Mail', seq, '@example.org'), elt(1 + seq MOD 4, 'Ann', 'Bob', 'Cy', 'Dot'), seq, IF(seq MOD 3 = 0, NULL, 41 - seq),
  '1960-01-01' + INTERVAL seq * 400 DAY, concat('s', seq), '2021-03-04 05:06:07.008' + INTERVAL seq HOUR,
  '2022-03-04 05:06:07.000009' + INTERVAL seq HOUR FROM seq_1_to_40;
INSERT INTO attrib SELECT seq DIV 4, seq MOD 4, concat('value ', repeat('x', 10), seq), concat('note ', seq) FROM seq_1_to_60;
INSERT INTO kinds SELECT seq, CAST(seq AS signed) - 20, seq MOD 2, seq * 1000, CAST(seq AS signed) * 100000 - 2000000, 18446744073709551615 - seq,
  seq / 3, 123456789012345678901234567890 + seq, seq / 7, seq / 11, seq, seq MOD 2, seq, 1980 + seq,
  IF(seq = 7, '0000-00-00', '1999-12-01' + INTERVAL seq DAY), IF(seq = 9, '0000-00-00 00:00:00', '2001-01-01' + INTERVAL seq * 7 HOUR),
  concat(IF(seq MOD 5 = 0, '-', ''), 20 + seq * 3, ':10:11.125'), 1 + seq MOD 3, seq MOD 8, unhex(md5(seq)), unhex(sha1(seq)),
  json_object('n', seq, 'tag', concat('t', seq MOD 3)), repeat('text ', seq), concat('pad', seq), inet6_ntoa(inet6_aton(concat('10.0.0.', seq))), NULL,
  point(seq, seq / 2) FROM seq_1_to_40;
UPDATE kinds SET mark = concat('aaaaaaaa-bbbb-4ccc-8ddd-', lpad(id, 12, '0'));
INSERT INTO measured SELECT seq, seq, seq * 2, elt(1 + seq MOD 3, 'new', 'done', 'gone'), seq FROM seq_1_to_40;
INSERT INTO tenant SELECT seq, concat('Tenant ', seq) FROM seq_1_to_4;
INSERT INTO product SELECT 1 + seq MOD 4, concat('SKU-', 100 + seq), seq + 0.99 FROM seq_1_to_60;
INSERT INTO `order` SELECT 1 + seq MOD 4, seq, elt(1 + seq MOD 2, 'web', 'phone') FROM seq_1_to_40;
INSERT INTO order_line SELECT o.tenant_id, o.no, 1 + (p.rank_ - o.no) MOD 15, p.sku, 1 + o.no MOD 5 FROM `order` o JOIN
  (SELECT tenant_id, sku, row_number() OVER (PARTITION BY tenant_id ORDER BY sku) + 100 AS rank_ FROM product) p
  ON p.tenant_id = o.tenant_id AND (p.rank_ - o.no) MOD 15 < 1 + o.no MOD 4;
INSERT INTO country SELECT char(64 + seq, 65 + seq), concat('Land ', seq) FROM seq_1_to_20;
INSERT INTO visit SELECT lower(char(64 + 1 + seq MOD 20, 65 + 1 + seq MOD 20)), '2024-02-03' + INTERVAL seq * 5 HOUR FROM seq_1_to_50;
INSERT INTO person_vip SELECT seq * 2, seq FROM seq_1_to_15;
INSERT INTO heap SELECT seq MOD 5, concat('row ', seq MOD 7) FROM seq_1_to_30;
INSERT INTO numbered (code) SELECT concat('C-', 100 + seq) FROM seq_1_to_20;
INSERT INTO grouped (kind, name) SELECT 1 + seq MOD 2, concat('animal ', seq) FROM seq_1_to_30;
INSERT INTO ticket (what) SELECT concat('problem ', seq) FROM seq_1_to_20;
INSERT INTO price (id, amount) SELECT seq, seq FROM seq_1_to_20;
UPDATE price SET amount = amount + 1;
INSERT INTO rate (id, amount) SELECT seq, seq FROM seq_1_to_20;
DELETE FROM rate WHERE id > 15;
INSERT INTO reading SELECT seq, '2022-02-01' + INTERVAL seq * 12 DAY, seq / 3 FROM seq_1_to_50;
INSERT INTO regional SELECT seq, elt(1 + seq MOD 5, 1, 3, 5, 20, 40) FROM seq_1_to_50;
INSERT INTO hashed SELECT seq, concat('h', seq) FROM seq_1_to_30;
INSERT INTO aria SELECT seq, concat('a', seq MOD 4) FROM seq_1_to_30;
INSERT INTO `größe ``und`` maß` SELECT seq, seq MOD 3, 'q' FROM seq_1_to_20;
INSERT INTO abcdefghij_abcdefghij_abcdefghij_abcdefghij_abcdefghij_abcdefghi SELECT seq FROM seq_1_to_11;
