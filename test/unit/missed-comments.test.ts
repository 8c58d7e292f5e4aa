import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Fault } from '../../domain/fault.ts';
import { createSeenComments, type SeenComments } from '../../host/store/seen-comments.ts';
import { createDeliveries } from '../../serve/deliveries.ts';
import { keepLooking, lookForMissed, MOST_COMMENTS } from '../../serve/missed.ts';
import type { Mirror } from '../../serve/requests.ts';
import { fakeForge, OURS, type FakeForge } from './fake-forge.ts';

/** Comments that no delivery told of. */

const GHOST = { owner: 'mirrors', name: 'ghost' };
const NOW = new Date('2026-11-29T12:00:00Z');
const at = (minutes: number): Date => new Date(NOW.getTime() + minutes * 60_000);

let state: string;
let forge: FakeForge;
let seen: SeenComments;
let mirrors: Mirror[];
let considered: number[];
/** What is thrown for a comment. */
let trouble: Map<number, Error>;
let lines: string[];

beforeEach(async () => {
  state = await mkdtemp(path.join(os.tmpdir(), 'missed-'));
  forge = fakeForge();
  seen = createSeenComments(state);
  mirrors = [
    { recipe: 'ghost', repository: GHOST },
    { recipe: 'gitea', repository: OURS },
  ];
  [considered, lines, trouble] = [[], [], new Map()];
});
afterEach(() => rm(state, { recursive: true }));

const note = (_about: object, message: string): void => void lines.push(message);
const log = { debug: note, info: note, warn: note, error: note };

function look(now = NOW): Promise<'done' | 'again soon'> {
  return lookForMissed({
    forge,
    mirrors: async () => mirrors,
    seen,
    consider: async ({ comment }) => {
      considered.push(comment);
      const error = trouble.get(comment);
      if (error) throw error;
      return { became: 'nothing', why: 'a test' };
    },
    now,
    log,
  });
}

const write = (minutes: number, body = '!testme', where = OURS): number =>
  forge.write(where, 7, 'anna', body, at(minutes));

describe('a look', () => {
  test('finds those of the last day at first, as they were written, and those that ask alone', async () => {
    write(-24 * 60 - 1);
    const first = write(-24 * 60 + 1);
    write(-30, 'looks good');
    const second = write(-20, '!testme --quick');
    expect(await look()).toBe('done');
    expect(considered).toEqual([first, second]);
  });

  test('finds each once, however often it looks', async () => {
    const first = write(-10);
    await look();
    await look();
    const later = write(30);
    await look(at(60));
    await look(at(120));
    expect(considered).toEqual([first, later]);
  });

  test('finds all that came while nobody looked, however long that was', async () => {
    write(-10);
    await look();
    const [one, two] = [write(60), write(60 * 24 * 20)];
    considered = [];
    await look(at(60 * 24 * 30));
    expect(considered).toEqual([one, two]);
  });

  test('finds one that the forge told of late, and not those beside it again', async () => {
    const first = write(-10);
    await look();
    const late = forge.write(OURS, 7, 'anna', '!testme', new Date(at(-10).getTime() - 30_000));
    const same = write(-10);
    await look();
    expect(considered).toEqual([first, late, same].filter((id) => considered.includes(id)));
    expect(considered).toHaveLength(3);
  });

  test('remembers across processes', async () => {
    write(-10);
    await look();
    seen = createSeenComments(state);
    considered = [];
    await look(at(60));
    expect(considered).toEqual([]);
    expect(JSON.parse(await readFile(path.join(state, 'serve', 'seen.json'), 'utf8'))).toMatchObject({
      schema: 1,
      recipes: { gitea: { until: at(-10).toISOString() }, ghost: {} },
    });
  });

  test('takes the newest of a flood, and says so', async () => {
    const all = Array.from({ length: MOST_COMMENTS + 5 }, (_, place) => write(-60 + place / 10));
    await look();
    expect(considered).toEqual(all.slice(5));
    expect(lines).toEqual(['only the newest comments are looked at']);
    await look();
    expect(considered).toHaveLength(MOST_COMMENTS);
  });

  test('comes back to those that a passing trouble kept it from', async () => {
    const [one, two, three] = [write(-30), write(-20), write(-10)];
    trouble.set(two, new Fault('Network', 'the Temporal server is away'));
    expect(await look()).toBe('again soon');
    expect(considered).toEqual([one, two]);
    trouble.clear();
    expect(await look()).toBe('done');
    expect(considered).toEqual([one, two, one, two, three]);
  });

  test('comes back where too many wait', async () => {
    write(-10);
    const full = await lookForMissed({
      forge,
      mirrors: async () => mirrors,
      seen,
      consider: () => null,
      now: NOW,
      log,
    });
    expect(full).toBe('again soon');
    await look();
    expect(considered).toHaveLength(1);
  });

  test('asks one question of a forge that is away', async () => {
    forge.trouble = new Fault('Forge', 'away');
    expect(await look()).toBe('again soon');
    expect(forge.asked).toEqual(['login']);
  });

  test('goes on with the others where a repository lets nobody in', async () => {
    const [ghost, gitea] = [write(-20, '!testme', GHOST), write(-10)];
    trouble.set(ghost, new Fault('BadConfig', 'the forge does not let the token do this'));
    expect(await look()).toBe('done');
    expect(considered).toEqual([ghost, gitea]);
    trouble.clear();
    await look();
    expect(considered).toEqual([ghost, gitea, ghost]);
  });

  test('looks at later comments of a repository where one of them cannot be looked at, and at that one again', async () => {
    const [first, second] = [write(-20), write(-10)];
    trouble.set(first, new Fault('BadConfig', 'a team that nobody sees'));
    await look();
    expect(considered).toEqual([first, second]);
    trouble.clear();
    await look();
    expect(considered).toEqual([first, second, first, second]);
  });

  test('does nothing where its own record cannot be read, and says so', async () => {
    write(-10);
    await look();
    await writeFile(path.join(state, 'serve', 'seen.json'), '{');
    expect(await look()).toBe('done');
    expect(considered).toHaveLength(1);
    expect(lines.at(-1)).toBe('missed comments were not looked for');
  });
});

describe('looking', () => {
  const pace = { everyMs: 300, soonMs: 30 };

  async function during(
    ms: number,
    answers: ('done' | 'again soon')[],
    meanwhile: (left: () => void) => void = () => undefined,
  ): Promise<number> {
    let looks = 0;
    const stop = new AbortController();
    const { left, ended } = keepLooking(
      async () => {
        looks += 1;
        return answers.shift() ?? 'done';
      },
      pace,
      stop.signal,
    );
    meanwhile(left);
    await new Promise((resolve) => setTimeout(resolve, ms));
    stop.abort();
    await ended;
    return looks;
  }

  test('begins at once, and is done again every so often', async () => {
    expect(await during(20, [])).toBe(1);
    expect(await during(450, [])).toBe(2);
  });

  test('is done again soon where something passes', async () => {
    expect(await during(200, ['again soon', 'again soon'])).toBe(3);
  });

  test('is done again soon once a comment was left, also while it looks', async () => {
    expect(await during(200, [], (left) => left())).toBe(2);
    expect(await during(200, [], (left) => void setTimeout(left, 50))).toBe(2);
  });
});

test('a comment that was left by a delivery is found once the server is back', async () => {
  const comment = write(0);
  let isAway = true;
  let found: number[] = [];
  const stop = new AbortController();
  let left = (): void => undefined;
  const deliveries = createDeliveries({
    most: 10,
    async consider(hint) {
      if (isAway) throw new Fault('Network', 'the Temporal server is away');
      found = [...found, hint.comment];
      return { became: 'a test', recipe: 'gitea', test: 'x' };
    },
    onLeft: () => left(),
    log,
  });
  const looking = keepLooking(
    () =>
      lookForMissed({
        forge,
        mirrors: async () => mirrors,
        seen,
        consider: deliveries.take,
        now: NOW,
        log,
      }),
    { everyMs: 60_000, soonMs: 20 },
    stop.signal,
  );
  ({ left } = looking);
  await expect(deliveries.take({ repository: OURS, comment })).rejects.toThrow('away');
  await vi.waitFor(() => expect(lines).toContain('missed comments were not looked for'));
  isAway = false;
  await vi.waitFor(() => expect(found).toEqual([comment]));
  stop.abort();
  await looking.ended;
});
