import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  dataToDrop,
  estimate,
  estimateText,
  knownUse,
  needOf,
  shortDisks,
  wantedOn,
  type Disk,
  type Droppable,
  type KnownUse,
  type RoomQuestion,
} from '../../domain/disk.ts';

const use = (recipe: string, change: Partial<KnownUse> = {}): KnownUse => ({
  recipe,
  volumes: 30,
  images: 100,
  snapshot: 20,
  hasData: true,
  ...change,
});
const known = (...uses: KnownUse[]): Map<string, KnownUse> => new Map(uses.map((one) => [one.recipe, one]));
const swept = (...recipes: string[]) => recipes.map((recipe) => ({ recipe, beside: [] }));

describe('what is known of a canonical', () => {
  const snapshot = { bytes: 20 };
  test.each([
    ['all', { snapshot, disk: { volumes: 30, images: 100 } }, use('ghost')],
    [
      'all but its snapshot, once its data was dropped',
      { snapshot: null, disk: { volumes: 30, images: 100 } },
      use('ghost', { snapshot: 30, hasData: false }),
    ],
    [
      'the snapshot alone, of an older record',
      { snapshot, disk: null },
      use('ghost', { volumes: 20, images: null }),
    ],
    ['nothing', { snapshot: null, disk: null }, null],
  ])('is %s', (_what, record, expected) => {
    expect(knownUse({ recipe: 'ghost', ...record })).toEqual(expected);
  });
});

describe('what a run takes at once', () => {
  test.each<[string, KnownUse, KnownUse[], object]>([
    [
      'the images, data and archive of a cold test',
      use('ghost'),
      [],
      { engine: 130, state: 30, together: 160 },
    ],
    [
      'a snapshot larger than the archive',
      use('ghost', { snapshot: 80 }),
      [],
      { engine: 130, state: 80, together: 180 },
    ],
    [
      'volumes beside the snapshot where there is nothing to upgrade',
      use('ghost', { snapshot: 80, hasData: false }),
      [],
      { engine: 130, state: 80, together: 210 },
    ],
    [
      'the data of whoever is deployed beside it, whose images are there',
      use('drone'),
      [use('gitea', { volumes: 7 })],
      { engine: 137, state: 30, together: 167 },
    ],
    [
      'what is known where the images are not',
      use('ghost', { images: null }),
      [],
      { engine: 30, state: 30, together: 60 },
    ],
  ])('is %s', (_what, own, beside, expected) => {
    expect(needOf(own, beside)).toEqual(expected);
  });

  test('of a sweep is what its largest recipe takes, with a word of those of which nothing is known', () => {
    const uses = known(use('ghost'), use('n8n', { volumes: 500 }), use('gitea', { images: null }));
    const next = estimate(swept('ghost', 'n8n', 'gitea', 'immich'), uses);
    expect(next).toEqual({
      engine: 600,
      state: 500,
      together: 1100,
      largest: 'n8n',
      unknown: ['immich'],
      withoutImages: ['gitea'],
    });
    expect(estimateText(next)).toBe(
      'n8n takes most at once, about 1.1 kB by what its canonical took: images and the data of a cold test 600 B, its archive or a snapshot 500 B; nothing is known of immich; nothing is known of the images of gitea',
    );
  });

  test('is not known where no canonical is', () => {
    const next = estimate(swept('immich'), known());
    expect(next).toMatchObject({ together: 0, largest: null, unknown: ['immich'] });
    expect(estimateText(next)).toBe('nothing is known of immich');
  });
});

const both = (free: number): Disk => ({ places: ['engine', 'state'], folder: '/', size: 10_000, free });
const engine = (free: number): Disk => ({ places: ['engine'], folder: '/docker', size: 10_000, free });
const state = (free: number): Disk => ({ places: ['state'], folder: '/state', size: 10_000, free });

describe('what is wanted', () => {
  const need = { engine: 5, state: 7, together: 11 };
  test('is the headroom and what is taken there, of all where both are on one disk', () => {
    expect([both(0), engine(0), state(0)].map((disk) => wantedOn(disk, 100, need))).toEqual([111, 105, 107]);
  });

  test('is missing on the disk with less free', () => {
    expect(shortDisks([engine(105), state(106)], 100, need)).toEqual([state(106)]);
    expect(shortDisks([both(110)], 100, need)).toEqual([both(110)]);
    expect(shortDisks([], 100, need)).toEqual([]);
  });
});

describe('whose data goes', () => {
  const one = (recipe: string, bytes: number, change: Partial<Droppable> = {}): Droppable => ({
    ...use(recipe, { volumes: bytes, snapshot: bytes, images: 0 }),
    enrolled: true,
    ts: '2026-11-01T00:00:00.000Z',
    ...change,
  });
  const question = (
    disks: Disk[],
    droppable: Droppable[],
    change: Partial<RoomQuestion> = {},
  ): RoomQuestion => ({
    disks,
    headroom: 100,
    // Of which nothing is known, so that the headroom alone is wanted.
    swept: swept('new'),
    known: known(...droppable),
    droppable,
    ...change,
  });
  const goes = (asked: RoomQuestion) => {
    const { drop, reaches } = dataToDrop(asked);
    return [drop.map(({ recipe }) => recipe), reaches];
  };

  test.each<[string, Disk[], Droppable[], [string[], string]]>([
    ['none where there is room', [both(100)], [one('a', 50)], [[], 'estimate']],
    [
      'the largest first, so that the fewest lose theirs',
      [both(30)],
      [one('a', 10), one('b', 40), one('c', 20)],
      [['b'], 'estimate'],
    ],
    ['as few as are needed', [both(0)], [one('a', 10), one('b', 40), one('c', 20)], [['b', 'c'], 'estimate']],
    [
      'before any other that of recipes which no sweep has any more',
      [both(0)],
      [one('b', 40), one('gone', 10, { enrolled: false })],
      [['gone', 'b'], 'estimate'],
    ],
    [
      'of equal ones what was promoted longest ago',
      [both(90)],
      [one('a', 10), one('b', 10, { ts: '2026-10-01T00:00:00.000Z' })],
      [['b'], 'estimate'],
    ],
    ['of those by name', [both(90)], [one('b', 10), one('a', 10)], [['a'], 'estimate']],
    ['none of what has none', [both(90)], [one('a', 10, { hasData: false })], [[], 'neither']],
    ['none where all of it would not do', [both(0)], [one('a', 10), one('b', 39)], [[], 'neither']],
    [
      'what frees most on the disk that is short',
      [engine(95), state(1000)],
      [one('a', 10, { snapshot: 900 }), one('b', 20, { snapshot: 1 })],
      [['b'], 'estimate'],
    ],
    [
      'nothing that frees none of it there',
      [engine(95), state(1000)],
      [one('a', 0, { snapshot: 900 })],
      [[], 'neither'],
    ],
    ['none where no disk can be seen', [], [one('a', 10)], [[], 'estimate']],
  ])('is %s', (_rule, disks, droppable, expected) => {
    expect(goes(question(disks, droppable))).toEqual(expected);
  });

  test('is what a sweep needs beside the headroom, or else the headroom alone', () => {
    const data = [one('a', 50), one('b', 10)];
    // Its cold test takes 50 and the archive 50; once its data is gone promote takes no more.
    const asked = (free: number): RoomQuestion => question([both(free)], data, { swept: swept('a') });
    expect(goes(asked(200))).toEqual([[], 'estimate']);
    expect(goes(asked(190))).toEqual([['a'], 'estimate']);
    expect(goes(asked(85))).toEqual([['a', 'b'], 'estimate']);
    expect(goes(asked(79))).toEqual([['a'], 'headroom']);
    expect(goes(asked(0))).toEqual([['a'], 'headroom']);
    expect(goes(question([both(0)], data.slice(1), { swept: swept('a') }))).toEqual([[], 'neither']);
  });

  test('is the same whatever the order in which canonicals are listed, and never one more than would do', () => {
    const droppable = fc.uniqueArray(
      fc.record({
        recipe: fc.stringMatching(/^[a-z]{1,3}$/),
        volumes: fc.nat(50),
        snapshot: fc.nat(50),
        images: fc.option(fc.nat(50)),
        hasData: fc.boolean(),
        enrolled: fc.boolean(),
        ts: fc.constantFrom('2026-10-01T00:00:00.000Z', '2026-11-01T00:00:00.000Z'),
      }),
      { selector: ({ recipe }) => recipe, maxLength: 6 },
    );
    fc.assert(
      fc.property(
        droppable.chain((all) =>
          fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length })),
        ),
        fc.nat(300),
        fc.nat(300),
        fc.boolean(),
        ([all, shuffled], free, more, oneDisk) => {
          const disks = oneDisk ? [both(free)] : [engine(free), state(more)];
          const asked = (droppable: Droppable[]): RoomQuestion =>
            question(disks, droppable, {
              swept: swept(...all.map(({ recipe }) => recipe)),
              known: known(...all),
            });
          const plan = dataToDrop(asked(all));
          expect(dataToDrop(asked(shuffled))).toEqual(plan);
          expect(plan.drop.every(({ hasData }) => hasData)).toBe(true);
          if (plan.drop.length === 0) return;
          // Without the last of them it would not have been enough.
          const before = plan.drop.slice(0, -1);
          expect(goes(asked(before))).not.toEqual([before.map(({ recipe }) => recipe), plan.reaches]);
        },
      ),
    );
  });
});
