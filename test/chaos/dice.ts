/** Chance that can be repeated: the same seed always throws the same numbers. */
export interface Dice {
  /** A whole number from 1 to `sides`. */
  upTo(sides: number): number;
  /** One of them. Throws RangeError when there is none. */
  pick<T>(choices: readonly T[]): T;
  /** All of them, in another order. */
  shuffle<T>(items: readonly T[]): T[];
}

/** mulberry32, Tommy Ettinger's generator with 32 bits of state. */
export function diceOf(seed: number): Dice {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const upTo = (sides: number): number => 1 + Math.floor(next() * sides);
  return {
    upTo,
    pick(choices) {
      const chosen = choices[upTo(choices.length) - 1];
      if (chosen === undefined) throw new RangeError('nothing to pick from');
      return chosen;
    },
    shuffle(items) {
      return items
        .map((item) => ({ item, key: next() }))
        .sort((a, b) => a.key - b.key)
        .map(({ item }) => item);
    },
  };
}
