"""Mutants of the store: transactions, their unknown outcomes, versions, and the genres' lines."""

from tests.simulation.mutation import mutant

WRITES, LINES, VERSION = "db/cassandra/writes.py", "db/cassandra/lines.py", "db/version.py"
CQL, STATEMENTS = "db/cassandra/statements.cql", "db/cassandra/statements.py"

MUTANTS = (
    mutant(
        "UPDATE not repeated",
        "an UPDATE of unknown outcome is run again, so that a late copy of it is refused",
        (WRITES, 'if again and name != "create_row"', "if name is None"),
    ),
    mutant(
        "unknown is refused",
        "a write whose outcome is unknown is not called refused",
        (
            WRITES,
            "                raise OutcomeUnknown(settled) from None",
            '                raise Unavailable("no") from None',
        ),
    ),
    mutant(
        "a commit without nodes is refused",
        "a transaction that was accepted may hold, although nodes are missing for its commit",
        (STATEMENTS, "isinstance(error, UNCERTAIN)", "not name"),
    ),
    mutant(
        "any row is mine",
        "a creation of unknown outcome holds only if the row is its own",
        (
            WRITES,
            "return is_there if name",
            "return found is not None if name",
        ),
    ),
    mutant(
        "any version is mine",
        "an update of unknown outcome holds only if the version is its own",
        (
            WRITES,
            'return found is not None and found.row["lastupdated"] == life.version',
            "return found is not None",
        ),
    ),
    mutant(
        "overtaken is refused",
        "an update that may have held before another writer's is unknown, not refused",
        (WRITES, 'if name == "update_row" and not held:', "if not name:"),
    ),
    mutant(
        "UPDATE of any version",
        "an UPDATE replaces the version that it was made from, and no other",
        (CQL, "listed = ? WHERE id = ? IF lastupdated = ?", "listed = ? WHERE id = ? IF EXISTS"),
        (WRITES, 'row["id"], row["lastupdated"]]', 'row["id"]]'),
    ),
    mutant(
        "DELETE of any version",
        "a DELETE removes the version that was looked at, and no other",
        (
            CQL,
            "DELETE FROM video WHERE id = ? IF lastupdated = ?",
            "DELETE FROM video WHERE id = ? IF EXISTS",
        ),
        (WRITES, 'values = [life.video_id, before.row["lastupdated"]]', "values = [life.video_id]"),
    ),
    mutant(
        "lines without timestamps",
        "a line's timestamp is that of the row version that caused it",
        (LINES, "(*entry, version_us(entry.version))", "(*entry, version_us(next_version()))"),
        (LINES, "(version_us(version), genre,", "(version_us(next_version()), genre,"),
        (
            LINES,
            "from db.version import version_ahead, version_us",
            "from db.version import next_version, version_ahead, version_us",
        ),
    ),
    mutant(
        "lists not written",
        "a write brings the genres' lists up to the row",
        (
            LINES,
            "for entry in entries]\n        await self._cassandra.execute_all",
            "for entry in ()]\n        await self._cassandra.execute_all",
        ),
    ),
    mutant(
        "old lines left",
        "a write drops the lines of genres that the row has no more",
        (LINES, "await self.drop(life.lines(gone))", "pass"),
    ),
    mutant(
        "earlier genres forgotten",
        "a row knows every genre that it may have lines in",
        (WRITES, "listed=life.listed | genres\n        )", "listed=genres\n        )"),
    ),
    mutant(
        "earlier lives forgotten",
        "a new life of a row drops the lines of its earlier lives",
        (
            "db/cassandra/store.py",
            "over = (life for life in earlier if life.created != stored.created)",
            "over = ()",
        ),
    ),
    mutant(
        "versions by the clock",
        "a version is later than the one before it, whatever the clock says",
        (VERSION, "max(now_us, version_us(after) + 1) if after else now_us", "now_us"),
    ),
    mutant(
        "condition not checked",
        "a conditional write holds only on the version it names",
        (
            VERSION,
            "self.if_match is not None and not names",
            "self.if_match == 1 and not names",
        ),
    ),
)
