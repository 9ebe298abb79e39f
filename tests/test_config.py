"""A configuration is read into values, or refused with the file, the key and what is allowed."""

from __future__ import annotations

from pathlib import Path

import pytest

from mirror.config import load, parse
from mirror_connectors import ConfigError, Mode, RelationName

CRM = '[sources.crm]\nurl = "sqlite:///crm.db"\n'
FOLDER = Path("/data")


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(text, folder=FOLDER)
    return str(caught.value)


def test_everything_has_a_default_but_the_sources() -> None:
    config = parse(CRM, folder=FOLDER)
    assert config.run.scale == 1.0
    assert config.privacy.k == 10
    assert config.profile_path == FOLDER / "world.mirror"
    assert not config.targets


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "wanted key 'sources'"),
        ("[sources]", "at least one [sources.NAME]"),
        (CRM + "[run]\nscle = 1", "unknown key 'run.scle'; did you mean 'scale'?"),
        (CRM + "[sorces.x]\nurl = ''", "unknown key 'sorces'; did you mean 'sources'?"),
        (CRM + "[[rules]]\nmatch = 'x'\ncopi = true", "did you mean 'copy'?"),
        (CRM + "[run]\nscale = 0", "run.scale: input should be greater than 0"),
        (CRM + "[privacy]\nk = 1", "privacy.k: input should be greater than or equal to 2"),
        (CRM + "[privacy]\nmode = 'dp'\nunit = ['crm.main.a']", 'wanted epsilon with mode = "dp", and only there'),
        (CRM + "[privacy]\nepsilon = 1.0", 'wanted epsilon with mode = "dp", and only there'),
        (CRM + "[privacy]\nmode = 'dp'\nepsilon = 1.0", 'with mode = "dp": whose rows are to be protected'),
        (CRM + "[privacy]\nmode = 'dp'\nepsilon = 11\nunit = ['a']", "less than or equal to 10"),
        (CRM + "[targets.crm]\nurl = 'x'\nmode = 'repalce'", "'fill', 'replace' or 'append'"),
        (CRM + "[targets.shop]\nurl = 'x'", "targets.shop mirrors a source of the same name, found only these: crm"),
        (
            CRM + "[[links]]\nchild = 'crm.main.a'\nparent = 'crm.main.b(c)'",
            "wanted source.schema.relation(column, ...)",
        ),
        (CRM + "[[links]]\nchild = 'erp.main.a(b)'\nparent = 'crm.main.b(c)'", "a link names source 'erp'"),
        (CRM + "[[links]]\nchild = 'crm.main.a(b, c)'\nparent = 'crm.main.b(c)'", "pairs 2 columns with 1"),
        ("folder = 'x'\n" + CRM, "unknown key 'folder'"),
        ("[sources.crm\n", "syntax error at line 1"),
        ("[sources.'a.b']\nurl = 'x'", "sources.a.b"),
    ],
)
def test_what_is_wrong_is_named(text: str, said: str) -> None:
    assert said in refusal(text)


def test_no_error_quotes_a_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRM_PASSWORD", "hunter2")
    text = (
        '[sources.crm]\nurl = "postgresql://me:${CRM_PASSWORD}@host/crm"\nurll = "postgresql://me:hunter2@host/crm"\n'
    )
    assert "hunter2" not in refusal(text)
    config = parse(text.splitlines()[0] + "\n" + text.splitlines()[1], folder=FOLDER)
    assert config.sources["crm"].url == "postgresql://me:hunter2@host/crm"
    assert "hunter2" not in repr(config)


def test_a_missing_variable_is_named_and_only_where_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CRM_URL", raising=False)
    text = '[sources.crm]\nurl = "${CRM_URL}"\n[targets.crm]\nurl = "sqlite:///out.db"'
    assert "sources.crm.url wants the environment variable CRM_URL, which is not set" in refusal(text)
    config = parse(text, folder=FOLDER, needs=("targets",))
    assert config.sources["crm"].url == "${CRM_URL}"
    assert config.targets["crm"].url == "sqlite:////data/out.db"


def test_relative_paths_start_at_the_folder_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "job.toml").write_text(CRM, encoding="utf-8")
    monkeypatch.chdir("/")
    config = load(tmp_path / "job.toml")
    assert config.sources["crm"].url == f"sqlite:///{tmp_path}/crm.db"
    assert (
        parse('[sources.crm]\nurl = "sqlite:////abs/crm.db"', folder=FOLDER).sources["crm"].url.endswith("/abs/crm.db")
    )


def test_a_file_that_is_not_there_or_not_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="`mirror init URL` writes one"):
        load(tmp_path / "mirror.toml")
    (tmp_path / "mirror.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="none that can be read"):
        load(tmp_path / "mirror.toml")


def test_the_last_rule_that_matches_wins_and_globs_keep_relations() -> None:
    config = parse(
        '[sources.crm]\nurl = "x"\ninclude = "public.*"\nexclude = ["*.log_*"]\n[targets.crm]\nurl = "y"\nmode = "append"\n'
        '[[rules]]\nmatch = "crm.public.*.note"\ngenerate = "null"\n'
        '[[rules]]\nmatch = "crm.public.person.*"\ngenerate = "drawn"\n',
        folder=FOLDER,
    )
    person = RelationName("crm", "public", "person")
    found = config.rule_for(person, "note")
    assert found is not None
    assert found.generate == "drawn"
    assert config.rule_for(person) is None
    keeps = config.sources["crm"].keeps
    assert keeps("public", "person")
    assert not keeps("public", "log_2024")
    assert not keeps("private", "person")
    assert config.targets["crm"].mode is Mode.APPEND
