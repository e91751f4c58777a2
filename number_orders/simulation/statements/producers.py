"""The statements of `sql/producers.sql`."""

from datetime import timedelta
from typing import Any, Final

from number_orders.simulation.statements.archive import find_order
from number_orders.simulation.statements.registry import Params, statement
from number_orders.simulation.tables import Row, Tables

_MINUTE: Final = timedelta(minutes=1)


@statement
def add_producer(tables: Tables, p: Params) -> list[Row]:
    """Add a producer or operator, unless the name is taken."""
    if p["producer"] in tables.producers:
        return []
    row: Row = {"producer": p["producer"], "role": str(p["role"]), "added_at": tables.clock(), "added_by": p["by"]}
    row["removals"] = "own"
    tables.producers[p["producer"]] = row
    return [{"producer": p["producer"]}]


@statement
def find_producer(tables: Tables, p: Params) -> list[Row]:
    """Return a producer or operator by name."""
    row = tables.producers.get(p["producer"])
    return [dict(row)] if row else []


@statement
def list_producers(tables: Tables, p: Params) -> list[Row]:
    """Return every producer and operator."""
    return [{**row, "signing_keys": len(_keys(tables, name))} for name, row in sorted(tables.producers.items())]


@statement
def set_removals(tables: Tables, p: Params) -> list[Row]:
    """Set which numbers a producer may remove."""
    row = tables.producers.get(p["producer"])
    if row is None:
        return []
    row["removals"] = p["removals"]
    return [{"producer": p["producer"]}]


@statement
def list_tokens(tables: Tables, p: Params) -> list[Row]:
    """Return every token, without its digest."""
    rows = sorted(tables.tokens.values(), key=lambda row: (row["producer"], row["made_at"]))
    return [{**{name: row[name] for name in row if name != "digest"}, "now": tables.clock()} for row in rows]


@statement
def add_token(tables: Tables, p: Params) -> list[Row]:
    """Add a token of a producer that there is."""
    if p["producer"] not in tables.producers:
        return []
    now = tables.clock()
    row: Row = {name: p[name] for name in ("token_id", "producer", "digest", "label")}
    row |= {"made_at": now, "made_by": p["by"], "expires_at": p["lasts"] and now + p["lasts"]}
    row |= dict.fromkeys(("revoked_at", "revoked_by", "last_used_at"))
    tables.tokens[p["token_id"]] = row
    return [{"token_id": row["token_id"], "expires_at": row["expires_at"]}]


@statement
def revoke_token(tables: Tables, p: Params) -> list[Row]:
    """Revoke a token that is not revoked."""
    row = tables.tokens.get(p["token_id"])
    if row is None or row["revoked_at"] is not None:
        return []
    row.update(revoked_at=tables.clock(), revoked_by=p["by"])
    return [{name: row[name] for name in ("token_id", "producer", "label")}]


@statement
def find_token(tables: Tables, p: Params) -> list[Row]:
    """Return whose a valid token is, and note that it was used."""
    now = tables.clock()
    row = next((row for row in tables.tokens.values() if row["digest"] == p["digest"]), None)
    if row is None or row["revoked_at"] is not None or (row["expires_at"] and row["expires_at"] <= now):
        return []
    if row["last_used_at"] is None or row["last_used_at"] < now - _MINUTE:
        row["last_used_at"] = now
    valid_for_s = (row["expires_at"] - now).total_seconds() if row["expires_at"] else None
    found = {"token_id": row["token_id"], "producer": row["producer"], "valid_for_s": valid_for_s}
    return [{**found, "role": tables.producers[row["producer"]]["role"]}]


@statement
def add_signing_key(tables: Tables, p: Params) -> list[Row]:
    """Add a signing key; of the others the newest stays valid."""
    if p["producer"] not in tables.producers:
        return []
    for row in _keys(tables, p["producer"])[1:]:
        row["retired_at"] = tables.clock()
    row = {name: p[name] for name in ("key_id", "producer", "secret")}
    tables.signing_keys[p["key_id"]] = {**row, "made_at": tables.clock(), "made_by": p["by"], "retired_at": None}
    return [{"key_id": p["key_id"]}]


@statement
def retire_signing_keys(tables: Tables, p: Params) -> list[Row]:
    """Retire all signing keys of a producer but the newest."""
    older = _keys(tables, p["producer"])[1:]
    for row in older:
        row["retired_at"] = tables.clock()
    return [{"key_id": row["key_id"]} for row in older]


@statement
def signing_keys_of(tables: Tables, p: Params) -> list[Row]:
    """Return the valid signing keys of these producers, newest first."""
    return [
        {"producer": name, "role": tables.producers[name]["role"], "secret": row["secret"]}
        for name in sorted(set(p["producers"]) & tables.producers.keys())
        for row in _keys(tables, name)
    ]


@statement
def owners_of(tables: Tables, p: Params) -> list[Row]:
    """Return whose these orders are."""
    found = (find_order(tables, order_id) for order_id in p["order_ids"])
    return [{name: row[name] for name in ("order_id", "producer")} for row in found if row is not None]


def _keys(tables: Tables, producer: str) -> list[dict[str, Any]]:
    """Return the valid signing keys of a producer, newest first."""
    rows = [row for row in tables.signing_keys.values() if row["producer"] == producer and row["retired_at"] is None]
    return sorted(rows, key=lambda row: (row["made_at"], row["key_id"]), reverse=True)
