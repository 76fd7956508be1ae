"""Authlib as an OpenID Connect client: discovery, code flow, the id_token checked by its own rules, userinfo."""

import json
import sys

import requests
from authlib.integrations.requests_client import OAuth2Session
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.jwk import KeySet

settings = json.loads(sys.argv[1])
server = requests.get(settings["base"] + "/.well-known/openid-configuration").json()
session = OAuth2Session(
    settings["client_id"],
    settings["client_secret"],
    scope="openid",
    redirect_uri=settings["redirect_uri"],
    token_endpoint_auth_method=server["token_endpoint_auth_methods_supported"][0],
)
address, state = session.create_authorization_url(server["authorization_endpoint"], nonce="bm9uY2U")
print(address, flush=True)
came_back = sys.stdin.readline().strip()
token = session.fetch_token(server["token_endpoint"], authorization_response=came_back, state=state)
keys = KeySet.import_key_set(requests.get(server["jwks_uri"]).json())
decoded = jwt.decode(token["id_token"], keys, algorithms=server["id_token_signing_alg_values_supported"])
claims = CodeIDToken(
    decoded.claims,
    decoded.header,
    options={"iss": {"essential": True, "value": server["issuer"]}, "aud": {"essential": True, "value": settings["client_id"]}},
    params={"nonce": "bm9uY2U", "access_token": token["access_token"]},
)
claims.validate()
print(json.dumps({"sub": claims["sub"], "userinfo": session.get(server["userinfo_endpoint"]).json()["sub"]}), flush=True)
