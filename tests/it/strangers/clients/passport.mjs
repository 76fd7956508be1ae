// passport-orcid, as a Node.js app mounts it.

import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const settings = JSON.parse(process.argv[2]);
const require = createRequire(`${settings.modules}/here.js`);
const Strategy = require('passport-orcid').Strategy;

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const session = {};
const options = { clientID: settings.client_id, clientSecret: settings.client_secret, callbackURL: settings.redirect_uri, state: true };
const verify = (accessToken, refreshToken, params, profile, done) =>
  done(null, { orcid: params.orcid, name: params.name, bearer: params.token_type, refreshes: Boolean(refreshToken) });

function step(url) {
  const strategy = new Strategy(options, verify);
  strategy._oauth2._authorizeUrl = `${settings.base}/oauth/authorize`;
  strategy._oauth2._accessTokenUrl = `${settings.base}/oauth/token`;
  return new Promise((resolve, reject) => {
    strategy.redirect = resolve;
    strategy.success = resolve;
    strategy.fail = (challenge) => reject(new Error(JSON.stringify(challenge)));
    strategy.error = reject;
    const query = Object.fromEntries(new URL(url, settings.redirect_uri).searchParams);
    strategy.authenticate({ url, query, session, headers: {}, connection: {} }, {});
  });
}

console.log(await step('/auth/orcid'));
const back = (await lines.next()).value;
console.log(JSON.stringify(await step(back)));
process.exit(0);
