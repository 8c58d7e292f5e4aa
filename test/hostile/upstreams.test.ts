import { createServer, type RequestListener } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { stringify } from 'yaml';
import type { Release } from '../../domain/release.ts';
import { parseVersion } from '../../domain/version.ts';
import { CANARY, filledIn } from './cases/hostile-case.ts';
import { RELEASE } from './cases/recipe-files.ts';
import { REF_CASES } from './cases/refs.ts';
import { SERVER_CASES } from './cases/git-servers.ts';
import { URL_CASES } from './cases/upstream-urls.ts';
import { writeRefCase } from './hostile-repository.ts';
import { stepsIn, type Steps } from './steps.ts';
import { expectClear, makeSurroundings, type Surroundings } from './surroundings.ts';

/** Hostile repositories, servers and URLs, given to the worker's own steps mirror-sync and resolve. */

const RECIPE = 'thing';

let around: Surroundings;
let steps: Steps;

beforeEach(async () => {
  around = await makeSurroundings();
  steps = stepsIn(around);
});

afterEach(() => around.remove());

async function enrol(upstream: string): Promise<void> {
  await mkdir(path.join(steps.recipes, RECIPE), { recursive: true });
  await writeFile(path.join(steps.recipes, RECIPE, 'recipe.yml'), stringify({ upstream }));
}

async function releasesAfterSync(): Promise<Release[]> {
  return (await steps.run((all) => all.mirrorSync, { recipe: RECIPE, run: null })).releases;
}

async function messageOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'it was not refused',
    (error: unknown) => (error as Error).message,
  );
}

test.each(REF_CASES)('$name: $hostile', async (hostile) => {
  const repo = await around.upstream(RECIPE);
  const commit = await writeRefCase(around.commands, repo, hostile, around);
  await enrol(repo.folder);
  if (hostile.says === null) {
    expect(await releasesAfterSync()).toEqual([{ version: RELEASE, commit }]);
  } else {
    const message = await messageOf(checkedOut());
    expectClear(message, hostile.says);
  }
  await around.expectUntouched();
});

test('tags that move, with names that are commands, options and tricks: told in a few plain lines, and no release is held up', async () => {
  const repo = await around.upstream(RECIPE);
  const names = REF_CASES.flatMap(({ refs = [], says }) => (says === null ? refs : []))
    .map(({ name }) => filledIn(name, around))
    .filter((name) => name.startsWith('refs/tags/') && parseVersion(name.slice('refs/tags/'.length)) === null)
    // Where a mirror has this one already, git does not know which main is meant, and refuses the push.
    .filter((name) => name !== 'refs/tags/refs/heads/main');
  const pointAt = async (commit: string): Promise<void> => {
    for (const name of names) await repo.git('update-ref', name, commit);
  };
  const first = await repo.commit({ 'compose.yml': 'services: {}\n' });
  await repo.git('tag', RELEASE);
  await pointAt(first);
  await enrol(repo.folder);
  await releasesAfterSync();
  await pointAt(await repo.commit({ 'compose.yml': 'services: { }\n' }));
  const { notes } = await steps.run((all) => all.mirrorSync, { recipe: RECIPE, run: null });
  expect(names.length).toBeGreaterThan(6);
  expect(notes).toHaveLength(6);
  for (const note of notes) expectClear(note, 'moved');
  expect(await releasesAfterSync()).toEqual([{ version: RELEASE, commit: first }]);
  await around.expectUntouched();
});

/** As far as a hostile tree comes: the checkout of its release. */
async function checkedOut(): Promise<void> {
  const [release] = await releasesAfterSync();
  await steps.mirrors.checkout(RECIPE, release?.commit ?? '', path.join(around.state, 'checkout'));
}

test.each(URL_CASES)('$name: $hostile', async ({ url, says }) => {
  await makeHostileRepository();
  await enrol(filledIn(url, around));
  if (says === null) expect(await releasesAfterSync()).toHaveLength(1);
  else {
    const message = await messageOf(releasesAfterSync());
    expectClear(message, says);
    // A URL may hold a password: what is refused as such is not quoted.
    if (says !== 'reading upstream') expect(message).not.toContain(filledIn(url, around));
  }
  await around.expectUntouched();
});

/** A repository on this host whose configuration and hooks would run commands. */
async function makeHostileRepository(): Promise<void> {
  const repo = await around.upstream('hostile-repository');
  await repo.commit({ 'compose.yml': 'services: {}\n' });
  await repo.git('tag', RELEASE);
  const command = filledIn(`touch ${CANARY}`, around);
  const settings = {
    'core.fsmonitor': command,
    'core.sshCommand': command,
    'core.pager': command,
    'core.editor': command,
    'uploadpack.packObjectsHook': command,
    'credential.helper': `!${command}`,
    'core.hooksPath': repo.folder,
    'core.alternateRefsCommand': command,
    'gc.auto': '1',
  };
  for (const [key, value] of Object.entries(settings)) await repo.git('config', key, value);
  for (const hook of ['post-checkout', 'pre-push', 'post-update', 'reference-transaction', 'pre-receive']) {
    await writeFile(path.join(repo.folder, hook), `#!/bin/sh\n${command}\n`);
    await chmod(path.join(repo.folder, hook), 0o755);
  }
}

test.each(SERVER_CASES)('$name: $hostile', async ({ answer, says, credentials }) => {
  const asked: string[] = [];
  const elsewhere = await serve((request, response) => {
    asked.push(request.headers.authorization ?? '');
    response.writeHead(401, { 'www-authenticate': 'Basic realm="elsewhere"' }).end();
  });
  const server = await serve(answer(elsewhere.origin));
  try {
    const begin = credentials ? 'http://bot:hunter2-token@' : 'http://';
    await enrol(`${server.origin.replace('http://', begin)}/thing.git`);
    const message = await messageOf(releasesAfterSync());
    expectClear(message, says ?? '');
    expect(message).not.toContain('hunter2-token');
    expect(asked.join()).not.toContain(Buffer.from('bot:hunter2-token').toString('base64'));
  } finally {
    server.close();
    elsewhere.close();
  }
  await around.expectUntouched();
});

async function serve(answer: RequestListener): Promise<{ origin: string; close(): void }> {
  const server = createServer(answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    origin: `http://127.0.0.1:${port}`,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
