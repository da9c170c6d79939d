from harness.load import _locust_import  # noqa: F401 - before Locust

# isort: split

from locust import User
from locust.env import Environment

from harness.load.locustfiles.session_user import SessionUser, load_runner_of, on_locust_init


class Plain(User):
    pass


class Visitor(SessionUser):
    pass


def test_the_users_of_sessions_get_a_load_runner() -> None:
    environment = Environment(user_classes=[Visitor, Plain])
    on_locust_init(environment)
    assert load_runner_of(environment).environment is environment


def test_a_plain_locustfile_is_left_to_the_adapter() -> None:
    environment = Environment(user_classes=[Plain])
    before = set(vars(environment))
    on_locust_init(environment)
    assert set(vars(environment)) == before
