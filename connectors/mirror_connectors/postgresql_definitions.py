"""What a PostgreSQL schema has besides relations, as statements that make it again: types, sequences, and objects on request."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from mirror_connectors.schema import Definition, Finding, ObjectKind, RelationName, Sequence

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from typing import TypeAlias

    import psycopg

    Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]
    Row: TypeAlias = tuple[Any, ...]

_OF_USERS = "n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%%'"
_NOT_OF_OTHERS = """NOT EXISTS (SELECT FROM pg_catalog.pg_depend e
    WHERE e.classid = '{0}'::regclass AND e.objid = {1} AND e.deptype IN ('e', 'i'))"""

# Every type that a column may lead to, with those that it is made of. Arrays and multiranges come with their elements.
_TYPES = """
SELECT t.oid, pg_catalog.format_type(t.oid, NULL), t.typtype::text,
  CASE WHEN t.typtype = 'd' THEN ARRAY[t.typbasetype] WHEN t.typtype = 'r' THEN ARRAY[r.rngsubtype]
       WHEN t.typtype = 'm' THEN ARRAY[m.rngtypid] WHEN t.typtype = 'c' THEN
         ARRAY(SELECT a.atttypid FROM pg_catalog.pg_attribute a
               WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped)
       ELSE ARRAY[t.typelem] END::bigint[],
  CASE t.typtype
    WHEN 'e' THEN 'AS ENUM (' || (
      SELECT pg_catalog.string_agg(pg_catalog.quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder)
      FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid) || ')'
    WHEN 'd' THEN 'AS ' || pg_catalog.format_type(t.typbasetype, t.typtypmod)
      || COALESCE(' COLLATE ' || CASE WHEN t.typcollation <> b.typcollation THEN t.typcollation::regcollation::text END, '')
      || COALESCE(' DEFAULT ' || t.typdefault, '') || CASE WHEN t.typnotnull THEN ' NOT NULL' ELSE '' END
      || COALESCE((
        SELECT pg_catalog.string_agg(' CONSTRAINT ' || pg_catalog.quote_ident(k.conname) || ' '
                                     || pg_catalog.pg_get_constraintdef(k.oid), '' ORDER BY k.conname)
        FROM pg_catalog.pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c' AND k.convalidated), '')
    WHEN 'c' THEN 'AS (' || COALESCE((
      SELECT pg_catalog.string_agg(pg_catalog.quote_ident(a.attname) || ' ' || pg_catalog.format_type(a.atttypid, a.atttypmod)
        || COALESCE(' COLLATE ' || CASE WHEN a.attcollation <> y.typcollation THEN a.attcollation::regcollation::text END, ''),
        ', ' ORDER BY a.attnum)
      FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type y ON y.oid = a.atttypid
      WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped), '') || ')'
    WHEN 'r' THEN 'AS RANGE (SUBTYPE = ' || pg_catalog.format_type(r.rngsubtype, NULL)
      || CASE WHEN NOT o.opcdefault THEN ', SUBTYPE_OPCLASS = ' || pg_catalog.quote_ident(p.nspname) || '.'
              || pg_catalog.quote_ident(o.opcname) ELSE '' END
      || COALESCE(', COLLATION = ' || NULLIF(r.rngcollation, 0)::regcollation::text, '')
      || COALESCE(', CANONICAL = ' || NULLIF(r.rngcanonical::oid, 0)::regproc::text, '')
      || COALESCE(', SUBTYPE_DIFF = ' || NULLIF(r.rngsubdiff::oid, 0)::regproc::text, '') || ')' END,
  ARRAY(SELECT pg_catalog.quote_ident(k.conname) || ' ' || pg_catalog.pg_get_constraintdef(k.oid)
        FROM pg_catalog.pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c' AND NOT k.convalidated),
  (SELECT e.refobjid::bigint FROM pg_catalog.pg_depend e
   WHERE e.classid = 'pg_catalog.pg_type'::regclass AND e.objid = t.oid AND e.deptype = 'e')
FROM pg_catalog.pg_type t
JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid
LEFT JOIN pg_catalog.pg_type b ON b.oid = t.typbasetype
LEFT JOIN pg_catalog.pg_range r ON r.rngtypid = t.oid
LEFT JOIN pg_catalog.pg_range m ON t.typtype = 'm' AND (pg_catalog.to_jsonb(m) ->> 'rngmultitypid')::oid = t.oid
LEFT JOIN pg_catalog.pg_opclass o ON o.oid = r.rngsubopc
LEFT JOIN pg_catalog.pg_namespace p ON p.oid = o.opcnamespace
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND (c.oid IS NULL OR c.relkind = 'c')"""

_COLLATIONS = """
SELECT c.oid::bigint, c.oid::regcollation::text,
  COALESCE(pg_catalog.to_jsonb(c) ->> 'colllocale', pg_catalog.to_jsonb(c) ->> 'colliculocale', c.collcollate),
  c.collctype, c.collprovider::text, c.collisdeterministic
FROM pg_catalog.pg_collation c JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace WHERE """ + _OF_USERS.replace(
    "%%", "%"
)

# An extension is in use where anything that is not of it depends on something of it.
_EXTENSIONS = """
SELECT DISTINCT x.oid::bigint, x.extname, n.nspname
FROM pg_catalog.pg_extension x JOIN pg_catalog.pg_namespace n ON n.oid = x.extnamespace
JOIN pg_catalog.pg_depend e ON e.refclassid = 'pg_catalog.pg_extension'::regclass AND e.refobjid = x.oid AND e.deptype = 'e'
JOIN pg_catalog.pg_depend u ON u.refclassid = e.classid AND u.refobjid = e.objid AND u.deptype IN ('n', 'a')
WHERE x.extname <> 'plpgsql' AND u.classid IN ('pg_catalog.pg_class'::regclass, 'pg_catalog.pg_type'::regclass,
  'pg_catalog.pg_attrdef'::regclass, 'pg_catalog.pg_constraint'::regclass)
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend o
                  WHERE o.classid = u.classid AND o.objid = u.objid AND o.deptype = 'e')
ORDER BY 2"""

_SEQUENCES = """
SELECT s.seqrelid::bigint, pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname),
  pg_catalog.format_type(s.seqtypid, NULL), s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache, s.seqcycle,
  o.refobjid::bigint, o.refobjsubid, o.deptype = 'i',
  ARRAY(SELECT ARRAY[a.adrelid::bigint, a.adnum] FROM pg_catalog.pg_depend u
        JOIN pg_catalog.pg_attrdef a ON a.oid = u.objid
        WHERE u.classid = 'pg_catalog.pg_attrdef'::regclass AND u.refclassid = 'pg_catalog.pg_class'::regclass
          AND u.refobjid = s.seqrelid)
FROM pg_catalog.pg_sequence s
JOIN pg_catalog.pg_class c ON c.oid = s.seqrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_depend o ON o.classid = 'pg_catalog.pg_class'::regclass AND o.objid = s.seqrelid
  AND o.refclassid = 'pg_catalog.pg_class'::regclass AND o.deptype IN ('a', 'i')
ORDER BY n.nspname, c.relname"""

_OBJECTS: Mapping[ObjectKind, str] = {
    ObjectKind.VIEWS: f"""
SELECT c.oid, CASE c.relkind WHEN 'm' THEN 'materialized view' ELSE 'view' END, c.oid::regclass::text,
  CASE c.relkind WHEN 'm' THEN 'CREATE MATERIALIZED VIEW ' ELSE 'CREATE VIEW ' END || c.oid::regclass::text
    || COALESCE(' WITH (' || pg_catalog.array_to_string(c.reloptions, ', ') || ')', '') || ' AS '
    || pg_catalog.pg_get_viewdef(c.oid) || CASE c.relkind WHEN 'm' THEN COALESCE((
      SELECT pg_catalog.string_agg(pg_catalog.pg_get_indexdef(i.indexrelid), ';' ORDER BY i.indexrelid)
      FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid), '') ELSE '' END
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('v', 'm') AND {_OF_USERS} AND {_NOT_OF_OTHERS.format("pg_catalog.pg_class", "c.oid")}
  AND NOT c.oid = ANY (%(left)s) ORDER BY c.oid""",
    ObjectKind.FUNCTIONS: f"""
SELECT p.oid, 'function', p.oid::regprocedure::text,
  CASE WHEN p.prokind <> 'a' THEN pg_catalog.pg_get_functiondef(p.oid) END
FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
WHERE {_OF_USERS} AND {_NOT_OF_OTHERS.format("pg_catalog.pg_proc", "p.oid")} ORDER BY p.oid""",
    ObjectKind.TRIGGERS: """
SELECT t.oid, 'trigger', pg_catalog.quote_ident(t.tgname) || ' on ' || t.tgrelid::regclass::text,
  pg_catalog.pg_get_triggerdef(t.oid) || CASE t.tgenabled WHEN 'O' THEN '' ELSE
    '; ALTER TABLE ' || t.tgrelid::regclass::text
    || CASE t.tgenabled WHEN 'D' THEN ' DISABLE' WHEN 'A' THEN ' ENABLE ALWAYS' ELSE ' ENABLE REPLICA' END
    || ' TRIGGER ' || pg_catalog.quote_ident(t.tgname) END
FROM pg_catalog.pg_trigger t
WHERE NOT t.tgisinternal AND t.tgrelid = ANY (%(kept)s)
  AND COALESCE((pg_catalog.to_jsonb(t) ->> 'tgparentid')::bigint, 0) = 0 ORDER BY t.oid""",
    ObjectKind.RULES: """
SELECT r.oid, 'rule', pg_catalog.quote_ident(r.rulename) || ' on ' || r.ev_class::regclass::text,
  pg_catalog.pg_get_ruledef(r.oid)
FROM pg_catalog.pg_rewrite r WHERE r.rulename <> '_RETURN' AND r.ev_class = ANY (%(kept)s) ORDER BY r.oid""",
    ObjectKind.POLICIES: """
SELECT c.oid, 'policy', 'row-level security of ' || c.oid::regclass::text,
  'ALTER TABLE ' || c.oid::regclass::text || ' ENABLE ROW LEVEL SECURITY'
    || CASE WHEN c.relforcerowsecurity THEN ', FORCE ROW LEVEL SECURITY' ELSE '' END || COALESCE('; ' || (
      SELECT pg_catalog.string_agg('CREATE POLICY ' || pg_catalog.quote_ident(p.polname) || ' ON ' || c.oid::regclass::text
        || CASE WHEN p.polpermissive THEN '' ELSE ' AS RESTRICTIVE' END
        || CASE p.polcmd WHEN 'r' THEN ' FOR SELECT' WHEN 'a' THEN ' FOR INSERT' WHEN 'w' THEN ' FOR UPDATE'
                         WHEN 'd' THEN ' FOR DELETE' ELSE '' END
        || CASE WHEN p.polroles = '{0}' THEN '' ELSE ' TO ' || (
             SELECT pg_catalog.string_agg(pg_catalog.quote_ident(o.rolname), ', ')
             FROM pg_catalog.pg_roles o WHERE o.oid = ANY (p.polroles)) END
        || COALESCE(' USING (' || pg_catalog.pg_get_expr(p.polqual, p.polrelid) || ')', '')
        || COALESCE(' WITH CHECK (' || pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) || ')', ''),
        '; ' ORDER BY p.polname)
      FROM pg_catalog.pg_policy p WHERE p.polrelid = c.oid), '')
FROM pg_catalog.pg_class c WHERE c.relrowsecurity AND c.oid = ANY (%(kept)s) ORDER BY c.oid""",
    ObjectKind.COMMENTS: """
SELECT d.objoid, 'comment', COALESCE(c.oid::regclass::text, t.typname::text, k.conname::text),
  CASE WHEN a.attnum IS NOT NULL
         THEN 'COMMENT ON COLUMN ' || c.oid::regclass::text || '.' || pg_catalog.quote_ident(a.attname)
       WHEN c.oid IS NOT NULL THEN 'COMMENT ON TABLE ' || c.oid::regclass::text
       WHEN k.oid IS NOT NULL
         THEN 'COMMENT ON CONSTRAINT ' || pg_catalog.quote_ident(k.conname) || ' ON ' || k.conrelid::regclass::text
       ELSE CASE t.typtype WHEN 'd' THEN 'COMMENT ON DOMAIN ' ELSE 'COMMENT ON TYPE ' END
            || pg_catalog.format_type(t.oid, NULL) END
    || ' IS ' || pg_catalog.quote_literal(d.description)
FROM pg_catalog.pg_description d
LEFT JOIN pg_catalog.pg_class c ON d.classoid = 'pg_catalog.pg_class'::regclass AND c.oid = d.objoid AND c.oid = ANY (%(kept)s)
LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.objsubid AND d.objsubid > 0
LEFT JOIN pg_catalog.pg_constraint k
  ON d.classoid = 'pg_catalog.pg_constraint'::regclass AND k.oid = d.objoid AND k.conrelid = ANY (%(kept)s)
LEFT JOIN pg_catalog.pg_type t
  ON d.classoid = 'pg_catalog.pg_type'::regclass AND t.oid = d.objoid AND t.oid = ANY (%(types)s)
WHERE c.oid IS NOT NULL OR k.oid IS NOT NULL OR t.oid IS NOT NULL ORDER BY d.classoid, d.objoid, d.objsubid""",
}

_COUNTS = f"""
SELECT (SELECT count(*) FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
        WHERE {_OF_USERS} AND {_NOT_OF_OTHERS.format("pg_catalog.pg_proc", "p.oid")}),
       (SELECT count(*) FROM pg_catalog.pg_trigger t WHERE NOT t.tgisinternal AND t.tgrelid = ANY (%(kept)s)),
       (SELECT count(*) FROM pg_catalog.pg_rewrite r WHERE r.rulename <> '_RETURN' AND r.ev_class = ANY (%(kept)s)),
       (SELECT count(*) FROM pg_catalog.pg_class c WHERE c.relrowsecurity AND c.oid = ANY (%(kept)s)),
       (SELECT count(*) FROM pg_catalog.pg_description d
        WHERE d.classoid = 'pg_catalog.pg_class'::regclass AND d.objoid = ANY (%(kept)s))"""
_COUNTED = (ObjectKind.FUNCTIONS, ObjectKind.TRIGGERS, ObjectKind.RULES, ObjectKind.POLICIES, ObjectKind.COMMENTS)

_STRING = re.compile(r"'(?:[^']|'')*'")
_CALL_OF_USERS = re.compile(r"""[\w"]\.(?:\w+|"(?:[^"]|"")*")\(""")
_PROVIDERS = {"c": "libc", "i": "icu", "b": "builtin"}


def plain_default(text: str) -> bool:
    """Say whether a default is schema and no more: literals and the engine's own functions, or a call without text in it.

    >>> plain_default("(now() AT TIME ZONE 'utc'::text)"), plain_default("public.uuid_generate_v4()")
    (True, True)
    >>> plain_default("public.encrypt('secret'::text)")
    False
    """
    return not (_STRING.search(text) and _CALL_OF_USERS.search(_STRING.sub("''", text)))


def read_types(connection: Connection, source: str, wanted: Iterable[int]) -> tuple[tuple[Definition, ...], list[int]]:
    """Return what makes the types that columns lead to, in an order in which it can be made; and the types' numbers.

    All extensions in use come first: operator classes and functions come from them as well as types.
    """
    extensions = [
        Definition(
            source,
            "extension",
            name,
            ("" if schema.startswith("pg_") else f"CREATE SCHEMA IF NOT EXISTS {_quote(schema)}; ")
            + f"CREATE EXTENSION IF NOT EXISTS {_quote(name)} SCHEMA {_quote(schema)} CASCADE",
        )
        for _, name, schema in connection.execute(_EXTENSIONS).fetchall()
    ]
    collations = [
        Definition(source, "collation", name, _collation(name, locale, ctype, provider, deterministic=deterministic))
        for _, name, locale, ctype, provider, deterministic in connection.execute(_COLLATIONS).fetchall()
    ]
    known = {row[0]: row for row in connection.execute(_TYPES).fetchall()}
    made: dict[int, Definition] = {}
    seen: set[int] = set()

    def visit(oid: int) -> None:
        row = known.get(oid)
        if row is None or oid in seen:
            return
        seen.add(oid)
        _, name, _, parts, text, late, extension = row
        for part in parts:
            visit(part)
        if text is not None and extension is None:
            kind = "DOMAIN" if row[2] == "d" else "TYPE"
            later = "".join(f"; ALTER DOMAIN {name} ADD CONSTRAINT {constraint}" for constraint in late)
            made[oid] = Definition(source, kind.lower(), name, f"CREATE {kind} {name} {text}{later}")

    for oid in wanted:
        visit(oid)
    return (*extensions, *collations, *made.values()), list(made)


def _collation(name: str, locale: str | None, ctype: str | None, provider: str, *, deterministic: bool) -> str:
    parts = [f"provider = {_PROVIDERS.get(provider, 'icu')}"]
    if provider == "c" and locale != ctype:
        parts += [f"lc_collate = {_literal(locale or '')}", f"lc_ctype = {_literal(ctype or '')}"]
    else:
        parts.append(f"locale = {_literal(locale or '')}")
    parts += [] if deterministic else ["deterministic = false"]
    return f"CREATE COLLATION {name} ({', '.join(parts)})"


def read_sequences(
    connection: Connection, source: str, columns: Mapping[int, tuple[RelationName, Mapping[int, str]]]
) -> tuple[tuple[Sequence, ...], dict[tuple[int, int], str]]:
    """Return the sequences that columns own or draw from, and the one that each column with a default draws from.

    ``columns`` gives each kept relation's name and its columns by number.
    """
    sequences: list[Sequence] = []
    draws: dict[tuple[int, int], str] = {}
    for row in connection.execute(_SEQUENCES).fetchall():
        _, name, type_, start, increment, low, high, cache, cycle, owner, number, identity, uses = row
        used = [(relation, column) for relation, column in uses if relation in columns]
        if not used and owner not in columns:
            continue
        draws |= dict.fromkeys(used, name)
        options = f"INCREMENT BY {increment} MINVALUE {low} MAXVALUE {high} START WITH {start} CACHE {cache}"
        options += " CYCLE" if cycle else ""
        owned = (columns[owner][0], columns[owner][1][number]) if owner in columns else None
        # the numbers of an identity are of its column's type
        sequences.append(Sequence(source, name, options if identity else f"AS {type_} {options}", owned))
    return tuple(sequences), draws


def read_objects(
    connection: Connection,
    source: str,
    objects: Collection[ObjectKind],
    *,
    kept: list[int],
    left: list[int],
    types: list[int],
) -> tuple[tuple[Definition, ...], tuple[Finding, ...]]:
    """Return the objects that were asked for, and findings of those that are there and were not.

    ``kept`` and ``left`` are the relations that are mirrored and the views that are not, ``types`` those that are made.
    """
    asked = {"kept": kept, "left": left, "types": types}
    found: list[Definition] = []
    findings: list[Finding] = []
    for kind in (kind for kind in ObjectKind if kind in objects and kind in _OBJECTS):
        for _, sort, name, text in connection.execute(_OBJECTS[kind].encode(), asked).fetchall():
            if text is None:
                findings.append(Finding(source, f"{sort} {name} is of a sort that is not carried over"))
            else:
                found.append(Definition(source, sort, name, text))
    counts = connection.execute(_COUNTS.encode(), asked).fetchone() or ()
    there = [f"{n} {kind}" for n, kind in zip(counts, _COUNTED, strict=True) if n and kind not in objects]
    if there:
        what = f"its {', '.join(there)} are not read: a target of this engine gets them where its objects name them"
        findings.append(Finding(source, what))
    return tuple(found), tuple(findings)


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
