"""Print for eyes."""
from datetime import timedelta
from orders.events import *
from orders.model import *
from orders.numbering import E164
import pytest
N=[E164(f"+1919555{i:04}") for i in range(100,140)]
def ok(n): return NumberResult(n, NumberState.ACQUIRED)
def bad(n): return NumberResult(n, NumberState.FAILED, "5005", "Telephone number is not available")
C="6a1bde32-55a0-4b39-9b4e-0d4a7c19a2f0"
@pytest.mark.parametrize("columns",[80,120])
def test_eyes(house, command, columns, capsys):
    house.order("waiting", not_before="2031-01-01T00:00:00Z")
    house.order("notsent", SubmissionBegun(), NotSent("HTTP 401: the credentials were not accepted"))
    house.order("sending", SubmissionBegun())
    house.order("doubt", SubmissionBegun(), AnswerLost("no answer within 30 s"), NotListed("the list of orders by our reference"))
    house.order("back", SubmissionBegun(), Acknowledged(C+"1","RECEIVED"), StillOpen("BACKORDERED", (ok(N[0]),), "2 numbers are awaited", slow=True), allow_backorder=True)
    house.order("strange", SubmissionBegun(), Acknowledged(C+"2","RECEIVED"), StillOpen("AWAITING_STARLIGHT", unheard_of=True))
    house.order("parked", SubmissionBegun(), AnswerLost("no answer within 30 s"), FoundTwice((C+"3", C+"4")))
    house.order("partial", SubmissionBegun(), Acknowledged(C+"5","RECEIVED"), PartlyFilled("PARTIAL", (*map(ok,N[1:10]), *map(bad, N[10:25])), "15 numbers could not be had"), quantity=24)
    house.order("failed", SubmissionBegun(), Refused("the area code has no numbers left","5023","FAILED"))
    house.order("errors", SubmissionBegun(), Acknowledged(C+"6","RECEIVED"), FilledWithErrors("COMPLETE", (ok(N[30]),), "the carrier lists 1 of 3 numbers"))
    house.order("cancelled", CancelAsked("kim","wrong city"))
    with capsys.disabled():
        print()
        for k in "waiting notsent sending doubt back strange parked partial failed errors cancelled".split():
            print("="*columns); print(command("show",k,columns=columns).output)
        print(command("list", columns=columns).output)
        print(command("alarms", columns=columns).output)
