"""The package `orcid`: public and member API of version 2.0, tokens from the API host."""

import json
import sys

import orcid
from urllib.parse import parse_qs, urlsplit

settings = json.loads(sys.argv[1])


def moved(api):
    api._host = urlsplit(settings["base"]).netloc
    api._login_or_register_endpoint = settings["base"] + "/oauth/authorize"
    api._token_url = settings["api"] + "/oauth/token"
    api._endpoint = settings["pub"] if type(api) is orcid.PublicAPI else settings["api"]
    return api


public = moved(orcid.PublicAPI(settings["client_id"], settings["client_secret"]))
member = moved(orcid.MemberAPI(settings["client_id"], settings["client_secret"]))
print(member.get_login_url("/authenticate /read-limited", settings["redirect_uri"], state="a/b c"), flush=True)
back = parse_qs(urlsplit(sys.stdin.readline().strip()).query)
granted = member.get_token_from_authorization_code(back["code"][0], settings["redirect_uri"])
of_the_client = public.get_search_token_from_orcid()
print(json.dumps({
    "state": back["state"][0],
    "orcid": granted["orcid"],
    "record": public.read_record_public(settings["orcid"], "record", of_the_client)["orcid-identifier"]["path"],
    "activities": sorted(member.read_record_member(settings["orcid"], "activities", granted["access_token"])),
    "found": public.search(f"orcid:{settings['orcid']}", access_token=of_the_client)["num-found"],
}), flush=True)
