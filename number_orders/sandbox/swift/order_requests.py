"""Reads what a client sends to the sandbox Swift: carts, and the three kinds of cart requests."""

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from number_orders.sandbox.inventory import Criteria, plausible

_T = TypeVar("_T")


FILTERS: Final = ("npa", "nxx", "lata", "state", "rate_center", "country_code")


class Refused(Exception):
    """A body that is refused: a status, and the errors of each field."""

    def __init__(self, status: int, errors: dict[str, list[str]]) -> None:
        super().__init__(status, errors)
        self.status = status
        self.errors = errors


def _without_repeats(numbers: tuple[str, ...]) -> tuple[str, ...]:
    repeated = [number for number, times in Counter(numbers).items() if times > 1]
    if repeated:
        raise ValueError(f"has duplicates: {', '.join(repeated)}")
    return numbers


def _existing(number: str) -> str:
    if not plausible(f"+{number}"):
        raise ValueError("is not a number in E.164 format")
    return number


def _bare(number: str) -> str:
    return number.removeprefix("+")


BareNumber = Annotated[str, Field(pattern=r"^[1-9]\d{7,14}$"), AfterValidator(_existing)]
AnyNumber = Annotated[str, Field(pattern=r"^\+?[1-9]\d{7,14}$"), AfterValidator(_bare), AfterValidator(_existing)]
Name = Annotated[str, Field(min_length=1, max_length=255)]


class _Sent(BaseModel):
    """Ignores fields that are not on the page, because the page's own example has one."""

    model_config = ConfigDict(strict=True, frozen=True)


class NewNumbers(_Sent):
    """Criteria and a quantity; every filter is optional."""

    quantity: Annotated[int, Field(ge=1)]
    number_type: Literal["tendlc"]
    country_code: str | None = None
    npa: Annotated[str, Field(pattern=r"^\d{3}$")] | None = None
    nxx: Annotated[str, Field(pattern=r"^\d{3}$")] | None = None
    lata: str | None = None
    state: str | None = None
    rate_center: str | None = None


class RemoveNumbers(_Sent):
    """Numbers without `+`."""

    numbers: Annotated[tuple[BareNumber, ...], Field(min_length=1), AfterValidator(_without_repeats)]


class AddMessagingNumbers(_Sent):
    """Numbers that the customer has elsewhere, and how they are used here."""

    numbers: Annotated[tuple[AnyNumber, ...], Field(min_length=1), AfterValidator(_without_repeats)]
    mms_enabled: bool = False
    api_key_ids: tuple[str, ...] = ()


RequestedNumbers = NewNumbers | RemoveNumbers | AddMessagingNumbers


class CartData(_Sent):
    """A cart's name, notes and reference."""

    name: Name
    notes: str | None = None
    reference_id: str | None = None


class _CartRequestData(CartData):
    type: str
    data: RequestedNumbers


class NewNumbersRequest(_CartRequestData):
    """A request to buy numbers."""

    type: Literal["NEW_NUMBERS"]
    data: NewNumbers


class RemoveNumbersRequest(_CartRequestData):
    """A request to remove numbers."""

    type: Literal["REMOVE_NUMBERS"]
    data: RemoveNumbers


class AddMessagingNumbersRequest(_CartRequestData):
    """A request to add numbers."""

    type: Literal["ADD_MESSAGING_NUMBERS"]
    data: AddMessagingNumbers


CartRequestData = NewNumbersRequest | RemoveNumbersRequest | AddMessagingNumbersRequest


class _Cart(_Sent):
    type: Literal["cart"]
    data: CartData


class _CartRequest(_Sent):
    type: Literal["cart_request"]
    data: Annotated[CartRequestData, Field(discriminator="type")]


_CART: TypeAdapter[_Cart] = TypeAdapter(_Cart)
_CART_REQUEST: TypeAdapter[_CartRequest] = TypeAdapter(_CartRequest)


def read_cart(body: bytes) -> CartData:
    """Read the body of POST carts.

    Raises:
        Refused: 400 if it is not JSON, 422 with the errors of each field.
    """
    return _read(_CART, body).data


def read_cart_request(body: bytes) -> CartRequestData:
    """Read the body of POST carts/{id}/requests.

    Raises:
        Refused: 400 if it is not JSON, 422 with the errors of each field.
    """
    return _read(_CART_REQUEST, body).data


def criteria_of(filters: Mapping[str, Any]) -> Criteria:
    """Return filters as the inventory's criteria. All stock has country code 1."""
    given = {name: str(filters.get(name) or "") for name in FILTERS}
    return Criteria(
        starts_with=given["npa"],
        nxx=given["nxx"],
        lata=given["lata"],
        state=given["state"].upper(),
        rate_center=given["rate_center"].upper(),
        country="" if given["country_code"] in {"", "1"} else "elsewhere",
    )


def _read(reader: TypeAdapter[_T], body: bytes) -> _T:
    try:
        return reader.validate_json(body)
    except ValidationError as fault:
        raise _refusal(fault) from fault


def _refusal(fault: ValidationError) -> Refused:
    errors: dict[str, list[str]] = {}
    for each in fault.errors(include_url=False, include_context=False):
        errors.setdefault(_field(each["loc"]), []).append(each["msg"])
    unreadable = any(each["type"] == "json_invalid" for each in fault.errors())
    return Refused(400 if unreadable else 422, errors)


def _field(path: tuple[Any, ...]) -> str:
    """Return a field's name as the client knows it, without envelopes and our class names."""
    names = [str(step) for step in path if isinstance(step, str) and not step.isupper()]
    return ".".join(name for name in names if name != "data") or "type"
