import json, time, base64, uuid
import pytest, redis, psycopg
from tests.acceptance.conftest import environment, quick_carrier
from tests.processes import Processes

GOOD = [[], {}, {}]
def envelope(headers, body=json.dumps(GOOD), **changes):
    if isinstance(body, str): body = body.encode()
    m = {"body": base64.b64encode(body).decode(), "content-encoding": "utf-8", "content-type": "application/json",
         "headers": headers, "properties": {"correlation_id": "x", "reply_to": "y", "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": "orders"}, "priority": 0, "body_encoding": "base64",
            "delivery_tag": str(uuid.uuid4())}}
    m.update(changes)
    return json.dumps(m)
T="orders.submit"
CASES = {
 "surrogate header": envelope({"task":T,"id":"s1","x":"\ud800"}, "{"),
 "surrogate task": envelope({"task":"orders.\ud800","id":"s2"}),
 "nul task": envelope({"task":"orders.\x00","id":"s3"}),
 "nul id": envelope({"task":T,"id":"a\x00b"}, "{"),
 "task list": envelope({"task":[],"id":"s4"}),
 "task number": envelope({"task":5,"id":"s5"}),
 "task dict": envelope({"task":{},"id":"s5b"}),
 "no id": envelope({"task":T}),
 "id list": envelope({"task":T,"id":[1]}),
 "body dict": envelope({"task":T,"id":"s6"}, '{"a":1}'),
 "body list of 1": envelope({"task":T,"id":"s7"}, '[1]'),
 "args not list": envelope({"task":T,"id":"s8"}, '[5,{},{}]'),
 "kwargs not dict": envelope({"task":T,"id":"s9"}, '[[],5,{}]'),
 "embed bad": envelope({"task":T,"id":"s10"}, '[[],{},5]'),
 "eta bad": envelope({"task":T,"id":"s11","eta":"yesterday"}),
 "expires bad": envelope({"task":T,"id":"s12","expires":"yesterday"}),
 "expires dict": envelope({"task":T,"id":"s13","expires":{}}),
 "retries str": envelope({"task":T,"id":"s14","retries":"many"}),
 "timelimit": envelope({"task":T,"id":"s15","timelimit":"x"}),
 "timelimit list": envelope({"task":T,"id":"s15b","timelimit":["x","y"]}),
 "headers none": envelope(None),
 "v1": envelope({}, json.dumps({"task":T,"id":"s16","args":5})),
 "v1 list task": envelope({}, json.dumps({"task":[],"id":"s17","args":[]})),
 "encoding": envelope({"task":T,"id":"s18"}, **{"content-encoding":"klingon"}),
 "ctype none": envelope({"task":T,"id":"s19"}, **{"content-type":None}),
 "deep": envelope({"task":T,"id":"s20"}, "["*100000),
 "id number": envelope({"task":T,"id":5}),
 "root bad": envelope({"task":T,"id":"s21","root_id":[1],"parent_id":{},"group":[],"shadow":5,"argsrepr":5,"kwargsrepr":[]}),
 "stamps": envelope({"task":T,"id":"s22","stamped_headers":5,"stamps":5}),
 "eta nan": envelope({"task":T,"id":"s23","eta":5}),
 "ignore": envelope({"task":T,"id":"s24","ignore_result":"\ud800","reply_to":"\ud800"}),
 "raw text": "hello", "raw number":"5", "raw {}":"{}", "raw no props": json.dumps({"body":"x"}), "bad base64": envelope({"task":T,"id":"z1"}).replace('"body": "','"body": "*'),
 "headers list": envelope([1]), "headers str": envelope("task"), "body int": json.dumps({**json.loads(envelope({"task":T,"id":"z2"})),"body":5,"properties":{"delivery_tag":"a","delivery_info":{"exchange":"","routing_key":"orders"}}}),
 "embed callbacks": envelope({"task":T,"id":"z3"}, '[[{"key":"k9","carrier":"bandwidth","kind":"new_numbers","criteria":{"npa":"919"},"quantity":1}],{},{"callbacks":[5],"chain":[7],"chord":9}]'),
 "good": envelope({"task":T,"id":"z4"}, '[[{"key":"k10","carrier":"bandwidth","kind":"new_numbers","criteria":{"npa":"919"},"quantity":1}],{},null]'),
}
@pytest.mark.parametrize("name", CASES)
@pytest.mark.timeout(60)
def test_it(name, ledger_url, broker_url, tmp_path):
    with quick_carrier() as carrier, Processes(tmp_path/"log", environment(ledger_url, broker_url, carrier)) as ps:
        w = ps.worker(children=1)
        r = redis.Redis.from_url(broker_url)
        r.lpush("orders", CASES[name])
        gone=False
        for _ in range(40):
            time.sleep(.1)
            if w.popen.poll() is not None: break
            with psycopg.connect(ledger_url) as db:
                letters = db.execute("select why, task_id from dead_letters").fetchall()
            if letters or (r.llen("orders")==0 and r.hlen("unacked")==0): break
        print("RESULT", name, "| rc", w.popen.poll(), "| letters", letters, "| left", r.llen("orders"), r.hlen("unacked"))
        words = w.said()
        print("SAID", name, [l[:300] for l in words.splitlines() if '"level": "error"' in l or "Traceback" in l or "Error" in l][-2:])
