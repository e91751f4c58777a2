"""A bucket of tokens a name, filled by the clock."""

from number_orders.receiver.rate import RequestRate, TokenBucket, TokenBuckets


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_after_a_rest_a_burst_and_then_the_rate() -> None:
    clock = Clock()
    buckets = TokenBuckets(RequestRate(per_s=2, burst=4), clock)
    assert [buckets.take("crm") for _ in range(5)] == [0, 0, 0, 0, 0.5]
    clock.now = 0.5
    assert [buckets.take("crm") for _ in range(2)] == [0, 0.5]
    clock.now = 1000
    assert [buckets.take("crm") for _ in range(5)] == [0, 0, 0, 0, 0.5]


def test_each_name_has_its_own() -> None:
    buckets = TokenBuckets(RequestRate(per_s=1, burst=1), Clock())
    assert buckets.take("crm") == 0
    assert buckets.take("crm") > 0
    assert buckets.take("shop") == 0


def test_cost_above_the_burst_waits_for_a_full_bucket() -> None:
    clock = Clock()
    buckets = TokenBuckets(RequestRate(per_s=1, burst=3), clock)
    assert buckets.take("crm", 1) == 0
    assert buckets.take("crm", 9) == 1
    clock.now = 1
    assert buckets.take("crm", 9) == 0


def test_refused_request_costs_nothing() -> None:
    clock = Clock()
    buckets = TokenBuckets(RequestRate(per_s=1, burst=5), clock)
    buckets.take("crm", 3)
    assert [buckets.take("crm", 5) for _ in range(3)] == [3, 3, 3]


def test_one_token_is_admitted_while_there_is_one() -> None:
    clock = Clock()
    bucket = TokenBucket(RequestRate(per_s=0.5, burst=1), clock)
    assert [bucket.admit(), bucket.admit()] == [True, False]
    clock.now = 2
    assert bucket.admit()
