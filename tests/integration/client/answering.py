"""A service in a thread, which announces each answer twice."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import redis

from number_orders_client.over_queue import QUEUE


@contextmanager
def answering(broker_url: str, *, calls: int) -> Iterator[None]:
    """Answer so many calls with the key that each asks for."""

    def serve() -> None:
        with redis.Redis.from_url(broker_url) as broker:
            for _ in range(calls):
                _, item = broker.brpop([QUEUE], timeout=60)
                message = json.loads(item)
                _, kwargs, _ = json.loads(base64.b64decode(message["body"]))
                channel = f"celery-task-meta-{message['headers']['id']}"
                answer = json.dumps({"status": "SUCCESS", "result": {"key": kwargs["key"]}})
                with broker.pipeline() as pipe:
                    pipe.set(channel, answer, ex=60)
                    pipe.publish(channel, answer).publish(channel, answer)
                    pipe.execute()

    service = threading.Thread(target=serve)
    service.start()
    yield
    service.join()
