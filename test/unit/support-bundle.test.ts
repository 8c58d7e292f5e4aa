import { execFileSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { stringify } from 'yaml';
import { createBundle } from '../../client/support/bundle.ts';
import { maskOf, settingsToMask } from '../../client/support/mask.ts';
import { addState } from '../../client/support/state.ts';
import { UNTESTED } from '../../domain/report.ts';
import { typeIn } from './typed-command.ts';

/** In every secret that is planted, and in nothing else. */
const SECRET = 'hunter2';
const SWEEP = 'sweep-ci-1-2025-03-02T03:00:00Z';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'support-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function write(file: string, text: string | object): Promise<void> {
  const place = path.join(folder, file);
  await mkdir(path.dirname(place), { recursive: true });
  await writeFile(place, typeof text === 'string' ? text : `${JSON.stringify(text)}\n`);
}

const CONFIG = {
  host: 'ci-1',
  zone: 'ci.example.org',
  state: './state',
  recipes: './recipes',
  mirrors: `https://robot:${SECRET}%20mirror@git.example.org/mirrors/{recipe}.git`,
  path: process.env['PATH'],
  docker: { socket: '/nonsuch' },
  alerts: [
    { webhook: { url: `https://chat.example.org/hooks/${SECRET}-hook` } },
    { ntfy: { urlFile: './ntfy-url', tokenFile: './ntfy-token' } },
    {
      mail: {
        ...{ to: ['ops@example.org'], from: 'ci@example.org', server: 'smtps://mail.example.org:465' },
        ...{ user: 'ci', passwordFile: './mail-password' },
      },
    },
  ],
  // Nobody listens there.
  temporal: { address: '127.0.0.1:9', tls: {}, apiKeyFile: './api-key' },
};

const RESULT = {
  schema: 3,
  recipe: 'gitea',
  asked: { by: 'sweep', id: SWEEP },
  outcome: {
    kind: 'ERROR',
    cause: 'infrastructure',
    why: `curl https://u:${SECRET}-why@forge.test/?access_token=${SECRET}-query: PASSWORD=${SECRET}-word, Authorization: Bearer ${SECRET}-bearer, ${SECRET}-licence`,
  },
  ...UNTESTED,
  started: '2025-03-02T03:00:00.000Z',
  ended: '2025-03-02T03:10:00.000Z',
  workflow: { id: `${SWEEP}/gitea`, runId: 'r' },
};

const RECORD = {
  schema: 2,
  recipe: 'gitea',
  version: '3.5.0+1.24.1',
  commit: 'c'.repeat(40),
  status: 'proven',
  ts: '2025-02-02T03:00:00.000Z',
  run: `${SWEEP}/gitea`,
  images: {},
  domain: 'warm-gitea.ci.example.org',
  env: { SMTP_FROM: `${SECRET}-canonical` },
  snapshot: { id: 'gite-abcdef-1', sha256: 'a'.repeat(64), bytes: 10 },
};

/** A host with a secret at every place that has room for one. */
async function plant(): Promise<void> {
  await write('recipe-sweep.yml', `# ${SECRET}-comment\n${stringify(CONFIG)}`);
  await write('api-key', `${SECRET}-api-key`);
  await write('ntfy-url', `https://ntfy.example.org/${SECRET}-topic`);
  await write('ntfy-token', `${SECRET}-ntfy`);
  await write('mail-password', `${SECRET}-mail`);
  await write('state/alerts/relayed/ntfy-1.json', {
    failing: { error: `/${SECRET}-topic, ${SECRET}-ntfy and ${SECRET}-mail were refused` },
  });
  await write(
    'recipes/gitea/recipe.yml',
    stringify({
      upstream: `https://${SECRET}-token@git.example.org/gitea.git`,
      env: { LICENCE: `${SECRET}-licence`, SMTP_PASSWORD: `${SECRET}-smtp` },
      probe: { protocol: 'tcp', port: 25, send: Buffer.from(SECRET).toString('hex') },
    }),
  );
  await write('recipes/gitea/hooks/install', `#!/bin/sh\necho ${SECRET}-hook\n`);
  await chmod(path.join(folder, 'recipes/gitea/hooks/install'), 0o755);
  await write(
    'recipes/broken/recipe.yml',
    stringify({
      upstream: 5,
      token: `${SECRET}-broken`,
      env: { LICENCE: `${SECRET} of it`, ADMIN_PASS: 47114711 },
    }),
  );
  await write('state/home/.docker/config.json', { auths: { 'ghcr.io': { auth: `${SECRET}-docker` } } });
  await write('state/home/.git-credentials', `https://u:${SECRET}-git@git.example.org\n`);
  await write(`state/sweeps/${SWEEP}/report.json`, {
    schema: 3,
    sweep: SWEEP,
    host: 'ci-1',
    zone: 'ci.example.org',
    verdict: 'none',
    note: `-----BEGIN PRIVATE KEY-----\n${SECRET}\n-----END PRIVATE KEY-----`,
    problems: [`http://x.test/${SECRET} mirror was refused, and ${SECRET} of it, by 47114711`],
    started: RESULT.started,
    ended: RESULT.ended,
    recipes: [RESULT],
  });
  await write(`state/runs/${SWEEP}/gitea/result.json`, RESULT);
  await write(`state/runs/${SWEEP}/gitea/cold-test-install/app.log`, `${SECRET}-evidence\n`);
  await write('state/canonicals/gitea/canonical.json', RECORD);
  await write(
    'state/canonicals/gitea/history.jsonl',
    `${JSON.stringify(RECORD)}\n{"env":{"A":"${SECRET}-torn`,
  );
  await write('state/canonicals/gitea/snapshots/gite-abcdef-1/manifest.json', {
    password: `${SECRET}-snapshot`,
  });
  await write('state/canonicals/ghost/canonical.json', `${SECRET}-garbage`);
  await write('state/alerts/promote-failed-recipe-gitea.json', {
    schema: 2,
    kind: 'promote-failed',
    subject: { is: 'recipe', name: 'gitea' },
    message: `https://user:${SECRET}-alert@git.example.org/x.git does not answer`,
    evidence: null,
    run: `${SWEEP}/gitea`,
    since: RESULT.ended,
    lastSeen: RESULT.ended,
    ended: null,
    advice: 'look',
  });
  await write(
    'state/dev/worker.log',
    `{"error":"https://u:${SECRET}-log@forge.test"}\nfor people: ${SECRET}-line\n`,
  );
  await write('state/site/recipe/gitea/index.html', `<p>${SECRET}-page</p>`);
  await write('outside/secret.json', { harmless: `${SECRET}-link` });
  await write('outside/canonical.json', { harmless: `${SECRET}-link` });
  await symlink('../../outside/secret.json', path.join(folder, 'state/alerts/planted.json'));
  await symlink('../../outside', path.join(folder, 'state/canonicals/planted'));
  await symlink('../outside', path.join(folder, 'state/ledger'));
}

/** Types it, and answers what it printed and the files of the bundle by name. */
async function bundled(...args: string[]): Promise<{ out: string; files: Map<string, string> }> {
  const { status, out, err } = await typeIn(folder, ['support-bundle', ...args]);
  expect({ status, err }).toEqual({ status: 0, err: '' });
  const [archive = ''] = /\S+\.tar\.gz/.exec(out) ?? [];
  expect((await stat(archive)).mode & 0o777).toBe(0o600);
  const unpacked = await mkdtemp(path.join(folder, 'unpacked-'));
  execFileSync('tar', ['-xzf', archive, '--force-local', '-C', unpacked]);
  const [top = '', ...others] = await readdir(unpacked);
  expect(others).toEqual([]);
  const files = new Map<string, string>();
  for (const entry of await readdir(path.join(unpacked, top), { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = path.join(entry.parentPath, entry.name);
    files.set(path.relative(path.join(unpacked, top), file), await readFile(file, 'utf8'));
  }
  return { out, files };
}

function expectNoSecret({ out, files }: { out: string; files: Map<string, string> }): void {
  const all = [['what is printed', out] as const, ...files, ['names', [...files.keys()].join('\n')] as const];
  const found = all.flatMap(([name, text]) =>
    [...text.matchAll(new RegExp(`.{0,40}${SECRET}.{0,20}`, 'g'))].map(([where]) => `${name}: ${where}`),
  );
  expect(found).toEqual([]);
}

const MINUTE = 60_000;

test(
  'a bundle has what a maintainer needs, and no secret of those that are everywhere',
  { timeout: MINUTE },
  async () => {
    await plant();
    const bundle = await bundled();
    expectNoSecret(bundle);
    const { files, out } = bundle;
    expect([...files.values()].filter((text) => text.includes('47114711'))).toEqual([]);
    const json = (name: string): unknown => JSON.parse(files.get(name) ?? 'null');
    expect(json('versions.json')).toMatchObject({
      node: process.version,
      git: expect.stringContaining('git'),
    });
    expect(json('configuration.json')).toMatchObject({
      host: 'ci-1',
      mirrors: 'https://***@git.example.org/mirrors/{recipe}.git',
      temporal: { apiKeyFile: path.join(folder, 'api-key') },
    });
    expect(json('doctor.json')).toContainEqual(expect.objectContaining({ name: 'git', ok: true }));
    expect(json('recipes/gitea.json')).toMatchObject({
      env: { LICENCE: '***', SMTP_PASSWORD: '***' },
      probe: { port: 25, send: '***' },
    });
    expect(json('recipes.json')).toContainEqual(expect.objectContaining({ recipe: 'broken', ok: false }));
    expect(json(`state/runs/${SWEEP}/gitea/result.json`)).toMatchObject({ recipe: 'gitea', level: null });
    expect(json('state/canonicals/gitea/canonical.json')).toMatchObject({
      version: '3.5.0+1.24.1',
      env: { SMTP_FROM: '***' },
    });
    expect(files.get('state/canonicals/gitea/history.jsonl')?.split('\n')).toHaveLength(3);
    expect(json('state/alerts/promote-failed-recipe-gitea.json')).toMatchObject({
      message: 'https://***@git.example.org/x.git does not answer',
    });
    expect(files.get('state.txt')).toMatch(/^link .*"ledger"$/m);
    expect(files.get('state.txt')).toContain(`"runs/${SWEEP}/gitea/cold-test-install/app.log"`);
    expect(files.get('state.txt')).toMatch(/^folder .*"site"$/m);
    expect([...files].filter(([name, text]) => /site\/recipe/.test(`${name}\n${text}`))).toEqual([]);
    const missing = files.get('missing.txt')?.split('\n') ?? [];
    for (const about of [
      /^workflows.json, status.json, schedule.json: .*127\.0\.0\.1:9/,
      /^engine.json: /,
      /^state\/canonicals\/ghost\/canonical.json: no JSON, 15 bytes$/,
      /^alerts\/planted.json: no file \(link\); links are not followed$/,
    ]) {
      expect(missing).toContainEqual(expect.stringMatching(about));
    }
    expect([...files.keys()].filter((name) => /home|snapshots|app\.log|hooks|planted/.test(name))).toEqual(
      [],
    );
    expect(out).toContain('Look through it before you send it');
    expect(out).toMatch(/state\/canonicals\/ +2 files/);
  },
);

test('it goes where it is told, and never in the place of another file', async () => {
  await write('there.tar.gz', 'mine');
  const { status, err } = await typeIn(folder, ['support-bundle', '--output', 'there.tar.gz']);
  expect(status).toBe(2);
  expect(err).toContain('is there already, and stays');
  expect(await readFile(path.join(folder, 'there.tar.gz'), 'utf8')).toBe('mine');
  expect(await readdir(folder)).toEqual(['there.tar.gz']);
  const { out } = await bundled('--output', './other.tar.gz');
  expect(out).toContain(path.join(folder, 'other.tar.gz'));
});

test('a pipe in place of a recipe keeps nobody waiting', { timeout: MINUTE }, async () => {
  await plant();
  for (const file of ['broken/recipe.yml', 'gitea/overlay.yml']) {
    await rm(path.join(folder, 'recipes', file), { force: true });
    execFileSync('mkfifo', [path.join(folder, 'recipes', file)]);
  }
  const bundle = await bundled();
  const recipes = JSON.stringify(JSON.parse(bundle.files.get('recipes.json') ?? 'null'));
  expect(recipes).toContain('broken/recipe.yml is no regular file');
  expect(recipes).toContain('gitea/overlay.yml is no regular file');
  expect(bundle.files.get('recipes.txt')).toMatch(/^other .*"broken\/recipe.yml"$/m);
});

test('who is late finds the bundle closed', async () => {
  vi.useFakeTimers();
  try {
    const bundle = createBundle(maskOf([]));
    let goOn = (): void => undefined;
    const late = new Promise<void>((resolve) => (goOn = resolve));
    let end: Promise<void> = late;
    const gathered = bundle.gather('something', () => {
      bundle.addText('early.txt', '');
      end = late.then(() => {
        bundle.addText('late.txt', '');
        bundle.lacks('late', 'too');
      });
      return end;
    });
    await vi.advanceTimersByTimeAsync(60_000);
    await gathered;
    expect(bundle.close()).toEqual({ isWaitedFor: true });
    goOn();
    await end;
    expect(bundle.pieces.map(({ name }) => name)).toEqual(['early.txt']);
    expect(bundle.missing).toEqual(['something: not there after 60 s']);
    await vi.advanceTimersByTimeAsync(0);
    expect(bundle.close()).toEqual({ isWaitedFor: false });
  } finally {
    vi.useRealTimers();
  }
});

describe('a configuration that is refused', () => {
  test.each([
    ['is no YAML', `host: ci-1\n  token: ${SECRET}\n- ${SECRET}: {`],
    [
      'has mistakes',
      stringify({ ...CONFIG, host: `${SECRET} !`, apiKey: SECRET, schedule: { day: SECRET } }),
    ],
  ])('%s: what is known without it is in the bundle, and nothing of it but keys', async (_what, text) => {
    await write('recipe-sweep.yml', text);
    const bundle = await bundled();
    expectNoSecret(bundle);
    expect([...bundle.files.keys()]).toContain('versions.json');
    expect(bundle.files.get('missing.txt')).toMatch(
      /^the configuration, and all that it leads to: .*recipe-sweep.yml/m,
    );
  });

  test('is not there', async () => {
    const { files } = await bundled();
    expect(files.get('missing.txt')).toContain('no configuration');
  });
});

test('a state folder without end makes no bundle without end', async () => {
  await Promise.all(
    Array.from({ length: 300 }, async (_, one) => write(`state/alerts/a-${one}.json`, { one })),
  );
  const line = JSON.stringify({ filler: 'x'.repeat(997) });
  await write('state/ledger/gitea.jsonl', `${Array.from({ length: 1_500 }, () => line).join('\n')}\n`);
  for (let one = 0; one < 25; one++)
    await write(`state/canonicals/r${one}/history.jsonl`, `${line}\n`.repeat(999));
  const bundle = createBundle(maskOf([]));
  await addState(bundle, path.join(folder, 'state'));
  const named = (start: string) => bundle.pieces.filter(({ name }) => name.startsWith(start));
  expect(named('state/alerts/')).toHaveLength(100);
  expect(named('state/ledger/')[0]?.text.length).toBeLessThan(1_000_001);
  expect(bundle.pieces.reduce((sum, { text }) => sum + text.length, 0)).toBeLessThanOrEqual(20_000_000);
  for (const about of [
    /^alerts: 200 older files are left out$/,
    /^state\/ledger\/gitea.jsonl: all but its last 1000000 of \d+ bytes$/,
    /^state.txt: \d+ entries or more are not listed$/,
    /^state\/canonicals\/r\d+\/history.jsonl: left out, the bundle would have more than 20 MB$/,
  ]) {
    expect(bundle.missing).toContainEqual(expect.stringMatching(about));
  }
});

test.each([
  ['git clone https://a:b@c.test/d', 'git clone https://***@c.test/d'],
  ['https://a:b/c@d.test/', 'https://***@d.test/'],
  ['https://d.test/@nobody', 'https://d.test/@nobody'],
  ['ghcr.io/x@sha256:abc', 'ghcr.io/x@sha256:abc'],
  ['SMTP_PASSWORD=a b', 'SMTP_PASSWORD=*** b'],
  ['{"apiToken": "a b", "apiKeyFile": "/run/key"}', '{"apiToken": ***, "apiKeyFile": "/run/key"}'],
  ['{"token": "a\\"b", "x": 1}', '{"token": ***, "x": 1}'],
  ['said {\\"token\\": \\"a b\\", \\"x\\": 1}', 'said {\\"token\\": ***, \\"x\\": 1}'],
  ['TOKEN="a b', 'TOKEN=***'],
  ['sh -c "PASSWORD=abc" x', 'sh -c "PASSWORD=***" x'],
  ['?token=abc&x=1 y=2', '?token=*** y=2'],
  ['PASSWORD=a,b;c&d"e f', 'PASSWORD=*** f'],
  [`DB_PASS='a b'"'"'c d' x`, 'DB_PASS=*** x'],
  ['{"passwords":["a","b"],"secrets":{"db":{"x":"a"}},"c":"d"}', '{"passwords":***,"secrets":***,"c":"d"}'],
  ['password: |\n  a b\n\n  c\nnext: d', 'password: ***\nnext: d'],
  ['DB_PASS=abc', 'DB_PASS=***'],
  ['why: MAIL_PASS=abc', 'why: MAIL_PASS=***'],
  ['SMTP_PASS: abc', 'SMTP_PASS: ***'],
  ['LDAP_BIND_PW=abc', 'LDAP_BIND_PW=***'],
  ['ENCRYPTION_KEY=abc', 'ENCRYPTION_KEY=***'],
  ['JWT_KEY=abc JWTKey=abc jwtKey2=abc', 'JWT_KEY=*** JWTKey=*** jwtKey2=***'],
  ['SSH_PUBLIC_KEY=abc publicKey: abc', 'SSH_PUBLIC_KEY=abc publicKey: abc'],
  ['temporal.tls.key: /etc/x/temporal.key', 'temporal.tls.key: /etc/x/temporal.key'],
  ['key: abc', 'key: ***'],
  ['monkey: abc bypass: abc', 'monkey: abc bypass: abc'],
  ['curl --password abc --user x', 'curl --password *** --user x'],
  ['docker login --password-stdin ghcr.io', 'docker login --password-stdin ghcr.io'],
  ['sshpass -p abc ssh x', 'sshpass -p *** ssh x'],
  ["mysqldump -u root -p'a b' db", 'mysqldump -u root -p *** db'],
  ['Authorization: token abc', 'Authorization: ***'],
  ["curl -H 'Authorization: Bearer abc' x", "curl -H 'Authorization: ***' x"],
  ['{"Authorization":"Digest a, b","x":1}', '{"Authorization":***,"x":1}'],
  ['Bearer abcdefgh, x', 'Bearer ***, x'],
  ['Set-Cookie: a=b; c=d\nx', 'Set-Cookie: ***\nx'],
  ['join SWMTKN-1-0123456789-abc now', 'join *** now'],
  [`with ghp_${'a'.repeat(36)} and glpat-${'a'.repeat(20)}`, 'with *** and ***'],
  ['the author: somebody', 'the author: somebody'],
  ['Unexpected token \'h\', "hush" is not valid JSON', "Unexpected token 'h' is not valid JSON"],
  ['said known-one, and known-one-more', 'said ***, and ***'],
])('%s', (text, masked) => {
  expect(maskOf(['known-one', 'known-one-more']).text(text)).toBe(masked);
});

test.each([
  [
    { password: 12345678, passed: 12 },
    { password: '***', passed: 12 },
  ],
  [{ secrets: { db: 'x', other: [1, null] } }, { secrets: { db: '***', other: ['***', null] } }],
  [
    { env: { PIN: 1234 }, Env: ['A=b'] },
    { env: { PIN: '***' }, Env: ['***'] },
  ],
  [
    { tls: { key: '/etc/x/temporal.key', serverName: 'x' }, apiKeyFile: '/run/key', key: 'abc' },
    { tls: { key: '/etc/x/temporal.key', serverName: 'x' }, apiKeyFile: '/run/key', key: '***' },
  ],
  [
    { answered: 40404, after: 5 },
    { answered: '***', after: 5 },
  ],
])('of a document: %j', (document, masked) => {
  expect(maskOf(['40404']).value(document)).toEqual(masked);
});

test('settings are masked wherever they stand, those that are called like a secret also where they look harmless', () => {
  const settings = {
    SMTP_PASSWORD: 'example',
    ADMIN_PIN: '12345678',
    ADMIN_PASS: '1234',
    DB_PW: 'abc',
    SMTP_AUTH: 'true',
    LICENCE: 'abcdef',
    THEME: 'dark',
    DOMAIN: 'example.org',
  };
  const set = Object.entries(settings).map(([name, value]) => ({ name, value }));
  expect(settingsToMask(set, ['ci.example.org'])).toEqual(['example', '1234', 'abcdef']);
});

test.each([
  'a.',
  'x://',
  '"',
  'token',
  'a:"',
  'key="',
  'pw=\\"',
  'mysql -',
  'key=[',
  'key={"',
  "key=''",
  'key=|\n ',
  'key:|\n\n',
  "pw='\\",
  '-----BEGIN PRIVATE KEY-----',
])('a text of %s, again and again, is looked through before the test is out of time', (piece) => {
  const text = piece.repeat(500_000 / piece.length);
  // Far longer than that, where the time grows with the square of the length.
  expect(maskOf([]).text(text).length).toBeGreaterThan(0);
});
