// A provider of OpenID Connect for tests: node provider.mjs PORT REDIRECT_URI [basic|post|none]. Whoever gives a name of PEOPLE signs in, with any
// password. It prints a line when it listens.

import { Provider } from 'oidc-provider';

const [port, redirect, method = 'basic'] = process.argv.slice(2);

const PEOPLE = {
  ann: { email: 'ann@example.org', email_verified: true, groups: ['auditors'] },
  ivo: { email: 'ivo@example.org', email_verified: true, groups: ['case-work', 'chess'] },
  adi: { email: 'adi@example.org', email_verified: true, groups: ['admins'] },
  eve: { email: 'ann@example.org', email_verified: false, groups: ['auditors'] },
  bob: { email: 'bob@example.org', email_verified: true, groups: ['chess'] },
};

const methods = { basic: 'client_secret_basic', post: 'client_secret_post', none: 'none' };
const client = {
  client_id: 'minutebook',
  redirect_uris: [redirect],
  token_endpoint_auth_method: methods[method],
  ...(method === 'none' ? {} : { client_secret: 'a secret of the tests' }),
};

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [client],
  clientAuthMethods: [methods[method]],
  claims: { openid: ['sub'], email: ['email', 'email_verified'], groups: ['groups'] },
  scopes: ['openid', 'email', 'groups'],
  pkce: { required: () => true },
  findAccount: (_, sub) => sub in PEOPLE && { accountId: sub, claims: () => ({ sub, ...PEOPLE[sub] }) },
});

provider.listen(Number(port), '127.0.0.1', () => console.log('listening'));
