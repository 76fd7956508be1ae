"""pyorcid: sign-in, reading a record section by section, searching. Its addresses are written into its code, so the
HTTP library underneath is told where they are today."""

import io
import json
import sys
from contextlib import redirect_stdout
from urllib.parse import urlsplit

import requests

settings = json.loads(sys.argv[1])
HOSTS = {"orcid.org": settings["base"], "pub.orcid.org": settings["pub"], "api.orcid.org": settings["api"]}
straight = requests.Session.request


def elsewhere(self, method, url, **kwargs):
    parts = urlsplit(url)
    address = HOSTS[parts.netloc] + parts.path + ("?" + parts.query if parts.query else "")
    return straight(self, method, address, **kwargs)


requests.Session.request = elsewhere

import pyorcid  # noqa: E402

access = pyorcid.OrcidAuthentication(settings["client_id"], settings["client_secret"], settings["redirect_uri"])


def at_orcid(prompt):
    # It has just printed the address to open, between words of its own.
    line = next(line for line in said.getvalue().splitlines() if "/oauth/authorize?" in line)
    address = line[line.index("https://orcid.org"):].replace("https://orcid.org", settings["base"], 1)
    print(address, file=sys.__stdout__, flush=True)
    return sys.stdin.readline().strip()


import builtins  # noqa: E402

builtins.input = at_orcid
said = io.StringIO()
with redirect_stdout(said):
    token = access.get_private_access_token()
    public = access.get_public_access_token()
    found = {}
    for state, key in [("public", public), ("public", token), ("member", token)]:
        orcid = pyorcid.Orcid(settings["orcid"], key, state)
        works, _ = orcid.works()
        found[f"{state} {'own' if key == token else 'client'}"] = {
            "path": orcid.record()["orcid-identifier"]["path"],
            "name": orcid.person()["Name"],
            "employments": len(orcid.employments()[0]),
            "educations": len(orcid.educations()[0]),
            "works": len(works),
            "keywords": len(orcid.keywords()[0]),
        }
    search = pyorcid.OrcidSearch(public, "public")
    hits = search.search(f"orcid:{settings['orcid']}")
    plain = search.search(f"orcid:{settings['orcid']}", search_mode="search")
    scrapped = pyorcid.OrcidScrapper(settings["orcid"])
    found["expanded"] = [hit["orcid-id"] for hit in hits["expanded-result"]]
    found["search"] = [hit["orcid-identifier"]["path"] for hit in plain["result"]]
    found["scrapped"] = scrapped.person()["Name"] if hasattr(scrapped, "person") else None
print(json.dumps(found), flush=True)
