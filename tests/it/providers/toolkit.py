"""An OpenID provider as many campuses run one inside a Django site: django-oauth-toolkit, its own pages and all.

Started by real.rs with its settings as the only argument; says where it listens in one line of JSON on stdout, ends with
its stdin. Everything it knows is in memory.
"""

import json
import os
import sys
import threading
from wsgiref.simple_server import WSGIRequestHandler, make_server

settings = json.loads(sys.argv[1])
# This machine is all it ever speaks to.
os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"

import django  # noqa: E402
from django.conf import settings as django_settings  # noqa: E402
from jwcrypto.jwk import JWK  # noqa: E402

LOGIN = """<h1>Sign in at the campus</h1><form method="post">{% csrf_token %}
<input type="hidden" name="next" value="{{ next }}"><input name="username"><input name="password" type="password">
<button>Sign in</button></form>"""

django_settings.configure(
    ALLOWED_HOSTS=["*"],
    SECRET_KEY="only for tests",
    ROOT_URLCONF=__name__,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    USE_TZ=True,
    LOGIN_URL="/login/",
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "oauth2_provider"],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    TEMPLATES=[{
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {"loaders": [
            ("django.template.loaders.locmem.Loader", {"registration/login.html": LOGIN}),
            "django.template.loaders.app_directories.Loader",
        ]},
    }],
    OAUTH2_PROVIDER={
        "OIDC_ENABLED": True,
        "OIDC_RSA_PRIVATE_KEY": JWK.generate(kty="RSA", size=2048).export_to_pem(private_key=True, password=None).decode(),
        "OIDC_RP_INITIATED_LOGOUT_ENABLED": True,
        "SCOPES": {"openid": "Know who you are", "profile": "Know your name"},
        "OAUTH2_VALIDATOR_CLASS": __name__ + ".Names",
    },
)
django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.contrib.auth.views import LoginView  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.urls import include, path  # noqa: E402
from oauth2_provider.models import get_application_model  # noqa: E402
from oauth2_provider.oauth2_validators import OAuth2Validator  # noqa: E402

urlpatterns = [
    path("login/", LoginView.as_view()),
    path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")),
]


class Names(OAuth2Validator):
    oidc_claim_scope = None

    def get_additional_claims(self, request):
        return {"given_name": request.user.first_name, "family_name": request.user.last_name}


class Quiet(WSGIRequestHandler):
    def log_message(self, *arguments):
        sys.stderr.write((arguments[0] % arguments[1:]).split("?")[0] + "\n")


call_command("migrate", verbosity=0)
for name, person in settings["people"].items():
    User.objects.create_user(name, password=name, first_name=person["given_name"], last_name=person["family_name"])
for client in settings["clients"]:
    get_application_model().objects.create(
        client_id=client["client_id"],
        client_secret=client["client_secret"],
        redirect_uris=" ".join(client["redirect_uris"]),
        post_logout_redirect_uris=" ".join(client["post_logout_redirect_uris"]),
        client_type="confidential",
        authorization_grant_type="authorization-code",
        algorithm="RS256",
    )

server = make_server("127.0.0.1", 0, get_wsgi_application(), handler_class=Quiet)
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
base = f"http://127.0.0.1:{server.server_port}"
print(json.dumps({"event": "ready", "base": base, "issuer": f"{base}/o"}), flush=True)
server.serve_forever()
