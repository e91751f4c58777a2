"""What a producer is told about its orders: as a webhook, or as the argument of its notify task."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from number_orders_client.contract import OrderDocument
from number_orders_client.errors import UntrustedNotice
from number_orders_client.faults import faults_of, in_words


def on_change(
    notice: bytes | str | Mapping[str, Any],
    headers: Mapping[str, str] | None = None,
    *,
    secret: str | Sequence[str] | None = None,
) -> OrderDocument:
    """Return the order that a notice is about, as it was when the notice was made.

    Notices may come twice, and the ones of one order come in order: drop those whose `version` is not greater than the
    one that you have.

    Args:
        notice: The body of a webhook, exactly as it arrived; or the argument of your notify task.
        headers: The webhook's headers; case does not matter.
        secret: The webhook secret (`whsec_…`), or two of them while one replaces the other. A task needs none: the
            broker's password has proven who sent it.

    Raises:
        UntrustedNotice: The webhook is not signed with the secret, is older than five minutes, or is no order document.
            Or its body was parsed before, so that nothing can be verified.
        ImportError: Webhooks need standardwebhooks: pip install 'number-orders-client[webhooks]'.
    """
    if isinstance(notice, Mapping):
        if headers is not None or secret is not None:
            raise UntrustedNotice("a webhook is signed as it arrived: give its body as bytes, before any JSON is read")
    else:
        notice = _verified(notice, headers or {}, [secret] if isinstance(secret, str) else list(secret or ()))
    try:
        return OrderDocument.model_validate(notice)
    except ValidationError as invalid:
        raise UntrustedNotice(f"no order document: {in_words(faults_of(invalid, whole='document'))}") from None


def _verified(body: bytes | str, headers: Mapping[str, str], secrets: Sequence[str]) -> Any:
    try:
        from standardwebhooks.webhooks import Webhook  # noqa: PLC0415  only webhooks need it
    except ImportError as missing:
        raise ImportError("webhooks need standardwebhooks: pip install 'number-orders-client[webhooks]'") from missing
    if not all(one.removeprefix("whsec_") for one in secrets or [""]):
        raise UntrustedNotice("a webhook is trusted by its signature: give the secret")
    verifiers = [Webhook(one) for one in secrets]
    given, trouble = dict(headers.items()), ""
    for verifier in verifiers:
        try:
            return verifier.verify(body, given)
        except json.JSONDecodeError:
            raise UntrustedNotice("signed, but no JSON") from None
        except Exception as fault:  # noqa: BLE001  the library raises whatever a forged header makes it meet
            trouble = str(fault) or type(fault).__name__
    raise UntrustedNotice(f"not signed with this secret: {trouble}")
