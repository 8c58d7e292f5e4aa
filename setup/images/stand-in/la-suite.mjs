// What servers that stand in for the apps of La Suite have in common, which are all made with Django: where they keep
// their data, how people log in, and what they say of themselves.
import { randomBytes } from 'node:crypto';
import { cookiesOf, json, postgres, secretOf, serve, signing, untilItWorks } from '/stand-in.mjs';

const { DB_HOST, DB_NAME, DB_USER, DOMAIN } = process.env;
const PORT = 8000;
const DENIED = json({ detail: 'Authentication credentials were not provided.' }, 401);

export const sql = postgres({
  host: DB_HOST,
  user: DB_USER,
  database: DB_NAME,
  password: secretOf('DB_PASSWORD_FILE'),
});

/**
 * Logs people in at an OpenID provider by its code flow, and knows them by a cookie from then on, as Django does: what
 * changes something must bring the token of another cookie in a header.
 */
function openId({ clientId, clientSecret, authorization, token, userinfo, redirect, home, secret }) {
  const { sign, valueOf } = signing(secret);
  const cookie = (name, value) => `${name}=${value}; Path=/; Secure; SameSite=Lax`;
  return {
    begin() {
      const state = randomBytes(16).toString('hex');
      const query = {
        response_type: 'code',
        scope: 'openid email',
        client_id: clientId,
        redirect_uri: redirect,
        state,
      };
      const headers = {
        location: `${authorization}?${new URLSearchParams(query)}`,
        'set-cookie': cookie('oidc_state', state),
      };
      return { status: 302, headers };
    },
    async end(request, { searchParams }) {
      if (searchParams.get('state') !== cookiesOf(request).oidc_state)
        return { status: 400, text: 'unknown state' };
      const exchanged = await fetch(token, {
        method: 'POST',
        body: new URLSearchParams({
          grant_type: 'authorization_code',
          code: searchParams.get('code') ?? '',
          client_id: clientId,
          client_secret: clientSecret,
          redirect_uri: redirect,
        }),
      });
      if (!exchanged.ok)
        return { status: 401, text: `the provider gives no token: ${await exchanged.text()}` };
      const { access_token: access } = await exchanged.json();
      const told = await fetch(userinfo, { headers: { authorization: `Bearer ${access}` } });
      if (!told.ok) return { status: 401, text: `the provider does not say who it is: ${await told.text()}` };
      const { email } = await told.json();
      const cookies = [
        cookie('sessionid', sign(email)),
        cookie('csrftoken', randomBytes(16).toString('hex')),
      ];
      return { status: 302, headers: { location: home, 'set-cookie': cookies } };
    },
    /** Whose request it is; null of a stranger's, and of one that changes something without the token. */
    userOf(request) {
      const { sessionid, csrftoken } = cookiesOf(request);
      const reads = request.method === 'GET';
      return reads || (csrftoken ?? '') === request.headers['x-csrftoken'] ? valueOf(sessionid) : null;
    },
  };
}

/**
 * Serves an app: `config()` is what it says of itself to everybody, and `answer(request, url, owner)` what it says to whoever
 * is logged in, whose address is `owner`. `tables` makes those that are not there.
 */
export async function serveApp({ title, config, tables }, answer) {
  const sso = openId({
    clientId: process.env.OIDC_RP_CLIENT_ID,
    clientSecret: secretOf('OIDC_RP_CLIENT_SECRET_FILE'),
    authorization: process.env.OIDC_OP_AUTHORIZATION_ENDPOINT,
    token: process.env.OIDC_OP_TOKEN_ENDPOINT,
    userinfo: process.env.OIDC_OP_USER_ENDPOINT,
    redirect: `https://${DOMAIN}/api/v1.0/callback/`,
    home: `https://${DOMAIN}/`,
    secret: secretOf('DJANGO_SECRET_KEY_FILE'),
  });
  await untilItWorks(() => sql(tables));
  serve(PORT, (request, url) => {
    switch (url.pathname) {
      case '/':
        return { text: `<!doctype html><title>${title}</title>` };
      case '/__heartbeat__':
        return json({ database: sql('SELECT to_json(1)').length === 1 });
      case '/api/v1.0/config/':
        sql('SELECT to_json(1)');
        return json(config());
      case '/api/v1.0/authenticate/':
        return sso.begin();
      case '/api/v1.0/callback/':
        return sso.end(request, url);
    }
    const owner = sso.userOf(request);
    if (owner === null) return DENIED;
    if (url.pathname === '/api/v1.0/users/me/') return json({ id: owner, email: owner });
    return answer(request, url, owner);
  });
}
