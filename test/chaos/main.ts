import { Command, InvalidArgumentError } from 'commander';
import { stopSignal } from '../../client/signals.ts';
import { ALL_IMAGES, SMALL_IMAGES } from '../../setup/images/catalogue.ts';
import { setUp } from '../../setup/main.ts';
import { REALM_RECIPE } from './keycloak.ts';
import { SCENARIOS, STRUCK_AT } from './scenarios.ts';
import { openCampaign, plansOf, verdictLine } from './campaign.ts';
import { FAULTS, type FaultName } from './faults.ts';
import { parsePlace } from './strike.ts';

/** `npm run chaos`: see docs/chaos.md. Exits 0 only if no run breached an invariant. */

interface Options {
  runs: number;
  seed: number;
  from: number;
  at?: ReturnType<typeof parsePlace>;
  fault?: FaultName;
  story?: string;
  keep?: string;
}

function whole(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('a whole number');
  return Number(text);
}

function place(text: string): ReturnType<typeof parsePlace> {
  try {
    return parsePlace(text);
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error));
  }
}

function faultName(text: string): FaultName {
  if (!(text in FAULTS)) throw new InvalidArgumentError(`one of ${Object.keys(FAULTS).join(', ')}`);
  return text as FaultName;
}

function story(text: string): string {
  if (SCENARIOS.some(({ name }) => name.includes(text))) return text;
  throw new InvalidArgumentError(`part of one of: ${SCENARIOS.map(({ name }) => name).join(', ')}`);
}

const program = new Command('npm run chaos --')
  .description(
    'sweeps and tests on the real swarm and server, one fault each, judged from disk, docker and git',
  )
  .option('--runs <n>', 'how many', whole, 10)
  .option('--seed <n>', 'which campaign', whole, Math.floor(Math.random() * 1_000_000))
  .option('--from <n>', "the number of the campaign's first run to play", whole, 1)
  .option('--at <boundary[#nth]>', 'strike always there', place)
  .option('--fault <name>', 'strike always so', faultName)
  .option('--story <part>', 'only stories with this in their names', story)
  .option('--keep <folder>', 'where to keep what a breach left')
  .parse();
const { runs, seed, from, at, fault, story: part, keep } = program.opts<Options>();

const plans = plansOf(seed, from, runs, {
  ...(at ? { at } : {}),
  ...(fault ? { fault } : {}),
  ...(part ? { story: part } : {}),
});
const keycloak = plans.some(({ scenario }) => scenario.recipe === REALM_RECIPE)
  ? ['keycloak', 'postgres']
  : [];
const images = [...SMALL_IMAGES, ...ALL_IMAGES.filter(({ name }) => keycloak.includes(name))];
const { temporal } = await setUp(console.log, { images, tests: true });
console.log(`seed ${seed}, runs ${from} to ${from + runs - 1}`);
const { signal: stop } = stopSignal();
stop.addEventListener('abort', () => console.log('ending after this run'));
let breached = 0;
let played = 0;
const campaign = openCampaign({ temporal, ...(keep ? { keep } : {}) });
try {
  for (const [index, plan] of plans.entries()) {
    if (stop.aborted) break;
    const verdict = await campaign.play(plan, from + index);
    played += 1;
    if (verdict.breaches.length > 0) breached += 1;
    console.log(verdictLine(verdict));
  }
} finally {
  await campaign.close();
}
const never = STRUCK_AT.filter((boundary) => !campaign.passed.has(boundary));
if (never.length > 0) console.log(`never passed: ${never.join(', ')}`);
console.log(`seed ${seed}: ${played} runs, ${breached === 0 ? 'no breach' : `${breached} with a breach`}`);
process.exit(breached === 0 ? 0 : 1);
