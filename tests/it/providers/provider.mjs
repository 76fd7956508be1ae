// The certified OpenID provider of the npm index, as a campus might run it: people who sign in by name, a
// consent page with a yes and a no, its own sign-out. Started by real.rs, which gives the settings as the only
// argument and reads one line of JSON from stdout once it accepts. Ends with its stdin.
//
// Below /control it does what no provider would do for strangers: rotates its keys, signs whatever it is
// given, counts what it was asked.

import { createServer } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { createRequire } from 'node:module';
import { randomUUID } from 'node:crypto';
import { pathToFileURL } from 'node:url';

const settings = JSON.parse(process.argv[2]);
const require = createRequire(`${settings.modules}/here.js`);
const load = (name) => import(pathToFileURL(require.resolve(name)).href);
const { default: Provider } = await load('oidc-provider');
const { exportJWK, generateKeyPair, importJWK, SignJWT } = await load('jose');

// Whoever calls themselves so is believed; no password would prove anything here.
const people = settings.people;
const counts = {};
const count = (what) => { counts[what] = (counts[what] ?? 0) + 1; };
let clients = [];
let gate; // port and authority, once the gate is open

// Kept outside of the provider, so that it survives a rotation.
const rows = new Map();
class Memory {
  constructor(model) { this.model = model; }
  key(id) { return `${this.model}:${id}`; }
  async upsert(id, payload, expiresIn) { rows.set(this.key(id), { payload, ends: Date.now() + (expiresIn ?? 86400) * 1000 }); }
  async find(id) { const row = rows.get(this.key(id)); return row && row.ends > Date.now() ? row.payload : undefined; }
  async findByUid(uid) { return this.search((payload) => payload.uid === uid); }
  async findByUserCode(code) { return this.search((payload) => payload.userCode === code); }
  search(fits) {
    for (const [key, { payload }] of rows) if (key.startsWith(`${this.model}:`) && fits(payload)) return payload;
    return undefined;
  }
  async consume(id) { const row = rows.get(this.key(id)); if (row) row.payload.consumed = Math.floor(Date.now() / 1000); }
  async destroy(id) { rows.delete(this.key(id)); }
  async revokeByGrantId(grantId) {
    for (const [key, { payload }] of rows) if (payload.grantId === grantId) rows.delete(key);
  }
}

async function newKey(alg) {
  const { privateKey } = await generateKeyPair(alg, { extractable: true });
  return { ...(await exportJWK(privateKey)), kid: randomUUID(), alg, use: 'sig' };
}

const escape = (text) => String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
const page = (title, body) => `<!doctype html><html lang="en"><meta charset="utf-8"><title>${title}</title><h1>${title}</h1>${body}</html>`;

// Calls to the gate go to where it listens, by its name and with its authority.
function callGate(url, options) {
  const target = new URL(url);
  return new Promise((resolve, reject) => {
    const call = httpsRequest({
      host: '127.0.0.1', port: gate.port, ca: gate.authority, servername: target.hostname, method: options.method,
      path: target.pathname, headers: { ...Object.fromEntries(new Headers(options.headers)), host: target.host },
    }, (answer) => {
      answer.resume();
      answer.on('end', () => {
        count(`told the gate: ${answer.statusCode}`);
        resolve(new Response(null, { status: answer.statusCode }));
      });
    });
    call.on('error', reject);
    call.end(String(options.body ?? ''));
  });
}

let keys = [await newKey(settings.alg)];
let provider;
let answer;

const server = createServer((req, res) => {
  serve(req, res).catch((error) => {
    console.error(error);
    res.statusCode = 500;
    res.end();
  });
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const base = `http://127.0.0.1:${server.address().port}`;
const issuer = `${base}${settings.path}`;

function open() {
  provider = new Provider(issuer, {
    adapter: Memory,
    clients,
    jwks: { keys },
    cookies: { keys: ['only for tests'] },
    // The gate reads names from the id_token; by default they are told at userinfo alone.
    conformIdTokenClaims: false,
    claims: { openid: ['sub', 'orcid'], profile: ['name', 'given_name', 'family_name', 'preferred_username'] },
    scopes: ['openid', 'profile', 'offline_access'],
    findAccount: (ctx, id) => ({ accountId: id, claims: async () => ({ sub: id, ...people[id] }) }),
    interactions: { url: (ctx, interaction) => `${settings.path}/interaction/${interaction.uid}` },
    enabledJWA: { idTokenSigningAlgValues: [settings.alg], userinfoSigningAlgValues: [settings.alg] },
    features: {
      devInteractions: { enabled: false },
      backchannelLogout: { enabled: true },
      revocation: { enabled: true },
      jwtUserinfo: { enabled: true },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource: async (ctx, form) => {
          const buttons = '<button name="logout" value="yes">Yes, sign me out</button><button>No, stay signed in</button></form>';
          ctx.body = page('Sign out of the campus?', form.replace('</form>', buttons));
        },
      },
    },
    fetch: callGate,
    issueRefreshToken: async () => true,
  });
  for (const event of ['server_error', 'backchannel.error']) {
    provider.on(event, (ctx, error) => console.error(event, error.message, error.error_description ?? ''));
  }
  for (const event of ['authorization.error', 'grant.error', 'end_session.error', 'revocation.error', 'userinfo.error']) {
    provider.on(event, (ctx, error) => console.error(event, error.message, error.error_description ?? '', error.error_detail ?? ''));
  }
  answer = provider.callback();
}
open();

async function body(req) {
  let text = '';
  for await (const piece of req) text += piece;
  return text;
}

async function serve(req, res) {
  const path = req.url.split('?')[0];
  const name = path.slice(settings.path.length);
  count(`${req.method} ${name}`);
  if (path.startsWith('/control/')) return control(path.slice('/control/'.length), req, res);
  if (path === '/favicon.ico') { res.statusCode = 204; return res.end(); }
  if (!path.startsWith(`${settings.path}/`)) { res.statusCode = 404; return res.end(); }
  if (name.startsWith('/interaction/')) return interaction(req, res);
  // As behind a router: the provider is mounted below the issuer's path.
  req.originalUrl = req.url;
  req.url = req.url.slice(settings.path.length);
  return answer(req, res);
}

async function interaction(req, res) {
  const { prompt, params, session, grantId } = await provider.interactionDetails(req, res);
  if (req.method === 'GET') {
    res.setHeader('content-type', 'text/html; charset=utf-8');
    const form = (inner) => `<form method="post" action="${escape(req.url)}">${inner}</form>`;
    return res.end(prompt.name === 'login'
      ? page('Sign in at the campus', form('<label>Name <input name="name"></label><button>Sign in</button>'))
      : page('May the gate know you?', form('<button name="agree" value="yes">Allow</button><button name="agree" value="no">Deny</button>')));
  }
  const sent = new URLSearchParams(await body(req));
  if (prompt.name === 'login') {
    const result = people[sent.get('name')] ? { login: { accountId: sent.get('name') } } : { error: 'access_denied' };
    return provider.interactionFinished(req, res, result, { mergeWithLastSubmission: false });
  }
  if (sent.get('agree') !== 'yes') {
    const result = { error: 'access_denied', error_description: 'the person said <no>' };
    return provider.interactionFinished(req, res, result, { mergeWithLastSubmission: false });
  }
  const grant = grantId
    ? await provider.Grant.find(grantId)
    : new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  grant.addOIDCScope(params.scope);
  grant.addOIDCClaims(prompt.details.missingOIDCClaims ?? []);
  const result = { consent: { grantId: await grant.save() } };
  return provider.interactionFinished(req, res, result, { mergeWithLastSubmission: true });
}

async function control(what, req, res) {
  const sent = req.method === 'POST' ? JSON.parse((await body(req)) || '{}') : {};
  res.setHeader('content-type', 'application/json');
  if (what === 'register') {
    ({ clients, gate } = sent);
    open();
    return res.end('{}');
  }
  if (what === 'counts') return res.end(JSON.stringify(counts));
  if (what === 'rotate') {
    keys = [await newKey(settings.alg)];
    open();
    return res.end(JSON.stringify({ kid: keys[0].kid }));
  }
  if (what === 'sign') {
    const key = sent.stranger ? await newKey(settings.alg) : keys[0];
    const header = { alg: settings.alg, kid: keys[0].kid, ...sent.header };
    const signed = await new SignJWT(sent.claims).setProtectedHeader(header).sign(await importJWK(key, settings.alg));
    return res.end(JSON.stringify({ token: signed }));
  }
  res.statusCode = 404;
  return res.end('{}');
}

process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
console.log(JSON.stringify({ event: 'ready', base, issuer }));
