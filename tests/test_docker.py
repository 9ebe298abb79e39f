"""The example in docker/: there is no Docker here, so its parts are held against one another and its SQL is run."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pymysql
import pytest
import yaml

from mirror import config
from tests.databases import load_dump
from tests.servers import mariadb_arguments

DOCKER = Path(__file__).parents[1] / "docker"


def test_compose_gives_mirror_what_its_configuration_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    services = yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]
    given: dict[str, str] = services["mirror"]["environment"]
    assert given.keys() == set(re.findall(r"\$\{(\w+)\}", (DOCKER / "mirror.toml").read_text()))
    for name, url in given.items():
        monkeypatch.setenv(name, url.replace("${MIRROR_PASSWORD}", "secret"))
    read = config.load(DOCKER / "mirror.toml")
    urls = [source.url for source in read.sources.values()] + [target.url for target in read.targets.values()]
    for url in urls:
        parts = urlsplit(url)
        service = services[parts.hostname]
        assert service is not None
        assert parts.hostname in services["mirror"]["depends_on"]
        created = service["environment"].get("POSTGRES_DB") or service["environment"]["MARIADB_DATABASE"]
        assert parts.path == f"/{created}"


def test_every_file_that_compose_mounts_is_there() -> None:
    services = yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]
    mounted = [
        volume.split(":")[0]
        for service in services.values()
        for volume in service.get("volumes", ())
        if volume.startswith(".")
    ]
    assert len(mounted) == 3
    for file in mounted:
        assert (DOCKER / file).is_file()


def test_every_variable_of_compose_stands_in_the_example_environment() -> None:
    asked = set(re.findall(r"\$\{(\w+)", (DOCKER / "compose.yaml").read_text()))
    given = set(re.findall(r"^(\w+)=", (DOCKER / "example.env").read_text(), flags=re.MULTILINE))
    assert asked == given


def test_the_example_sources_agree_on_their_customers(postgresql_url: str, mariadb_url: str, tmp_path: Path) -> None:
    for name, url in (("crm", postgresql_url), ("billing", mariadb_url)):
        dump = tmp_path / f"{name}.sql.gz"
        dump.write_bytes(gzip.compress((DOCKER / "sources" / f"{name}.sql").read_bytes()))
        load_dump(dump, url)
    with psycopg.connect(postgresql_url) as crm:
        emails: dict[int, str] = dict(crm.execute("SELECT id, email FROM customer").fetchall())
    with pymysql.connect(**mariadb_arguments(mariadb_url)) as billing, billing.cursor() as cursor:
        cursor.execute("SELECT customer_ref, mail FROM account")
        accounts = dict(cursor.fetchall())
        cursor.execute("SELECT count(*) FROM invoice")
        ((invoices,),) = cursor.fetchall()
    assert (len(emails), len(accounts)) == (2000, 1750)
    assert invoices > 2000
    assert accounts.items() <= emails.items()
