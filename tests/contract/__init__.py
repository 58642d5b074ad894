"""One set of tests for every implementation of a port."""

import pytest

pytest.register_assert_rewrite("tests.contract.broker_contract")
