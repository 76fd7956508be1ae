// openid-client, the certified relying party of the npm index: discovery, PKCE (which ORCID ignores), userinfo.

import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const settings = JSON.parse(process.argv[2]);
const require = createRequire(`${settings.modules}/here.js`);
const client = await import(pathToFileURL(require.resolve('openid-client')));

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const insecure = settings.base.startsWith('http:') ? [client.allowInsecureRequests] : [];
const config = await client.discovery(
  new URL(settings.base),
  settings.client_id,
  settings.client_secret,
  client.ClientSecretPost(settings.client_secret),
  { execute: insecure },
);
const verifier = client.randomPKCECodeVerifier();
const [state, nonce] = [client.randomState(), client.randomNonce()];
const address = client.buildAuthorizationUrl(config, {
  redirect_uri: settings.redirect_uri,
  scope: 'openid',
  state,
  nonce,
  code_challenge: await client.calculatePKCECodeChallenge(verifier),
  code_challenge_method: 'S256',
});
console.log(address.href);
const back = new URL((await lines.next()).value);
const checks = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce };
const tokens = await client.authorizationCodeGrant(config, back, checks);
const { sub } = tokens.claims();
const info = await client.fetchUserInfo(config, tokens.access_token, sub);
console.log(JSON.stringify({ sub, userinfo: info.sub, orcid: tokens.orcid }));
process.exit(0);
