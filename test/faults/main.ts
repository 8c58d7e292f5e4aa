import { Command, InvalidArgumentError } from 'commander';
import { stopSignal } from '../../client/signals.ts';
import { setUp } from '../../setup/main.ts';
import { CATALOGUE } from './catalogue.ts';
import type { Entry } from './entry.ts';
import type { Verdict } from './judge.ts';
import { summary, verdictLine } from './report.ts';
import { openStage } from './stage.ts';

/** `npm run faults [-- name…]`: see docs/faults.md. Exits 0 only if every entry that was asked for is right. */

function entryNamed(name: string, before: readonly Entry[] = []): Entry[] {
  const entry = CATALOGUE.find((one) => one.name === name);
  if (!entry) throw new InvalidArgumentError(`one of ${CATALOGUE.map((one) => one.name).join(', ')}`);
  return [...before, entry];
}

const program = new Command('npm run faults --')
  .description(
    'sweeps recipes with a planted fault, or a harmless oddity, and holds each verdict against the right one',
  )
  .argument('[names...]', 'only these entries', entryNamed, [])
  .parse();
const [named] = program.processedArgs as [Entry[]];
const entries = named.length > 0 ? named : CATALOGUE;

const { temporal } = await setUp(console.log, { images: [], tests: true });
const { signal: stop } = stopSignal();
stop.addEventListener('abort', () => console.log('ending after this entry'));
const verdicts: Verdict[] = [];
const stage = await openStage(temporal);
try {
  for (const entry of entries) {
    if (stop.aborted) break;
    const verdict = await stage.play(entry);
    verdicts.push(verdict);
    console.log(verdictLine(verdict));
  }
} finally {
  await stage.close();
}
console.log(summary(verdicts, entries.length));
const good = verdicts.length === entries.length && verdicts.every(({ mark }) => mark === 'right');
process.exit(good ? 0 : 1);
