import { afterAll, expect, inject, test } from 'vitest';
import { openCampaign, verdictLine, type Campaign, type Plan } from '../chaos/campaign.ts';
import { diceOf } from '../chaos/dice.ts';
import type { FaultName } from '../chaos/faults.ts';
import { OF_A_REALM, SCENARIOS, STRUCK_AT } from '../chaos/scenarios.ts';
import { parsePlace } from '../chaos/strike.ts';

/** The short form of `npm run chaos`: the most telling places, one system, one run after the other. */

const RUNS: [scenario: string, fault: FaultName, at: string | null, seed: number][] = [
  ['first custom-html', 'command-kill', 'command.after-start#9', 1],
  ['upgrade custom-html', 'worker-kill', 'promote.after-snapshot', 1],
  ['first custom-html', 'zombie', 'promote.before-record', 1],
  ['first custom-html', 'disk-full', 'promote.mid-snapshot', 1],
  ['first custom-html', 'terminate', 'promote.after-upgrade', 2],
  ['first custom-html', 'history-loss', 'deploy.after-stack-deploy#1', 1],
  ['first custom-html', 'worker-term', 'promote.after-record', 1],
  ['first custom-html', 'reset-sweep', null, 1],
  ['quick custom-html', 'reset-run', null, 1],
  ['cold custom-html', 'reset-open', 'cold-install.after-deploy', 1],
  ['quick notice-board', 'worker-kill', 'settle.mid-restore', 1],
  ['quick webdis', 'cancel', 'quick-lane.after-data', 1],
  ['failing notice-board', 'server-kill', 'settle.mid-restore', 1],
  ['failing front-desk', 'terminate', 'reconcile.after-put-back', 1],
];

let campaign: Campaign | undefined;

afterAll(async () => {
  await campaign?.close();
});

function planOf([name, fault, at, seed]: (typeof RUNS)[number]): Plan {
  const scenario = SCENARIOS.find((one) => one.name === name);
  if (!scenario) throw new RangeError(name);
  const place = at === null ? null : parsePlace(at);
  return {
    scenario,
    fault,
    at: place && { boundary: place.boundary, nth: place.nth ?? 1 },
    dice: diceOf(seed),
  };
}

test.each(RUNS)('%s: %s at %s', async (...run) => {
  campaign ??= openCampaign({ temporal: inject('temporal') });
  const verdict = await campaign.play(planOf(run));
  console.log(verdictLine(verdict));
  expect(verdict.breaches).toEqual([]);
});

test('all of it together passed every boundary that has a name, but those of a realm at Keycloak', () => {
  const named = STRUCK_AT.filter((boundary) => !OF_A_REALM.includes(boundary));
  expect([...(campaign?.passed ?? [])].sort()).toEqual(named.sort());
});
