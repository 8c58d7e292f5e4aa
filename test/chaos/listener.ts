import { appendFileSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { subscribe } from 'node:diagnostics_channel';
import { execFileSync } from 'node:child_process';
import { BOUNDARY_CHANNEL, type Boundary, type Passed } from '../../host/machine/boundary.ts';
import { killCommand } from './kill-command.ts';
import { readJson, readStrike, strikeFiles } from './strike.ts';

/**
 * Loaded into the operator's own worker (`node --import`), it listens on the boundary channel: it keeps a list
 * of every boundary that is passed, writes visitors' data while the warm app runs, and acts at the one boundary
 * it was told of. All of it at once, before the product's next line: at the boundary means at the boundary.
 */

const folder = process.env['CHAOS_FOLDER'] ?? '';
const state = process.env['CHAOS_STATE'] ?? '';
const zone = (process.env['CHAOS_ZONE'] ?? '').replaceAll('.', '_');
const VOLUMES = '/var/lib/docker/volumes';

/** By whom the warm data has what is written there; elsewhere than in a quick lane an upgrade is a cold test's. */
const WRITTEN_AT: Partial<Record<Boundary, 'row' | 'trial'>> = {
  'promote.after-reattach': 'row',
  'promote.after-upgrade': 'row',
  'quick-lane.after-reattach': 'trial',
  'upgrade.after-deploy': 'trial',
};

/** The campaign's live service, and where it may be visited. */
const SERVICE = 'front-desk';
const SERVED_AT: readonly Boundary[] = [
  'reconcile.after-deploy',
  'reconcile.after-commit',
  'reconcile.after-end',
];

const files = strikeFiles(folder);
let counted = { strike: '', passes: 0 };
let rows = 0;

function onPassed(message: unknown): void {
  const passed = message as Passed;
  const { boundary } = passed;
  const found = boundary.endsWith('.after-reattach') ? { trials: trialsInWarmData() } : {};
  appendFileSync(
    files.passed,
    `${JSON.stringify({ ms: Date.now(), pid: process.pid, boundary, ...found })}\n`,
  );
  const kind = WRITTEN_AT[boundary];
  if (kind !== undefined) writeRows(kind);
  if (SERVED_AT.includes(boundary)) visitService();
  const strike = readStrike(files.armed);
  if (strike?.boundary !== boundary) return;
  if (counted.strike !== strike.id) counted = { strike: strike.id, passes: 0 };
  counted.passes += 1;
  if (counted.passes < strike.nth) return;
  try {
    renameSync(files.armed, files.struck);
  } catch {
    return; // another worker was first
  }
  writeFileSync(files.report, JSON.stringify({ id: strike.id, pid: process.pid }));
  if (strike.action === 'kill-command') killCommand(passed);
  else process.kill(process.pid, strike.action === 'kill' ? 'SIGKILL' : 'SIGSTOP');
}

/**
 * What visitors of the running warm app leave in its data: a file in each volume, and a key in redis. What they leave
 * while a test has it, a trial, is to be gone afterwards.
 */
function writeRows(kind: 'row' | 'trial'): void {
  const row = `${kind}-${readFileSync(files.run, 'utf8').trim()}-${process.pid}-${++rows}`;
  for (const { recipe, stack, volumes } of attached()) {
    for (const volume of volumes) writeFileSync(path.join(volume, row), `${row}\n`);
    if (recipe === 'webdis') setInRedis(`${stack}_db`, row);
  }
}

/**
 * What visitors of the live service leave in each of its volumes: a row while it is at its last-good release and nothing
 * of it is to be undone, else a visit, whose name says which release was visited.
 */
function visitService(): void {
  const stack = `warm-${SERVICE}_${zone}`;
  const running = versionOfService(`${stack}_app`, `coop-cloud.${stack}.version`);
  if (running === null) return;
  const records = path.join(state, 'services', SERVICE);
  const good = readJson<{ version: string }>(path.join(records, 'last-good.json'))?.version;
  const underway = readJson<{ to: { version: string } }>(path.join(records, 'underway.json'));
  const isSettled = running === good && (underway === null || underway.to.version === good);
  const name = `${readFileSync(files.run, 'utf8').trim()}-${process.pid}-${++rows}`;
  const row = isSettled ? `row-${name}` : `visit-${name}-of-${running}`;
  for (const volume of readdirSync(VOLUMES).filter((one) => one.startsWith(`${stack}_`)))
    writeFileSync(path.join(VOLUMES, volume, '_data', row), `${row}\n`);
}

/** Null where there is none. */
function versionOfService(service: string, label: string): string | null {
  const format = `{{index .Spec.Labels "${label}"}}`;
  try {
    return execFileSync('docker', ['service', 'inspect', '--format', format, service], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return null;
  }
}

/** Where data was attached again: what a test left in it. */
function trialsInWarmData(): string[] {
  return attached().flatMap(({ volumes }) =>
    volumes.flatMap((volume) => readdirSync(volume).filter((name) => name.startsWith('trial-'))),
  );
}

function attached(): { recipe: string; stack: string; volumes: string[] }[] {
  const canonicals = path.join(state, 'canonicals');
  const recipes = readdirSync(canonicals).filter((recipe) =>
    readdirSync(path.join(canonicals, recipe)).includes('attached.json'),
  );
  return recipes.map((recipe) => {
    const stack = `warm-${recipe}_${zone}`;
    const names = readdirSync(VOLUMES).filter((name) => name.startsWith(`${stack}_`));
    return { recipe, stack, volumes: names.map((name) => path.join(VOLUMES, name, '_data')) };
  });
}

function setInRedis(service: string, key: string): void {
  const docker = (...args: string[]): string => execFileSync('docker', args, { encoding: 'utf8' });
  const filter = `label=com.docker.swarm.service.name=${service}`;
  const container = docker('ps', '--quiet', '--filter', filter).split('\n')[0];
  if (!container) return;
  const script = `REDISCLI_AUTH=$(cat /run/secrets/redis_password) redis-cli set ${key} kept`;
  docker('exec', container, 'sh', '-c', script);
}

subscribe(BOUNDARY_CHANNEL, onPassed);
