import http from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { access } from 'node:fs/promises';
import { messageOf } from '../domain/fault.ts';
import { aptInstall, aptVersion } from './apt.ts';
import { isRoot, logged, machine, which, type Say } from './machine.ts';

const START_MS = 60_000;
const LOG = '/var/log/recipe-sweep-dockerd.log';
/**
 * The engine runs itself anew some three times for each container, and Go collects garbage each time: less of that
 * takes a seventh off the processor time of a deployment. https://pkg.go.dev/runtime
 */
const ENGINE_ENV = { GOGC: '400' };

/** Sees to it that a docker engine answers, and that there is a client: installs and starts them if need be. */
export async function ensureDocker(say: Say): Promise<void> {
  const socket = socketPath();
  const engine = await ask(socket);
  if (engine.ok) {
    await ensureClient(say);
    say(`docker: engine ${engine.version} answers on ${socket}`);
    return;
  }
  if (engine.code === 'EACCES') {
    throw new Error(`docker: you may not use ${socket}: sudo usermod -aG docker $USER, then log in again`);
  }
  if (!isRoot) {
    const start = (await runsSystemd()) ? 'systemctl start docker' : 'dockerd &';
    const how = (await which('dockerd')) === null ? 'apt-get install docker.io iptables iproute2' : start;
    throw new Error(`docker: no engine answers on ${socket} (${engine.code}). As root: ${how}`);
  }
  if ((await which('dockerd')) === null) {
    await aptInstall(say, ['docker.io', 'iptables', 'iproute2'], 'a docker engine');
  }
  await ensureClient(say);
  if (!(await ask(socket)).ok) await start(say, socket);
}

function socketPath(): string {
  const host = process.env['DOCKER_HOST'] || 'unix:///var/run/docker.sock';
  if (!host.startsWith('unix://')) {
    throw new Error(
      `DOCKER_HOST is ${host}: the engine must run on this machine, as unix:///path/to/docker.sock`,
    );
  }
  return host.slice('unix://'.length);
}

/** From Debian 13 on the client is a package of its own. */
async function ensureClient(say: Say): Promise<void> {
  if ((await which('docker')) !== null) return;
  const split = (await aptVersion('docker-cli')) !== null;
  await aptInstall(say, [split ? 'docker-cli' : 'docker.io'], 'the docker client');
}

function runsSystemd(): Promise<boolean> {
  return access('/run/systemd/system').then(
    () => true,
    () => false,
  );
}

async function start(say: Say, socket: string): Promise<void> {
  const systemd = await runsSystemd();
  say(`docker: starting the engine with ${systemd ? 'systemd' : `dockerd, log in ${LOG}`} (some seconds)`);
  if (systemd) {
    await logged('docker-start', { file: 'systemctl', args: ['start', 'docker'] });
  } else {
    // it outlives us: a session of its own, and no end of a pipe of ours
    const script = 'exec dockerd --host="$1" >>"$0" 2>&1 </dev/null';
    const args = ['--fork', 'sh', '-c', script, LOG, `unix://${socket}`];
    await machine.output({ file: 'setsid', args, env: ENGINE_ENV });
  }
  const deadline = Date.now() + START_MS;
  for (;;) {
    const engine = await ask(socket);
    if (engine.ok) return;
    if (Date.now() > deadline) {
      const where = systemd ? 'journalctl -u docker' : LOG;
      throw new Error(`docker: started, but no engine answers on ${socket} (${engine.code}): see ${where}`);
    }
    await sleep(500);
  }
}

type Answer = { ok: true; version: string } | { ok: false; code: string };

function ask(socketPath: string): Promise<Answer> {
  return new Promise((resolve) => {
    const request = http.get({ socketPath, path: '/version', timeout: 10_000 }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (body += chunk));
      response.on('end', () => {
        const version = /"Version":"([^"]+)"/.exec(body)?.[1];
        resolve(
          response.statusCode === 200 && version !== undefined
            ? { ok: true, version }
            : { ok: false, code: `status ${response.statusCode}` },
        );
      });
    });
    request.on('timeout', () => request.destroy(new Error('no answer in 10 s')));
    request.on('error', (error: NodeJS.ErrnoException) =>
      resolve({ ok: false, code: error.code ?? messageOf(error) }),
    );
  });
}
