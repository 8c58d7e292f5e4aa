import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { App, ImageSeen } from '../../domain/app.ts';
import { Fault, type FaultType } from '../../domain/fault.ts';
import { LABEL } from '../../domain/labels.ts';
import type { StackRef } from '../../domain/lifetime.ts';
import type { Deployer, Occasion, Proof } from '../../host/deploy/deployer.ts';
import type { Deploying } from '../../host/deploy/deploying.ts';
import type { WantedImage } from '../../host/deploy/images-ahead.ts';
import type { OldImages } from '../../host/deploy/old-images.ts';
import type { Stacks } from '../../host/deploy/stacks.ts';
import type { ExecResult } from '../../host/engine/exec.ts';
import { checkOurs, stacksOf, type OwnedStack, type ReconciledStack } from '../../host/engine/ownership.ts';
import { STACK_LABEL } from '../../host/engine/stack-label.ts';
import type { Volume } from '../../host/engine/volumes.ts';
import type { Labelled } from '../../host/engine/things.ts';
import { passBoundary } from '../../host/machine/boundary.ts';
import { createAppScripts } from '../../host/scripts/app-scripts.ts';
import type { AttemptBonds } from '../../host/tools.ts';
import { stillAlive } from './mortal-fs.ts';

/** How a release behaves. */
export type Quality = 'good' | 'red' | 'fails on data attached again' | 'fails its checks' | 'has no image';

export interface Tag {
  version: string;
  commit: string;
  quality: Quality;
}

export interface Stack extends OwnedStack {
  /** Of another installation, where it is not ours; null where somebody deployed it by hand. */
  zone?: string | null;
  /** What was deployed last, and how it is since. */
  version?: string | null;
  commit?: string;
  healthy?: boolean;
  secrets: Set<string>;
}

/** What keeps one of the deployer's calls from being done: a registry, a network, the engine or its disk. */
export interface Break {
  call: keyof Deployer;
  /** Before anything is done, or once half of it is. */
  when: 'before' | 'halfway';
  type: FaultType;
  /** How many calls it breaks. */
  times: number;
}

/** An engine in memory, with volumes as folders, and what its apps do there. */
export interface FakeEngine {
  /** That of our own installation. */
  zone: string;
  stacks: Map<string, Stack>;
  /** Stacks that cannot be removed. */
  stuck: Set<string>;
  /** What the deployer's next calls break of. */
  breaks: Break[];
  /** The labels of a recipe's one service, where it has others than that it is backed up. */
  labels: Map<string, Record<string, string>>;
  /** The volumes, as compose names them, that a recipe keeps elsewhere than on this host. */
  elsewhere: Map<string, string[]>;
  /** What was said of images that may go, in order. */
  imagesKept: Parameters<OldImages['removeOldImages']>[0][];
  /** What was asked for ahead of its deployment, in order. */
  pulledAhead: WantedImage[];
  /** Whatever was deployed, in order. */
  deployed: (Pick<App, 'stack' | 'version' | 'env'> & { occasion: Occasion; proof: Proof })[];
  /** In what every stack that runs is another than what would be deployed. */
  differences: string[];
  /** Services that run beside the one that every release has. */
  older: string[];
  /** What of every app is in flight; null when nothing is. */
  restless: string | null;
  /** No container of the app runs, and none has to: it is a job. */
  idle: boolean;
  /** How often an app was up, so that each time it has a row more. */
  visitors: number;
  /** Stacks of which a task was started while something was asked. */
  restarted: Set<string>;
  /** How often the container of an app went. */
  crashes: number;
  /** Whether anything says how an app is asked if it serves. */
  asked: boolean;
  /** What every app does when it starts, and when it is stopped. */
  started: () => void;
  stopped: () => void;
  /** What every app does when it is taken to another release while it runs. */
  upgraded: () => void;
  /** What commands in containers do, by their text; others do nothing. */
  commands: Map<string, (stack: string) => ExecResult>;
  volume(name: string): string;
  /** The names of a stack's volumes. */
  volumesOf(stack: string): string[];
  /** The release that a commit is. */
  tagOf(recipe: string, commit: string): Tag;
}

/** What deploys on the machine without an engine, and looks after its stacks; hooks and checks are real processes. */
export function fakeDeploying(engine: FakeEngine, bonds: AttemptBonds): Deploying {
  const change = async (): Promise<void> => {
    await stillAlive();
    await bonds.guard();
    await stillAlive();
  };
  const guarded = checking(engine, bonds.reconciled ?? null);
  const stacks = fakeStacks(engine, guarded, change);
  const evidence: Deploying['evidence'] = {
    async fit(_stack, text) {
      return text;
    },
    async keepEvidence() {
      await stillAlive();
    },
  };
  const { environment } = stacks;
  const watchEngine = async () => ({ check: async () => undefined, close: () => undefined });
  const scripts = createAppScripts({ ...bonds, environment, watchEngine, fit: evidence.fit });
  return { deployer: fakeDeployer(engine, guarded, change), stacks, evidence, scripts };
}

/** A stack as its labels tell of it. */
function thing({ stack, recipe, lifetime, running, zone }: Stack, ours: string): Labelled {
  const labels = {
    [STACK_LABEL]: stack,
    ...(zone === null ? {} : { [LABEL.zone]: zone ?? ours }),
    [LABEL.recipe]: recipe,
    ...(lifetime === null ? {} : { [LABEL.lifetime]: lifetime }),
  };
  return { kind: running ? 'service' : 'volume', id: stack, name: stack, labels };
}

type Check = (ref: StackRef) => void;

/** Refuses what the engine's own guard does. */
function checking({ stacks, zone }: FakeEngine, reconciled: ReconciledStack | null): Check {
  return (ref) => {
    const found = stacks.get(ref.stack);
    checkOurs(found === undefined ? [] : [thing(found, zone)], zone, ref, reconciled);
  };
}

function breakAt({ breaks }: FakeEngine, call: Break['call'], when: Break['when']): void {
  const found = breaks.find((one) => one.call === call && one.when === when && one.times > 0);
  if (found === undefined) return;
  found.times -= 1;
  throw new Fault(found.type, `no ${found.type} for ${call}, ${when}`);
}

function fakeDeployer(engine: FakeEngine, check: Check, change: () => Promise<void>): Deployer {
  const { stacks, volume, volumesOf } = engine;

  const refuseStuck = ({ stack }: StackRef): void => {
    if (engine.stuck.has(stack)) throw new Fault('Daemon', `${stack} did not stop`);
  };

  const stop = async (ref: StackRef): Promise<void> => {
    const { stack } = ref;
    check(ref);
    await change();
    const found = stacks.get(stack);
    breakAt(engine, 'undeploy', 'before');
    if (found?.running) engine.stopped();
    breakAt(engine, 'undeploy', 'halfway');
    if (found) found.running = false;
    if (found?.lifetime === 'cold' && volumesOf(stack).length === 0) stacks.delete(stack);
    passBoundary('stop.after-networks');
  };

  return {
    async makeReady(app) {
      check(app);
      await stillAlive();
      breakAt(engine, 'makeReady', 'before');
      const { quality } = engine.tagOf(app.recipe, app.commit);
      return quality === 'has no image'
        ? { ok: false, reason: `${app.version} has no image`, evidence: app.evidence }
        : { ok: true };
    },

    async deploy(app, occasion = 'deploy', proof = 'lasts') {
      check(app);
      const { quality } = engine.tagOf(app.recipe, app.commit);
      const attachedAgain = volumesOf(app.stack).length > 0;
      await change();
      breakAt(engine, 'deploy', 'before');
      const stack = stacks.get(app.stack) ?? {
        stack: app.stack,
        recipe: app.recipe,
        lifetime: app.lifetime,
        running: false,
        secrets: new Set<string>(),
      };
      stacks.set(app.stack, stack);
      stack.secrets.add(`${app.stack}_password_v1`);
      passBoundary('deploy.after-secrets');
      await change();
      engine.deployed.push({ stack: app.stack, version: app.version, env: app.env, occasion, proof });
      for (const name of ['data', 'files', ...(engine.elsewhere.get(app.recipe) ?? [])])
        mkdirSync(volume(`${app.stack}_${name}`), { recursive: true });
      if (stack.running) engine.upgraded();
      else engine.started();
      stack.running = true;
      // What somebody deployed by hand has our labels from then on.
      if (stack.zone === null) delete stack.zone;
      stack.lifetime = app.lifetime;
      Object.assign(stack, { version: app.version, commit: app.commit, healthy: false });
      passBoundary('deploy.after-stack-deploy');
      await stillAlive();
      breakAt(engine, 'deploy', 'halfway');
      const isAttached = attachedAgain && app.lifetime !== 'cold';
      const failsOnIt = quality === 'fails on data attached again' && isAttached;
      if (failsOnIt) {
        // and it has migrated the data before it failed
        for (const name of volumesOf(app.stack)) {
          for (const row of readdirSync(volume(name))) rmSync(path.join(volume(name), row));
          writeFileSync(path.join(volume(name), 'migrated'), app.commit);
        }
        stack.secrets.add(`${app.stack}_migrated_v1`);
      }
      if (quality === 'red' || failsOnIt)
        return { ok: false, reason: `${app.version} is ${quality}`, evidence: app.evidence };
      engine.visitors += 1;
      for (const name of volumesOf(app.stack)) {
        writeFileSync(path.join(volume(name), `row-${engine.visitors}`), String(engine.visitors));
      }
      stack.healthy = true;
      passBoundary('deploy.after-converge');
      return { ok: true, images: imagesOf(app.commit), asked: engine.asked };
    },

    async undeploy(ref) {
      refuseStuck(ref);
      await stop(ref);
    },

    async remove(ref) {
      const { stack } = ref;
      check(ref);
      refuseStuck(ref);
      breakAt(engine, 'remove', 'before');
      await stop(ref);
      await change();
      for (const name of volumesOf(stack)) {
        rmSync(volume(name), { recursive: true });
        breakAt(engine, 'remove', 'halfway');
      }
      stacks.get(stack)?.secrets.clear();
      stacks.delete(stack);
      passBoundary('remove.after-volumes');
    },
  };
}

const imagesOf = (commit: string): Record<string, ImageSeen> => ({
  app: { image: commit, digest: `sha256:${commit}` },
});

function fakeStacks(engine: FakeEngine, check: Check, change: () => Promise<void>): Stacks {
  const { stacks, volume, volumesOf } = engine;

  return {
    async owned() {
      await stillAlive();
      const things = [...stacks.values()].map((one) => thing(one, engine.zone));
      return stacksOf(things.filter(({ labels }) => labels[LABEL.zone] === engine.zone));
    },

    async volumes(stack) {
      await stillAlive();
      const elsewhere = engine.elsewhere.get(stacks.get(stack)?.recipe ?? '') ?? [];
      return volumesOf(stack).map((name): Volume => {
        const away = elsewhere.includes(name.slice(stack.length + 1));
        return { name, mountpoint: volume(name), ...(away ? { elsewhere: true } : {}) };
      });
    },

    async keptElsewhere({ recipe }) {
      return engine.elsewhere.get(recipe) ?? [];
    },

    imageBytes: async (digests) => 1_000 * digests.size,

    async secrets(stack) {
      await stillAlive();
      return [...(stacks.get(stack)?.secrets ?? [])].sort();
    },

    async trim(ref, keep) {
      const { stack } = ref;
      check(ref);
      await change();
      for (const name of volumesOf(stack)) {
        if (!keep.volumes.includes(name)) rmSync(volume(name), { recursive: true });
      }
      const found = stacks.get(stack);
      for (const secret of found?.secrets ?? []) {
        if (!keep.secrets.includes(secret)) found?.secrets.delete(secret);
      }
    },

    async ensureVolume(ref, _recipe, name) {
      check(ref);
      await change();
      mkdirSync(volume(name), { recursive: true });
      return { name, mountpoint: volume(name) };
    },

    async services({ stack, recipe }) {
      await stillAlive();
      const labels = engine.labels.get(recipe) ?? { 'backupbot.backup': 'true' };
      const mounts = volumesOf(stack).map((name) => ({
        volume: name,
        target: `/${name.slice(stack.length + 1)}`,
      }));
      return { ofRelease: [{ name: 'app', labels, mounts }], older: engine.older };
    },

    async deployed(stack) {
      await stillAlive();
      const found = stacks.get(stack);
      if (!found?.running) return null;
      return {
        version: found.version ?? null,
        images: imagesOf(found.commit ?? ''),
        volumes: volumesOf(stack),
      };
    },

    differences: async () => engine.differences,

    async serves({ stack }) {
      await stillAlive();
      return stacks.get(stack)?.healthy ? { ok: true } : { ok: false, reason: 'it does not answer' };
    },

    async atRest() {
      await stillAlive();
      return engine.restless === null
        ? { ok: true, tasks: { app: engine.idle ? '' : `task ${engine.crashes}` } }
        : { ok: false, reason: engine.restless };
    },

    async goneTasks(_stack, tasks) {
      await stillAlive();
      return tasks['app'] === `task ${engine.crashes}` ? [] : ['app'];
    },

    async exec(stack, _service, command) {
      await change();
      return engine.commands.get(command)?.(stack) ?? { status: 0, output: '' };
    },

    async environment(app) {
      return { STACK_NAME: app.stack, ...app.secrets };
    },

    origin: async () => null,

    async startedSince(stack) {
      await stillAlive();
      return engine.restarted.has(stack) ? ['app'] : [];
    },

    async pullAhead(wanted) {
      await change();
      engine.pulledAhead.push(...wanted);
      return [];
    },

    async removeOldImages(keep) {
      engine.imagesKept.push(keep);
      return [];
    },
  };
}
