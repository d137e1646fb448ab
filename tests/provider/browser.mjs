// A person at a real browser: node browser.mjs SERVER NAME. Signs in at the provider's page, reads, is tried from another site, and signs out. Prints
// what was seen as one line of JSON. MINUTEBOOK_CHROMIUM is the browser's program.

import { createServer } from 'node:http';
import { chromium } from 'playwright-core';

const [server, name] = process.argv.slice(2);
const browser = await chromium.launch({
  executablePath: process.env.MINUTEBOOK_CHROMIUM,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});

async function signIn(context) {
  const page = await context.newPage();
  await page.goto(`${server}/v1/sign-in`);
  await page.fill('input[name=login]', name);
  await page.fill('input[name=password]', 'x');
  await page.click('button[type=submit]');
  await page.click('button[type=submit]:has-text("Continue")');
  await page.waitForURL(`${server}/v1/session`);
  return page;
}

const answer = async (page, path) => (await page.goto(`${server}${path}`)).status();

// Another site: its page posts a form and asks with a script, both of which a browser does without asking the server, and shows the server in a frame.
const elsewhere = createServer((_, response) => {
  response.setHeader('content-type', 'text/html');
  response.end(`<form method=post action="${server}/v1/verify"><button>now</button></form>
    <a href="${server}/v1/session">there</a><iframe src="${server}/v1/session"></iframe>`);
});
await new Promise((listening) => elsewhere.listen(0, 'localhost', listening));
const other = `http://localhost:${elsewhere.address().port}/`;

const seen = {};
try {
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  const page = await signIn(context);
  seen.session = JSON.parse(await page.innerText('body'));
  const cookies = await context.cookies(server);
  seen.cookies = cookies.map(({ name, httpOnly, secure, sameSite, path }) => ({ name, httpOnly, secure, sameSite, path }));
  seen.toScripts = await page.evaluate(() => document.cookie);
  seen.read = await answer(page, '/v1/records');
  seen.scripts = await page.evaluate(() => fetch('/v1/session').then((there) => there.status, (refused) => refused.name));

  await page.goto(other);
  seen.framed = await page.frames()[1].evaluate(() => document.body.innerText);
  const asks = (url) => fetch(`${url}/v1/session`, { credentials: 'include' }).then((there) => there.status, (refused) => refused.name);
  seen.foreignScript = await page.evaluate(asks, server);
  const posts = page.waitForResponse(`${server}/v1/verify`);
  await page.click('button');
  const refused = await posts;
  seen.foreignForm = [refused.status(), (await refused.json()).code, 'cookie' in (await refused.request().allHeaders())];
  await page.goto(other);
  const follows = page.waitForResponse(`${server}/v1/session`);
  await page.click('a');
  seen.foreignLink = (await follows).status();

  // A page of the server's own, which it does not have yet, would sign out so.
  const own = await browser.newContext({ ignoreHTTPSErrors: true, bypassCSP: true });
  const inside = await signIn(own);
  const { csrf } = JSON.parse(await inside.innerText('body'));
  const leave = (headers) => fetch('/v1/session', { method: 'DELETE', headers }).then((there) => there.status);
  seen.signOutBare = await inside.evaluate(leave, {});
  seen.signOut = await inside.evaluate(leave, { 'minutebook-csrf': csrf });
  seen.after = await answer(inside, '/v1/session');
  seen.cookiesAfter = (await own.cookies(server)).length;
} finally {
  await browser.close();
  elsewhere.close();
}
console.log(JSON.stringify(seen));
