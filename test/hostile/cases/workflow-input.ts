import type { HostileCase } from './hostile-case.ts';

/** What somebody types as the input of a workflow, in the UI or with the temporal command. */
export interface InputCase extends HostileCase {
  workflow: 'sweepWorkflow' | 'recipeSweepWorkflow' | 'planWorkflow' | 'ledgerWorkflow';
  input: readonly unknown[];
}

const sweep = { id: 'sweep', runId: 'r' };
const settings = { attempts: 2, tierMs: 60_000, promoteMs: 60_000, sweepMs: 60_000 };
const run = { recipe: 'thing', sweep, settings, deadlineMs: 4e12, left: null };

const acceptance = { recipe: 'thing', tag: '1.0.0+1', reason: 'looked at it', by: 'ada@ci' };

export const INPUT_CASES: readonly InputCase[] = [
  {
    name: 'input-climbs',
    hostile: 'a recipe whose name climbs out of a folder',
    workflow: 'sweepWorkflow',
    input: [{ recipes: ['../../etc'] }],
    says: 'recipes[0]: "../../etc" is not a recipe name',
  },
  {
    name: 'input-option',
    hostile: 'a recipe named like an option, and one that a shell would run',
    workflow: 'sweepWorkflow',
    input: [{ recipes: ['--help', '$(id)', '-f'] }],
    says: 'recipes[1]: "$(id)" is not a recipe name',
  },
  {
    name: 'input-escapes',
    hostile: 'a recipe whose name steers a terminal',
    workflow: 'sweepWorkflow',
    input: [{ recipes: ['\u001b[2J\u202egniht\u009b'] }],
    says: 'is not a recipe name',
  },
  {
    name: 'input-thousands',
    hostile: 'twenty thousand recipes that do not exist',
    workflow: 'sweepWorkflow',
    input: [{ recipes: Array.from({ length: 20_000 }, (_, index) => `recipe-${index}`) }],
    says: '20000 names, more than 10000',
  },
  {
    name: 'input-wrong-names',
    hostile: 'nine thousand names that are none',
    workflow: 'sweepWorkflow',
    input: [{ recipes: Array.from({ length: 9_000 }, () => '../') }],
    says: 'and 8990 more',
  },
  {
    name: 'input-not-enrolled',
    hostile: 'nine thousand well-written names of nobody',
    workflow: 'sweepWorkflow',
    input: [{ recipes: Array.from({ length: 9_000 }, (_, index) => `recipe-${index}`) }],
    says: 'and 8990 more',
  },
  {
    name: 'input-text',
    hostile: 'a text in place of the list',
    workflow: 'sweepWorkflow',
    input: [{ recipes: '../../etc' }],
    says: 'is not a list of recipe names',
  },
  {
    name: 'input-proto',
    hostile: 'keys that every object has',
    workflow: 'planWorkflow',
    input: [JSON.parse('{"__proto__": {"recipes": ["x"]}, "constructor": 1}')],
    says: 'constructor: unknown key',
  },
  {
    name: 'input-second',
    hostile: 'what only a sweep hands to its next run, typed by hand',
    workflow: 'sweepWorkflow',
    input: [
      {},
      { settings, startedMs: 0, console: { recipes: [{ recipe: '../../x' }], paused: false, skips: [] } },
    ],
    says: 'a second input',
  },
  {
    name: 'run-climbs',
    hostile: 'a run of a recipe whose name climbs out of the state folder',
    workflow: 'recipeSweepWorkflow',
    input: [{ ...run, recipe: '../../../hostile-canary' }],
    says: 'recipe: "../../../hostile-canary" is not a recipe name',
  },
  {
    name: 'run-nothing',
    hostile: 'a run of nothing',
    workflow: 'recipeSweepWorkflow',
    input: [],
    says: 'sweep.id: undefined is not an ID',
  },
  {
    name: 'run-limits',
    hostile: 'a run without end',
    workflow: 'recipeSweepWorkflow',
    input: [{ ...run, settings: { ...settings, attempts: 1e308, tierMs: -1 }, deadlineMs: 'never' }],
    says: 'settings.tierMs: -1 is not a whole number above 0',
  },
  {
    name: 'run-elsewhere',
    hostile: "a run that is not called as a sweep's, so that its files would be another's",
    workflow: 'recipeSweepWorkflow',
    input: [run],
    says: '"typed-run-elsewhere" is not the workflow ID of this run, "sweep/thing"',
  },
  {
    name: 'accept-climbs',
    hostile: 'an accepted tag of a recipe whose ledger would lie outside the state folder',
    workflow: 'ledgerWorkflow',
    input: [{ ...acceptance, recipe: '../../../hostile-canary' }],
    says: 'recipe: "../../../hostile-canary" is not a recipe name',
  },
  {
    name: 'accept-option',
    hostile: 'an accepted tag named like an option of git',
    workflow: 'ledgerWorkflow',
    input: [{ ...acceptance, tag: '--upload-pack=touch /tmp/hostile-canary' }],
    says: "is not a release's (x.y.z+app)",
  },
  {
    name: 'accept-escapes',
    hostile: 'an accepted tag that steers a terminal',
    workflow: 'ledgerWorkflow',
    input: [{ ...acceptance, tag: '1.0.0+1\u001b[2J\u202e' }],
    says: "is not a release's (x.y.z+app)",
  },
  {
    name: 'accept-no-words',
    hostile: 'an acceptance by nobody, for a reason that cannot be seen',
    workflow: 'ledgerWorkflow',
    input: [{ ...acceptance, by: '', reason: '\u200b\u202e' }],
    says: 'by: "" says nothing',
  },
  {
    name: 'accept-not-enrolled',
    hostile: "an accepted tag of a recipe that is nobody's",
    workflow: 'ledgerWorkflow',
    input: [{ ...acceptance, recipe: 'nobody' }],
    says: 'nobody is not enrolled',
  },
];
