"""A table is read whole or not at all; what its cells mean is the contract's business."""

import pytest

from number_orders.cli.orders.order_files import Unreadable, read_orders

HEADER = "key,carrier,kind,criteria.npa,quantity"


def test_a_row_is_an_order_with_the_types_of_the_contract() -> None:
    text = (
        "key,carrier,kind,criteria.npa,criteria.vanity_at_end,quantity,allow_partial,options.site_id,"
        "options.reservation_ids,notify.task,notify.on,notes,numbers\n"
        'crm-1,bandwidth,new_numbers,919,no,5,TRUE,743,a;b,crm.ended,COMPLETED;FAILED,"two\nlines, quoted",\n'
        "\n"
        "crm-2,swift,remove_numbers,,,,,,,,,,+19195550100 +19195550101; +19195550102\n"
    )
    first, second = read_orders(text.encode())
    assert (first.place, second.place) == ("line 2", "line 5")
    assert first.order == {
        "key": "crm-1",
        "carrier": "bandwidth",
        "kind": "new_numbers",
        "criteria": {"npa": "919", "vanity_at_end": False},
        "quantity": 5,
        "allow_partial": True,
        "options": {"site_id": "743", "reservation_ids": ["a", "b"]},
        "notify": {"task": "crm.ended", "on": ["COMPLETED", "FAILED"]},
        "notes": "two\nlines, quoted",
    }
    assert second.order == {
        "key": "crm-2",
        "carrier": "swift",
        "kind": "remove_numbers",
        "numbers": ["+19195550100", "+19195550101", "+19195550102"],
    }


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_spreadsheet_may_use_another_delimiter_and_a_byte_order_mark(delimiter: str) -> None:
    text = f"{HEADER}\r\ncrm-1,bandwidth,new_numbers,919,1\r\n".replace(",", delimiter)
    (entry,) = read_orders(b"\xef\xbb\xbf" + text.encode())
    assert entry.order == {
        "key": "crm-1",
        "carrier": "bandwidth",
        "kind": "new_numbers",
        "criteria": {"npa": "919"},
        "quantity": 1,
    }


def test_a_cell_that_does_not_fit_is_left_for_the_contract_to_refuse() -> None:
    (entry,) = read_orders(f"{HEADER}\ncrm-1,bandwidth,new_numbers,919,five\n".encode())
    assert entry.order == {
        "key": "crm-1",
        "carrier": "bandwidth",
        "kind": "new_numbers",
        "criteria": {"npa": "919"},
        "quantity": "five",
    }


def test_the_mark_of_a_spreadsheet_text_is_taken_off() -> None:
    """Ours, and that of people who keep the plus sign of a number that way."""
    (entry,) = read_orders(b"key,numbers,name\ncrm-1,'+19195550100,'=1+1\n")
    assert entry.order == {"key": "crm-1", "numbers": ["+19195550100"], "name": "=1+1"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("key,colour\na,red\n", "line 1, column 2: 'colour' is no field of an order"),
        ("key,criteria.colour\na,red\n", "line 1, column 2: 'criteria.colour' is no field"),
        ("key,options.\na,red\n", "line 1, column 2: 'options.' is no field"),
        ("key,criteria\na,red\n", "line 1, column 2: 'criteria' is no field"),
        ("key,name,key\na,b,c\n", "line 1, column 3: 'key' is there twice"),
        ("key,name\na,b\nc,d,e\n", "line 3, column 3: 'e' has no column"),
        ('key,name\na,b\nc,"d\n', "line 3: unexpected end of data"),
        ("key,name\n", "there is a header row and no order"),
    ],
)
def test_a_table_that_cannot_be_read_says_where(text: str, says: str) -> None:
    with pytest.raises(Unreadable) as wrong:
        read_orders(text.encode())
    assert says in str(wrong.value)
