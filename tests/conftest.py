"""For all tests."""

import pytest


@pytest.fixture(autouse=True, scope="session")
def cache(tmp_path_factory):
    """Tests keep their caches to themselves."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DRIVESIM_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
