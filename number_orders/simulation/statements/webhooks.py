"""The statements of `sql/webhooks.sql`."""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from uuid import UUID

from number_orders.orders.model import Lane
from number_orders.simulation.statements.alarms import raise_alarm
from number_orders.simulation.statements.registry import Params, statement
from number_orders.simulation.tables import Row, Tables, new_work_item

_URL = "url"


def documents(tables: Tables, order_ids: Iterable[UUID]) -> list[Row]:
    """Return the documents of these orders that are to be sent to their URLs, those that were given up too."""
    wanted = set(order_ids)
    found = [row for row in tables.outbox if row["channel"] == _URL and row["order_id"] in wanted]
    found = [row for row in found if row["told_at"] is None and not is_superseded(tables, row)]
    return sorted(found, key=lambda row: (row["order_id"], row["version"]))


def is_superseded(tables: Tables, row: Row) -> bool:
    """Tell whether a document was given up, and a later one of its order was delivered in the same way."""
    return row["gave_up_at"] is not None and any(
        later["told_at"] is not None and later["version"] > row["version"]
        for later in tables.outbox
        if (later["order_id"], later["channel"]) == (row["order_id"], row["channel"])
    )


def webhook_is_due(tables: Tables) -> bool:
    """Tell whether a delivery may be claimed."""
    return any(_due(tables, host) for host in tables.webhook_hosts.values())


@statement
def queue_webhooks(tables: Tables, p: Params) -> list[Row]:
    """Queue orders that have documents for their URL."""
    queued = []
    for given in p["orders"]:
        order_id = UUID(given["order_id"])
        if order_id not in tables.orders or not _to_send(tables, order_id):
            continue
        producer, host = tables.orders[order_id]["producer"], given["host"]
        tables.webhook_hosts.setdefault(
            (producer, host), {"producer": producer, "host": host, "faults": 0, "faulted_at": None, "held_until": None}
        )
        row = tables.webhook_deliveries.get(order_id)
        if row is None:
            new = {"order_id": order_id, "producer": producer, "host": host, "not_before": tables.clock()}
            tables.webhook_deliveries[order_id] = {**new, "lease_token": None, "generation": 0}
        else:
            row["generation"] += 1
        queued.append({"order_id": order_id})
    return queued


@statement
def claim_webhooks(tables: Tables, p: Params) -> list[Row]:
    """Lease due deliveries, each with its oldest document and its producer's secrets."""
    now = tables.clock()
    due: list[Row] = []
    for host in tables.webhook_hosts.values():
        busy = [row for row in _of_host(tables, host) if row["not_before"] > now and row["lease_token"] is not None]
        places = max(0, (1 if host["faults"] else p["per_host"]) - len(busy))
        due += _due(tables, host)[:places]
    taken = _in_turns(tables, due, p["per_producer"])[: p["limit"]]
    for row in taken:
        row.update(not_before=now + p["lease"], lease_token=p["token"])
    return [_claimed(tables, row) for row in taken]


@statement
def settle_webhooks(tables: Tables, p: Params) -> list[Row]:
    """Record what became of deliveries, and raise the alarms about those that were given up."""
    for result in p["results"]:
        _mark(tables, result)
        _free(tables, result, p["token"])
        if result["outcome"] == "given_up":
            alarm = {"what": p["alarm"], "subject": f"{result['producer']} at {result['host']}", "carrier": None}
            raise_alarm(tables, {**alarm, "order_id": UUID(result["order_id"]), "detail": result["detail"]})
    for seen in p["hosts"]:
        host = tables.webhook_hosts[seen["producer"], seen["host"]]
        if not seen["reached"]:
            if host["faulted_at"] is not None and host["faulted_at"] >= p["claimed_at"]:
                continue  # attempts that were under way together count as one fault
            host["faulted_at"] = tables.clock()
        host["faults"] = 0 if seen["reached"] else host["faults"] + 1
        over = host["faults"] - p["faults_max"]
        hold = min(p["hold_first"] * 2 ** min(20, max(0, over)), p["hold_max"])
        host["held_until"] = tables.clock() + hold if over >= 0 else None
    return []


@statement
def undelivered_webhooks(tables: Tables, p: Params) -> list[Row]:
    """Return which of these orders have documents for their URL that were not delivered."""
    return [{"order_id": order_id} for order_id in {row["order_id"] for row in documents(tables, p["order_ids"])}]


@statement
def send_webhooks_now(tables: Tables, p: Params) -> list[Row]:
    """Make the undelivered documents of these orders due."""
    for row in documents(tables, p["order_ids"]):
        row.update(gave_up_at=None, tried_since=None)
    for order_id in p["order_ids"]:
        delivery = tables.webhook_deliveries.get(order_id)
        if delivery is not None and delivery["lease_token"] is None:
            delivery["not_before"] = tables.clock()
            tables.webhook_hosts[delivery["producer"], delivery["host"]]["held_until"] = None
    return []


@statement
def owe_lost_webhooks(tables: Tables, p: Params) -> list[Row]:
    """Owe the orders of which nothing is done about documents for their URL."""
    waiting = {row["order_id"] for row in tables.outbox if row["channel"] == _URL and _is_to_be_sent(row)}
    lost = [
        order_id
        for order_id in waiting - tables.webhook_deliveries.keys()
        if (order_id, Lane.TELL.value) not in tables.owed
    ]
    for order_id in lost:
        work_item = new_work_item(tables.orders[order_id], Lane.TELL.value, tables.clock(), None)
        tables.owed[order_id, Lane.TELL.value] = work_item
    return [{"orders": len(lost)}]


@statement
def forget_webhook_hosts(tables: Tables, p: Params) -> list[Row]:
    """Delete the hosts that nothing is to be sent to."""
    for key, host in list(tables.webhook_hosts.items()):
        if host["faults"] == 0 and not list(_of_host(tables, host)):
            del tables.webhook_hosts[key]
    return []


def _of_host(tables: Tables, host: Row) -> Iterator[Row]:
    wanted = (host["producer"], host["host"])
    return (row for row in tables.webhook_deliveries.values() if (row["producer"], row["host"]) == wanted)


def _due(tables: Tables, host: Row) -> list[Row]:
    now = tables.clock()
    if host["held_until"] is not None and host["held_until"] > now:
        return []
    return sorted(
        (row for row in _of_host(tables, host) if row["not_before"] <= now), key=lambda row: row["not_before"]
    )


def _in_turns(tables: Tables, due: list[Row], per_producer: int) -> list[Row]:
    """Return due deliveries in the order in which they are taken: producers take turns, each up to its share."""
    now = tables.clock()
    leased = (row for row in tables.webhook_deliveries.values() if row["lease_token"] is not None)
    places = Counter(row["producer"] for row in leased if row["not_before"] > now)
    queue = []
    for row in sorted(due, key=_age):
        places[row["producer"]] += 1
        queue.append((places[row["producer"]], *_age(row), row))
    return [row for place, _, _, row in sorted(queue, key=lambda entry: entry[:3]) if place <= per_producer]


def _age(row: Row) -> tuple[datetime, UUID]:
    return row["not_before"], row["order_id"]


def _is_to_be_sent(row: Row) -> bool:
    return row["told_at"] is None and row["gave_up_at"] is None


def _to_send(tables: Tables, order_id: UUID) -> list[Row]:
    return [row for row in documents(tables, [order_id]) if _is_to_be_sent(row)]


def _claimed(tables: Tables, row: Row) -> Row:
    order_id, producer = row["order_id"], row["producer"]
    to_send = _to_send(tables, order_id)
    names = ("version", "document", "tries", "tried_since")
    message = {name: to_send[0][name] for name in names} if to_send else dict.fromkeys(names) | {"tries": 0}
    known = [secret for secret in tables.webhook_secrets if secret["producer"] == producer]
    return {
        **row,
        **message,
        "now": tables.clock(),
        "url": tables.orders[order_id]["request"]["notify"]["url"],
        "trace_parent": tables.orders[order_id]["trace_parent"],
        "secrets": [secret["secret"] for secret in known if secret["removed_at"] is None],
    }


def _mark(tables: Tables, result: Row) -> None:
    now, delivered = tables.clock(), result["outcome"] == "delivered"
    for row in documents(tables, [UUID(result["order_id"])]):
        if row["version"] == result["version"]:
            row.update(tries=row["tries"] + 1, trouble=result["trouble"], told_at=now if delivered else None)
            row["tried_since"] = None if delivered else row["tried_since"] or now
            row["gave_up_at"] = now if result["outcome"] == "given_up" else None


def _free(tables: Tables, result: Row, token: UUID) -> None:
    """Free the lease of a delivery, if it is still ours, and delete it when there is no more to be sent."""
    order_id = UUID(result["order_id"])
    row = tables.webhook_deliveries.get(order_id)
    if row is None or row["lease_token"] != token:
        return
    if result["outcome"] == "failed":
        row.update(lease_token=None, not_before=tables.clock() + timedelta(seconds=result["wait_s"]))
    elif row["generation"] != result["generation"] or _to_send(tables, order_id):
        row.update(lease_token=None, not_before=tables.clock())
    else:
        del tables.webhook_deliveries[order_id]
