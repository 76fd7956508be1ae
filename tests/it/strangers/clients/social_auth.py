"""python-social-auth's ORCID backends, public and member, in the smallest surroundings they can live in."""

import json
import sys
from types import SimpleNamespace
from urllib.parse import parse_qsl, urlsplit

from social_core.backends.orcid import ORCIDMemberOAuth2, ORCIDOAuth2
from social_core.strategy import BaseStrategy

settings = json.loads(sys.argv[1])
member = settings["scope"] != "/authenticate"


class Strategy(BaseStrategy):
    """A web framework that keeps everything in two dictionaries."""

    def __init__(self):
        once = SimpleNamespace(use=lambda *args: True, consume=lambda *args: True)
        super().__init__(storage=SimpleNamespace(nonce=once))
        self.session, self.data = {}, {}

    def get_setting(self, name):
        return {
            "SOCIAL_AUTH_ORCID_KEY": settings["client_id"],
            "SOCIAL_AUTH_ORCID_SECRET": settings["client_secret"],
        }[name]

    def request_data(self, merge=True):
        return self.data

    def request_host(self):
        return "app.example"

    def build_absolute_uri(self, path=None):
        return path or ""

    def session_get(self, name, default=None):
        return self.session.get(name, default)

    def session_set(self, name, value):
        self.session[name] = value

    def session_pop(self, name):
        return self.session.pop(name, None)

    def authenticate(self, backend, *args, **kwargs):
        response = kwargs["response"]
        return {"id": backend.get_user_id(None, response), **backend.get_user_details(response)}


kind = ORCIDMemberOAuth2 if member else ORCIDOAuth2
backend = kind(Strategy(), redirect_uri=settings["redirect_uri"])
backend.AUTHORIZATION_URL = settings["base"] + "/oauth/authorize"
backend.ACCESS_TOKEN_URL = settings["base"] + "/oauth/token"
backend.USER_ID_URL = settings["base"] + "/oauth/userinfo"
backend.USER_DATA_URL = (settings["api"] if member else settings["pub"]) + "/v2.0/{}"

print(backend.auth_url(), flush=True)
backend.strategy.data = dict(parse_qsl(urlsplit(sys.stdin.readline().strip()).query))
backend.data = backend.strategy.data
print(json.dumps(backend.auth_complete()), flush=True)
