import { appendFileSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { subscribe } from 'node:diagnostics_channel';
import { execFileSync } from 'node:child_process';
import { BOUNDARY_CHANNEL, type Passed } from '../../host/machine/boundary.ts';
import { killCommand } from './kill-command.ts';
import { readStrike, strikeFiles } from './strike.ts';

/**
 * Loaded into the operator's own worker (`node --import`), it listens on the boundary channel: it keeps a list
 * of every boundary that is passed, writes visitors' data while the warm app runs, and acts at the one boundary
 * it was told of. All of it at once, before the product's next line: at the boundary means at the boundary.
 */

const folder = process.env['CHAOS_FOLDER'] ?? '';
const state = process.env['CHAOS_STATE'] ?? '';
const zone = (process.env['CHAOS_ZONE'] ?? '').replaceAll('.', '_');
const VOLUMES = '/var/lib/docker/volumes';

const files = strikeFiles(folder);
let counted = { strike: '', passes: 0 };
let rows = 0;

function onPassed(message: unknown): void {
  const passed = message as Passed;
  const { boundary } = passed;
  appendFileSync(files.passed, `${JSON.stringify({ ms: Date.now(), pid: process.pid, boundary })}\n`);
  if (boundary === 'promote.after-reattach' || boundary === 'promote.after-upgrade') writeRows();
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

/** What visitors of the running warm app leave in its data: a file in each volume, and a key in redis. */
function writeRows(): void {
  const row = `row-${readFileSync(files.run, 'utf8').trim()}-${process.pid}-${++rows}`;
  for (const recipe of readdirSync(path.join(state, 'canonicals'))) {
    const attached = readdirSync(path.join(state, 'canonicals', recipe)).includes('attached.json');
    if (!attached) continue;
    const stack = `warm-${recipe}_${zone}`;
    for (const volume of readdirSync(VOLUMES).filter((name) => name.startsWith(`${stack}_`))) {
      writeFileSync(path.join(VOLUMES, volume, '_data', row), `${row}\n`);
    }
    if (recipe === 'webdis') setInRedis(`${stack}_db`, row);
  }
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
