-- An example source for MariaDB: the accounts of most of the customers in crm.sql, and their invoices.
CREATE TABLE account (
    id int NOT NULL AUTO_INCREMENT PRIMARY KEY,
    customer_ref int NOT NULL UNIQUE COMMENT 'customer.id in crm',
    mail varchar(120) NOT NULL COMMENT 'the customer''s e-mail',
    plan enum('free', 'basic', 'pro') NOT NULL
);
INSERT INTO account (customer_ref, mail, plan)
SELECT
    n,
    lower(concat(
        elt(1 + n % 11, 'Ada', 'Ben', 'Carla', 'David', 'Elsa', 'Felix', 'Greta', 'Hugo', 'Ines', 'Jan', 'Klara'), '.',
        elt(1 + n % 7, 'Adler', 'Brandt', 'Costa', 'Durand', 'Evans', 'Ferrari', 'Garcia'), n, '@example.com'
    )),
    elt(1 + n * 3 % 10, 'free', 'free', 'free', 'free', 'free', 'basic', 'basic', 'basic', 'pro', 'pro')
FROM (SELECT seq AS n FROM seq_1_to_2000) AS numbers
WHERE n % 8 <> 0;

CREATE TABLE invoice (
    id int NOT NULL AUTO_INCREMENT PRIMARY KEY,
    account_id int NOT NULL,
    amount decimal(10, 2) NOT NULL CHECK (amount > 0),
    issued_on date NOT NULL,
    paid_on date,
    FOREIGN KEY (account_id) REFERENCES account (id)
);
INSERT INTO invoice (account_id, amount, issued_on, paid_on)
SELECT
    account.id,
    elt(field(plan, 'free', 'basic', 'pro'), 1.00, 9.90, 49.00) * (1 + seq % 3),
    date '2024-01-01' + INTERVAL seq MONTH,
    IF((account.id + seq) % 6 = 0, NULL, date '2024-01-01' + INTERVAL seq MONTH + INTERVAL (account.id * 7 % 28) DAY)
FROM account
JOIN (SELECT seq FROM seq_0_to_11) AS months ON seq < account.id * 5 % 13
WHERE plan <> 'free' OR account.id % 4 = 0;
