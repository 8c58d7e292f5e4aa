import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, request as ask, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import axe from 'axe-core';
import getPort from 'get-port';
import {
  chromium,
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  type Page,
} from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readConfig } from '../../host/config/config.ts';
import { startService, type Service } from '../../host/machine/child.ts';
import { isRoot, which } from '../../setup/machine.ts';
import { POLICY } from '../../site/html.ts';
import type { SiteIndex } from '../../site/index-json.ts';
import type { Now } from '../../site/read.ts';
import { createSite, siteFolder } from '../../site/write-site.ts';
import { PAGE_ATTACKS, writeHostileState } from '../fixtures/hostile-site.ts';
import { usualOutcome, writeSiteState, type Weeks } from '../fixtures/site-state.ts';
import * as inPage from './in-page.mjs';
import { until } from './system.ts';

/** The report site in a real browser, shown by the real `recipe-sweep serve` of a host without a forge. */

const COMMAND = path.resolve(import.meta.dirname, '../../bin/recipe-sweep');
const UI = 'http://temporal.example.org';
const LAST = new Date(Math.floor(Date.now() / 1000) * 1000 - 60 * 60_000);
const NEXT = new Date(LAST.getTime() + 7 * 24 * 60 * 60_000).toISOString();
const NOW: Now = { holder: null, schedule: { next: NEXT, paused: false, note: null } };
const RECIPES = ['ghost', 'gitea', 'hedgedoc', 'keycloak', 'lasuite-docs', 'mailu', 'nextcloud', 'outline'];

let folder: string;
let browser: Browser;
let serve: Service;
/** Of the site that serve shows, with its slash. */
let origin: string;
let hostile: { files: string[]; origin: string; server: Server };
/** Of the usual site, each kind of page once; seen from its origin. */
let pages: Record<'fleet' | 'recipe' | 'run' | 'step' | 'sweep', string>;
let index: SiteIndex;

/** What became of each is as usual, but for one that broke this week. */
function outcomes(state: string): Weeks['outcome'] {
  const usual = usualOutcome(state);
  const evidence = path.join(state, 'runs', 'sweep-ci-1-week-00', 'ghost', 'cold-test-upgrade', 'app.log');
  const why = 'app: exited with 1: migration 0042 failed';
  return (recipe, weeksAgo) =>
    recipe !== 'ghost'
      ? usual(recipe, weeksAgo)
      : weeksAgo === 0
        ? { kind: 'FAIL', version: '6.12.0+2.2.1', tier: 'upgrade', why, evidence, canonical: '6.11.0+2.1.1' }
        : { kind: 'PASS', promoted: `6.${12 - weeksAgo}.0+2.1.1` };
}

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'site-e2e-'));
  const executablePath = await which('chromium');
  if (executablePath === null) throw new Error('no chromium: npm run setup installs it');
  browser = await chromium.launch({ executablePath, args: isRoot ? ['--no-sandbox'] : [] });
  await writeSites();
  const port = await getPort();
  await writeFile(path.join(folder, 'recipe-sweep.yml'), JSON.stringify(await configured('usual', port)));
  const logFile = path.join(folder, 'serve.log');
  serve = startService({
    file: process.execPath,
    args: [COMMAND, '--config', path.join(folder, 'recipe-sweep.yml'), 'serve'],
    env: { PATH: process.env['PATH'] ?? '' },
    logFile,
  });
  await until(async () => (await readFile(logFile, 'utf8').catch(() => '')).includes('serve listens'));
  origin = `http://127.0.0.1:${port}/`;
  index = (await (await fetch(`${origin}index.json`)).json()) as SiteIndex;
  pages = {
    fleet: '',
    recipe: 'recipe/ghost/',
    run: 'runs/sweep-ci-1-week-00/ghost/',
    step: 'runs/sweep-ci-1-week-00/ghost/cold-test-upgrade.html',
    sweep: 'sweeps/sweep-ci-1-week-00/',
  };
});

afterAll(async () => {
  await browser?.close();
  await serve?.stop();
  hostile?.server.close();
  await rm(folder, { recursive: true, force: true });
});

/** What its operator writes: no forge, and a Temporal server that is away. */
async function configured(name: string, port: number): Promise<object> {
  return {
    host: 'ci-1',
    zone: 'ci.example.org',
    state: `${name}/state`,
    recipes: `${name}/recipes`,
    mirrors: path.join(folder, 'mirrors', '{recipe}.git'),
    serve: { listen: `127.0.0.1:${port}` },
    temporal: { address: `127.0.0.1:${await getPort()}`, ui: UI },
  };
}

async function writeSites(): Promise<void> {
  const usual = path.join(folder, 'usual');
  await writeSiteState(usual, {
    recipes: RECIPES,
    weeks: 14,
    last: LAST,
    outcome: outcomes(path.join(usual, 'state')),
  });
  const { now } = await writeHostileState(path.join(folder, 'hostile'), PAGE_ATTACKS, LAST);
  for (const [name, is] of [
    ['usual', NOW],
    ['hostile', now],
  ] as const) {
    const file = path.join(folder, `${name}.yml`);
    await writeFile(file, JSON.stringify(await configured(name, 1)));
    const config = await readConfig(file);
    expect(await createSite(config).update(is)).toMatchObject({ problems: [] });
    if (name === 'hostile') hostile = await showPlainly(siteFolder(config));
  }
}

/** As any web server would, which says nothing of policies. */
async function showPlainly(root: string): Promise<typeof hostile> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile() && !entry.name.startsWith('.'))
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)));
  const TYPES: Record<string, string> = {
    html: 'text/html',
    css: 'text/css',
    svg: 'image/svg+xml',
    png: 'image/png',
  };
  const server = createServer((request, response) => {
    const asked = decodeURIComponent(new URL(request.url ?? '/', 'http://x').pathname).slice(1);
    const file = asked === '' || asked.endsWith('/') ? `${asked}index.html` : asked;
    readFile(path.join(root, file)).then(
      (content) => {
        response.setHeader('content-type', TYPES[path.extname(file).slice(1)] ?? 'text/plain');
        response.end(content);
      },
      () => {
        response.statusCode = 404;
        response.end();
      },
    );
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { files, server, origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` };
}

/** Runs the body with a page of its own, and answers what went wrong in it meanwhile. */
async function withPage(
  options: BrowserContextOptions,
  body: (page: Page, context: BrowserContext) => Promise<void>,
): Promise<string[]> {
  const context = await browser.newContext(options);
  const wrong: string[] = [];
  try {
    const page = await context.newPage();
    page.on('console', (message) => wrong.push(`console: ${message.text()}`));
    page.on('pageerror', (error) => wrong.push(`error: ${error.message}`));
    page.on('dialog', (dialog) => {
      wrong.push(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    page.on('request', (request) => {
      const here = [origin, hostile.origin].some((one) => request.url().startsWith(one));
      if (!here && !request.url().startsWith('data:')) wrong.push(`asked elsewhere: ${request.url()}`);
    });
    page.on('response', (response) => {
      if (response.status() >= 400) wrong.push(`${response.status()}: ${response.url()}`);
    });
    page.on('requestfailed', (request) => {
      // Whoever goes on to the next page waits for no picture.
      const why = request.failure()?.errorText;
      if (why !== 'net::ERR_ABORTED') wrong.push(`failed: ${request.url()}: ${why}`);
    });
    page.on('popup', (popup) => wrong.push(`popup: ${popup.url()}`));
    await body(page, context);
  } finally {
    await context.close();
  }
  return wrong;
}

const everyPage = (): string[] => Object.values(pages);

describe.each([360, 1600])('at a width of %d', (width) => {
  test.each(['light', 'dark'] as const)(
    'axe finds nothing in %s, and nothing is wider than the page',
    async (colorScheme) => {
      const viewport = { width, height: 900 };
      const wrong = await withPage({ viewport, colorScheme, bypassCSP: true }, async (page) => {
        for (const one of everyPage()) {
          await page.goto(`${origin}${one}`);
          await page.evaluate(axe.source);
          const found = await page.evaluate(inPage.violations);
          expect(found, one).toEqual([]);
          expect(await page.evaluate(inPage.overflow), one).toEqual([]);
        }
      });
      expect(wrong).toEqual([]);
    },
  );
});

describe.each([true, false])(
  'with the policy as it is, and scripts allowed by the reader: %s',
  (javaScriptEnabled) => {
    test('each page has its style and its pictures, and nothing is refused', async () => {
      const wrong = await withPage(
        { javaScriptEnabled, viewport: { width: 1280, height: 900 } },
        async (page) => {
          for (const one of everyPage()) {
            await page.goto(`${origin}${one}`);
            expect(await page.evaluate(inPage.widest)).toBe('1440px');
            for (const picture of await page.locator('img').all()) {
              await picture.scrollIntoViewIfNeeded();
              await expect
                .poll(() =>
                  picture.evaluate((image) => (image as unknown as { naturalWidth: number }).naturalWidth),
                )
                .toBeGreaterThan(0);
            }
          }
          expect(await page.locator('h1').innerText()).toContain('Sweep of');
        },
      );
      expect(wrong).toEqual([]);
    });
  },
);

const linkOf = (file: string): string => file.split(path.sep).map(encodeURIComponent).join('/');

describe('hostile texts on every page', () => {
  test('run nothing and fetch nothing, where no policy holds them', async () => {
    const htmlFiles = hostile.files.filter((file) => file.endsWith('.html'));
    expect(htmlFiles.length).toBeGreaterThan(4 * PAGE_ATTACKS.length);
    const files = htmlFiles.values();
    const look = async (page: Page): Promise<void> => {
      await page.setContent('<script>window.struck = 1</script>');
      expect(await page.evaluate(inPage.struck)).toBe(true);
      for (const file of files) {
        await page.goto(`${hostile.origin}${linkOf(file)}`);
        expect(await page.evaluate(inPage.struck), file).toBe(false);
        expect(await page.evaluate(inPage.linksElsewhere, UI), file).toEqual([]);
      }
    };
    const open = (): Promise<string[]> => withPage({ bypassCSP: true }, look);
    const wrong = (await Promise.all([open(), open(), open()])).flat();
    // Pictures that are none are broken ones, from here.
    expect(wrong.filter((one) => !one.startsWith('console: '))).toEqual([]);
    expect(wrong.filter((one) => /struck|refused|elsewhere/i.test(one))).toEqual([]);
  });

  test('are not wider than a phone', async () => {
    await withPage({ viewport: { width: 360, height: 800 } }, async (page) => {
      const some = ['recipe/', 'runs/', 'sweeps/'].flatMap((kind) =>
        hostile.files.filter((file) => file.startsWith(kind) && file.endsWith('.html')).slice(0, 15),
      );
      for (const file of ['index.html', ...some]) {
        await page.goto(`${hostile.origin}${linkOf(file)}`);
        expect(await page.evaluate(inPage.overflow), file).toEqual([]);
      }
    });
  });

  test('are in feeds that a browser can read', async () => {
    await withPage({}, async (page) => {
      await page.goto(hostile.origin);
      for (const file of hostile.files.filter((one) => one.endsWith('feed.xml'))) {
        const text = await (await fetch(`${hostile.origin}${file}`)).text();
        const found = await page.evaluate(inPage.readXml, text);
        expect(found.error, file).toBeNull();
        const known = ['author', 'entry', 'feed', 'id', 'link', 'name', 'summary', 'title', 'updated'];
        expect(
          found.names.filter((name) => !known.includes(name)),
          file,
        ).toEqual([]);
      }
    });
  });
});

test('the keyboard reaches the content first, and everything that scrolls', async () => {
  await withPage({ viewport: { width: 360, height: 700 } }, async (page) => {
    for (const one of [pages.fleet, pages.recipe, pages.run, pages.step, pages.sweep]) {
      await page.goto(`${origin}${one}`);
      await page.keyboard.press('Tab');
      const first = page.locator(':focus');
      expect(await first.innerText()).toBe('to the content');
      expect(await first.boundingBox().then((box) => box !== null && box.x >= 0)).toBe(true);
      const reached = new Set<string>();
      const stops = await page.evaluate(inPage.stops);
      for (let press = 0; press < stops; press += 1) {
        await page.keyboard.press('Tab');
        reached.add(await page.evaluate(inPage.focused));
      }
      const scrolling = await page.evaluate(inPage.scrolling);
      expect(
        scrolling.filter((name) => !reached.has(name)),
        one,
      ).toEqual([]);
      await page.goto(`${origin}${one}`);
      await page.keyboard.press('Tab');
      await page.keyboard.press('Enter');
      expect(page.url()).toBe(`${origin}${one}#content`);
    }
  });
});

test('paper has every table whole', async () => {
  await withPage({ viewport: { width: 720, height: 1000 } }, async (page) => {
    for (const one of everyPage()) {
      await page.goto(`${origin}${one}`);
      await page.emulateMedia({ media: 'print' });
      expect(await page.evaluate(inPage.unseen), one).toEqual([]);
      expect((await page.pdf({ format: 'A4' })).subarray(0, 5).toString()).toBe('%PDF-');
    }
  });
});

test('on Monday, the first page alone says what broke, since when, whose it is, where the log is and when it is tried again', async () => {
  await withPage({ javaScriptEnabled: false }, async (page) => {
    await page.goto(origin);
    const text = await page.locator('main').innerText();
    expect(text).toMatch(/[1-9]\d* newly red/);
    const news = await page
      .locator('li', { has: page.locator('a.recipe', { hasText: /^ghost$/ }) })
      .innerText();
    expect(news).toContain('ghost FAIL');
    expect(news).toContain('6.12.0+2.2.1: upgrade: app: exited with 1: migration 0042 failed');
    expect(news).toContain('canonical unchanged: 6.11.0+2.1.1');
    expect(news).toContain(`Red since ${LAST.toISOString().slice(0, 10)}, over 1 sweep.`);
    expect(news).toMatch(/Whose: the package/);
    expect(news).toMatch(/Next: .*the next sweep tries it again/);
    expect(text).toContain(`Next sweep\n${NEXT.slice(0, 16).replace('T', ' ')} UTC`);
    // What broke is told of first.
    expect(await page.locator('li a.recipe').first().innerText()).toBe('ghost');
    await page.getByRole('link', { name: 'cold-test-upgrade/app.log of ghost' }).click();
    expect(page.url()).toBe(`${origin}${pages.step}#cold-test-upgrade~app.log`);
    expect(await page.locator('pre').first().innerText()).toMatch(
      /Error: relation "members" does not exist\n?$/,
    );
    await page.getByRole('link', { name: 'ghost', exact: true }).click();
    expect(page.url()).toBe(`${origin}${pages.recipe}`);
  });
  expect(index.recipes[0]).toMatchObject({ recipe: 'ghost', stands: 'newly red' });
});

interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

/** Asks as it is told: no client of ours tidies a path. */
async function send(method: string, target: string): Promise<Answer> {
  const { hostname: host, port } = new URL(origin);
  return new Promise((resolve, reject) => {
    const asked = ask({ host, port, method, path: target, agent: false }, (answer) => {
      let body = '';
      answer.on('data', (chunk: Buffer) => (body += chunk.toString()));
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body }));
    });
    asked.on('error', reject).end();
  });
}

describe('serve without a forge', () => {
  test('says with each page what it may do', async () => {
    for (const one of ['/', '/recipe/ghost/', '/style.css', '/badge/ghost.svg', '/feed.xml', '/nothing']) {
      const { headers } = await send('GET', one);
      expect(headers['content-security-policy'], one).toBe(`${POLICY}; sandbox`);
      expect(headers['x-content-type-options'], one).toBe('nosniff');
      expect(headers['referrer-policy'], one).toBe('no-referrer');
    }
  });

  test.each([
    ['/', 'text/html; charset=utf-8'],
    ['/style.css', 'text/css; charset=utf-8'],
    ['/badge/ghost.svg', 'image/svg+xml'],
    ['/feed.xml', 'application/atom+xml; charset=utf-8'],
    ['/index.json', 'application/json; charset=utf-8'],
    ['/runs/sweep-ci-1-week-00/ghost/cold-test-upgrade/screenshot.png', 'image/png'],
  ])('answers HEAD of %s as GET, without what is in it', async (target, type) => {
    const [head, get] = [await send('HEAD', target), await send('GET', target)];
    expect([head.status, get.status]).toEqual([200, 200]);
    expect(head.headers['content-type']).toBe(type);
    expect(head.headers['content-length']).toBe(get.headers['content-length']);
    expect(head.body).toBe('');
  });

  test.each([
    '/nothing',
    '/recipe/nothing/',
    '/../state',
    '/recipe/../../result.json',
    '/%2e%2e/%2e%2e/recipe-sweep.yml',
    '/..%2f..%2frecipe-sweep.yml',
    '/recipe/%2e%2e/%2e%2e/index/ghost.jsonl',
    '/.made-by',
    '/.unfinished/',
    '/%2emade-by',
    '/recipe//ghost/',
    '/%00',
    '/%',
    '/runs/sweep-ci-1-week-00/ghost/result.json',
    '/runs/sweep-ci-1-week-00/ghost/cold-test-upgrade/app.log',
  ])('has nothing at %s', async (target) => {
    expect(await send('GET', target)).toMatchObject({ status: 404, body: 'nothing is here\n' });
  });

  test('has nothing above the site', async () => {
    expect((await send('GET', '/..')).body).toBe((await send('GET', '/')).body);
    expect((await send('GET', '/../../..//')).status).toBe(404);
  });

  test('leads to a folder by its slash, and lets nobody change anything', async () => {
    expect(await send('GET', '/recipe/ghost')).toMatchObject({
      status: 308,
      headers: { location: '/recipe/ghost/' },
    });
    for (const method of ['POST', 'PUT', 'DELETE']) {
      expect([404, 405]).toContain((await send(method, '/recipe/ghost/')).status);
    }
    expect((await send('POST', '/webhook')).body).toContain('no forge is configured here');
  });

  test('says how it is, and its numbers', async () => {
    const { status, body } = await send('GET', '/healthz');
    expect([status, JSON.parse(body)]).toMatchObject([503, { ok: false }]);
    expect(JSON.parse(body)).not.toHaveProperty('forge');
    const metrics = await send('GET', '/metrics');
    expect(metrics.status).toBe(200);
    expect(metrics.body).toContain('recipe_sweep_recipe_standing{recipe="ghost",standing="newly red"} 1');
  });
});
