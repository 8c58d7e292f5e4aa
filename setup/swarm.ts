import { messageOf } from '../domain/fault.ts';
import { machine, type Say } from './machine.ts';

const PROXY = 'proxy';

/** Makes this engine a swarm of one unless it is a swarm's manager already. Needs an engine. */
export async function ensureSwarm(say: Say): Promise<void> {
  const args = ['info', '--format', '{{.Swarm.LocalNodeState}} {{.Swarm.ControlAvailable}}'];
  const state = (await machine.output({ file: 'docker', args })).trim();
  if (state === 'active true') {
    say('swarm: active');
    return;
  }
  if (!state.startsWith('inactive')) {
    throw new Error(
      `this engine's swarm is "${state}": it must be a manager, or in no swarm at all (docker swarm leave)`,
    );
  }
  say('swarm: making this engine a swarm of one (a second)');
  await machine.output({ file: 'docker', args: ['swarm', 'init', '--advertise-addr', '127.0.0.1'] });
}

/**
 * Makes the external network that apps join, which the proxy's own recipe makes on a real host. Answers
 * whether it had to. Needs a swarm.
 */
export async function ensureProxyNetwork(say: Say): Promise<boolean> {
  if (await isThere()) {
    say(`network ${PROXY}: found`);
    return false;
  }
  say(`network ${PROXY}: creating an attachable overlay (a second)`);
  try {
    await machine.output({
      file: 'docker',
      args: ['network', 'create', '--driver', 'overlay', '--attachable', PROXY],
    });
    return true;
  } catch (error) {
    if (/already exists/.test(messageOf(error)) && (await isThere())) return false;
    throw error;
  }
}

/** Throws when something else has the name. */
async function isThere(): Promise<boolean> {
  const args = ['network', 'inspect', '--format', '{{.Driver}} {{.Attachable}}', '--', PROXY];
  const { status, stdout } = await machine.run({ file: 'docker', args });
  if (status !== 0) return false;
  if (!stdout.startsWith('overlay ')) {
    throw new Error(
      `the docker network "${PROXY}" is no overlay: docker network rm ${PROXY}, then run this again`,
    );
  }
  return true;
}
