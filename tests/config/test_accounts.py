import grp
import pwd

import pytest

from tidegate.config.accounts import UnknownAccount, find_group, find_user

ABSENT = "nobody-has-this-name"


def test_names_and_numbers_are_found():
    root = pwd.getpwuid(0)
    assert find_user(root.pw_name) == find_user("0") == (0, root)
    assert find_group("0") == 0
    assert find_group(grp.getgrgid(0).gr_name) == 0


def test_number_needs_no_entry():
    free = next(number for number in range(60_000, 70_000) if number not in {one.pw_uid for one in pwd.getpwall()})
    assert find_user(str(free)) == (free, None)


def test_name_that_is_not_there():
    with pytest.raises(UnknownAccount, match=f'there is no user "{ABSENT}" on this machine'):
        find_user(ABSENT)
    with pytest.raises(UnknownAccount, match=f'there is no group "{ABSENT}" on this machine'):
        find_group(ABSENT)
