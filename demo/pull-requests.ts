import { setTimeout as sleep } from 'node:timers/promises';
import { recipeRunId } from '../domain/names.ts';
import { outcomeTitle } from '../domain/outcome.ts';
import type { TestMode } from '../domain/recipe-test.ts';
import type { Release } from '../domain/release.ts';
import { answers } from '../domain/test-request.ts';
import type { ForgeFixture, Person } from '../fixtures/forge.ts';
import { DURABLE_WRITES, FEWER_COMMANDS, filesOf, type Proposal } from '../fixtures/proposals.ts';
import type { Repository } from '../forge/forge.ts';
import { mirrorOnForge } from '../host/config/forge-access.ts';
import type { Config } from '../host/config/config.ts';
import { createCanonicals } from '../host/store/canonicals.ts';
import { createResults } from '../host/store/results.ts';
import { oneLine } from '../client/render/terminal.ts';
import { commentTestWorkflowId } from '../workflows/protocol.ts';
import { check, shownRelease, type Check } from './checks.ts';
import { Interrupted } from './stage.ts';

/** Strangers propose, a maintainer asks for tests, and the answers are read where they read them: on the forge. */

export interface Surroundings {
  config: Config;
  forge: ForgeFixture;
  signal: AbortSignal;
  say(line: string): void;
}

/** Which comment is written under which proposal, and what is to come of it. */
interface Request {
  proposal: Proposal;
  comment: string;
  mode: TestMode;
  expected: { outcome: 'PASS' | 'FAIL'; status: 'success' | 'failure' };
}

const REQUESTS: readonly Request[] = [
  {
    proposal: DURABLE_WRITES,
    comment: '!testme --quick',
    mode: 'quick',
    expected: { outcome: 'PASS', status: 'success' },
  },
  {
    proposal: FEWER_COMMANDS,
    comment: '!testme',
    mode: 'cold',
    expected: { outcome: 'FAIL', status: 'failure' },
  },
];

/** What was asked for, and where. */
interface Asked extends Request {
  repository: Repository;
  number: number;
  /** The head of the pull request. */
  commit: string;
  /** The comment's ID. */
  id: number;
}

/** With what stands there by now. */
interface Seen extends Asked {
  /** The text of the comment that answers; empty where there is none. */
  answer: string;
  /** Of the head; `none` where it has none. */
  status: string;
}

/** Opens the pull requests, comments, waits for the answers and shows them; answers every check. */
export async function pullRequests(surroundings: Surroundings, canonical: Release | null): Promise<Check[]> {
  const { config, forge, say } = surroundings;
  const stranger = await forge.addPerson('stranger');
  const maintainer = await forge.addPerson('maintainer');
  await forge.addTeam('maintainers', [maintainer]);
  const opened = [];
  for (const request of REQUESTS) opened.push(await open(surroundings, request, stranger));
  const asked: Asked[] = [];
  for (const one of opened) {
    const id = await forge.comment(maintainer, one.repository, one.number, one.comment);
    asked.push({ ...one, id });
  }
  for (const { proposal, comment, repository, number } of asked) {
    say(`  ${pageOf(forge, repository, number)}  ${proposal.title}`);
    say(`      ${stranger.login} opened it, ${maintainer.login} wrote ${comment}`);
  }
  say(`  to look around, log in as ${maintainer.login} with ${maintainer.password}\n`);

  const seen = await untilAnswered(surroundings, asked, maintainer);
  for (const { number, answer } of seen) {
    say(`\nthe answer under pull request ${number}:\n`);
    for (const line of shownLines(answer)) say(`  | ${line}`);
  }
  say('\nread back from the forge, and from disk:');
  const checks: Check[] = [];
  for (const one of seen) checks.push(...(await checkAnswer(config, one)));
  for (const recipe of new Set(asked.map(({ proposal }) => proposal.recipe))) {
    const record = await createCanonicals(config).read(recipe);
    checks.push(check(`canonical.json  ${recipe}`, shownRelease(canonical), shownRelease(record)));
  }
  return checks;
}

async function open(
  { config, forge }: Surroundings,
  request: Request,
  stranger: Person,
): Promise<Omit<Asked, 'id'>> {
  const { recipe, branch: name, title } = request.proposal;
  const repository = mirrorOnForge(config, recipe);
  if (repository === null) throw new Error(`the mirror of ${recipe} is not on the forge`);
  await forge.letIn(stranger, repository, 'read');
  const files = await filesOf(request.proposal, async (file) => {
    const at = `${pathOf(repository)}/contents/${file}`;
    const { content } = await forge.api<{ content: string }>(stranger, 'GET', at);
    return Buffer.from(content, 'base64').toString('utf8');
  });
  const branch = { repository, name, fork: stranger };
  const commit = await forge.push(stranger, branch, files);
  const number = await forge.openPullRequest(stranger, branch, { title });
  return { ...request, repository, number, commit };
}

const ANSWERED_MS = 15 * 60_000;
const LOOK_AGAIN_MS = 1_000;

/** Until every head has its final status, or the time is over. Tells each time that an answer says something else. */
async function untilAnswered(
  { forge, signal, say }: Surroundings,
  asked: readonly Asked[],
  reader: Person,
): Promise<Seen[]> {
  const began = Date.now();
  const told = new Map<number, string>();
  for (;;) {
    if (signal.aborted) throw new Interrupted();
    const seen = await Promise.all(asked.map((one) => look(forge, one, reader)));
    for (const { number, answer } of seen) {
      const words = headingOf(answer);
      if (words === (told.get(number) ?? '')) continue;
      told.set(number, words);
      say(`  ${String(Math.round((Date.now() - began) / 1000)).padStart(4)} s  #${number}  ${words}`);
    }
    const open = seen.some(({ status }) => status === 'none' || status === 'pending');
    if (!open || Date.now() - began > ANSWERED_MS) return seen;
    await sleep(LOOK_AGAIN_MS, undefined, { signal }).catch(() => undefined);
  }
}

async function look(forge: ForgeFixture, asked: Asked, reader: Person): Promise<Seen> {
  const { repository, number, commit, id, mode } = asked;
  const at = pathOf(repository);
  // The answer's last words are written before the status that follows from them.
  const statuses = await forge.api<{ context: string; status: string }[]>(
    reader,
    'GET',
    `${at}/commits/${commit}/statuses?sort=recentupdate`,
  );
  const comments = await forge.api<{ user: { login: string }; body: string }[]>(
    reader,
    'GET',
    `${at}/issues/${number}/comments`,
  );
  const ours = comments.filter(({ user, body }) => user.login === forge.bot.login && answers(body, id));
  return {
    ...asked,
    answer: ours.map(({ body }) => body).join('\n'),
    status: statuses.find(({ context }) => context === contextOf(mode))?.status ?? 'none',
  };
}

async function checkAnswer(
  config: Config,
  { proposal, mode, commit, number, id, expected, answer, status }: Seen,
): Promise<Check[]> {
  const run = recipeRunId(commentTestWorkflowId(config.host, proposal.recipe, id), proposal.recipe);
  const result = await createResults(config.state).read(run);
  const said = result?.test
    ? `${outcomeTitle(result.outcome)}, ${result.test.mode}, ${shownRelease(result.test.head)}`
    : 'nothing';
  const evidence = /\]\((http[^)]*)\)/.exec(answer)?.[1] ?? 'no link';
  const found = await fetch(evidence).then(
    (page) => String(page.status),
    (error: unknown) => String(error),
  );
  return [
    check(`answer          #${number}`, expected.outcome, headingOf(answer)),
    check(`status          #${number} ${contextOf(mode)}`, expected.status, status),
    check(
      `result.json     #${number}`,
      `${expected.outcome}, ${mode}, ${shownRelease({ version: proposal.version, commit })}`,
      said,
    ),
    check(`evidence        #${number} ${evidence}`, '200', found),
  ];
}

/** As a terminal shows it, without the line that no reader of the page sees. */
function shownLines(answer: string): string[] {
  const lines = answer.split('\n').filter((line) => !line.startsWith('<!--'));
  return lines.join('\n').trimEnd().split('\n').map(oneLine);
}

/** The answer's first line as readers of the page see it: it is in bold, and signs that Markdown knows have a backslash. */
function headingOf(answer: string): string {
  return oneLine(answer.split('\n', 1)[0] ?? '')
    .replaceAll('**', '')
    .replaceAll(/\\(?=[^\w\s])/g, '');
}

function contextOf(mode: TestMode): string {
  return `recipe-sweep/${mode}`;
}

function pathOf({ owner, name }: Repository): string {
  return `repos/${owner}/${name}`;
}

function pageOf({ url }: ForgeFixture, { owner, name }: Repository, number: number): string {
  return `${url}/${owner}/${name}/pulls/${number}`;
}
