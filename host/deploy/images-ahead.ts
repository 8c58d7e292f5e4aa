import { setTimeout as sleep } from 'node:timers/promises';
import { Fault, messageOf } from '../../domain/fault.ts';
import { quotableLine } from '../../domain/printable.ts';
import type { Config } from '../config/config.ts';
import { imageHost } from './release-images.ts';
import type { EngineAccess } from '../engine/access.ts';
import { engine } from '../engine/daemon.ts';
import { ensureImage, ensureSame } from '../engine/images.ts';
import type { PulledImages } from '../engine/pulled-images.ts';
import { freeBytes, gigabytes } from '../machine/headroom.ts';
import { isPulling } from './pulling.ts';

/** What a deployment will ask for. */
export interface WantedImage {
  /** As compose names it. */
  image: string;
  /** What a canonical was proven on; null where the name alone says what is meant. */
  digest: string | null;
}

export interface ImagesAhead {
  /**
   * Brings images here that deployments to come will ask for, one after the other and none while a deployment pulls; and
   * none where it would leave less than twice the headroom free on the engine's disk: what is tested meanwhile has as
   * much room to grow as it was promised. The deployment itself still looks for them and judges what it finds, so one
   * that is not had stops nothing: answers why of each. Throws once it is cancelled.
   */
  pullAhead(wanted: readonly WantedImage[]): Promise<string[]>;
}

export interface ImagesAheadSettings extends EngineAccess {
  config: Pick<Config, 'state' | 'docker' | 'limits'>;
  pulled: PulledImages;
  /** Short texts on what is being waited for. */
  report: (what: string) => void;
}

/** A fast registry fills some hundred megabytes in it. */
const LOOK_MS = 500;

export function createImagesAhead(settings: ImagesAheadSettings): ImagesAhead {
  const { config, docker, signal, report } = settings;

  /** Why there is no room; null while there is. */
  async function noRoom(folder: string): Promise<string | null> {
    const free = await freeBytes(folder);
    if (free === null) return `what is free at ${folder} cannot be seen from here`;
    const wanted = 2 * config.limits.headroom;
    if (free >= wanted) return null;
    return `${gigabytes(free)} free at ${folder}, and ${gigabytes(wanted)}, twice the headroom, are left alone`;
  }

  /** Pulls it as long as there is room. */
  async function pull({ image, digest }: WantedImage, folder: string): Promise<void> {
    const full = new AbortController();
    const look = async (): Promise<void> => {
      const why = await noRoom(folder);
      if (why !== null) full.abort(new Fault('Disk', why));
    };
    await look();
    full.signal.throwIfAborted();
    const watch = setInterval(() => void look().catch((error: unknown) => full.abort(error)), LOOK_MS);
    try {
      const host = imageHost({ ...settings, signal: AbortSignal.any([signal, full.signal]) });
      report(`pulling ${image} ahead`);
      const ensured = await (digest === null
        ? ensureImage(host, image)
        : ensureSame(host, { image, digest, isOnlyOne: false, remedy: 'its deployment will say so' }));
      if (!ensured.ok) throw new Fault('Registry', ensured.reason);
    } finally {
      clearInterval(watch);
    }
  }

  return {
    async pullAhead(wanted) {
      const problems: string[] = [];
      const { DockerRootDir: folder } = (await engine('looking for its folder', () => docker.info())) as {
        DockerRootDir: string;
      };
      for (const one of wanted) {
        while (isPulling(config.state)) {
          report('waiting for a deployment that pulls');
          await sleep(LOOK_MS, undefined, { signal });
        }
        try {
          await pull(one, folder);
        } catch (error) {
          signal.throwIfAborted();
          problems.push(quotableLine(`${one.image}: ${messageOf(error)}`));
          // Of another registry the next one may come; a disk that is full, or an engine that is away, is so for all.
          if (!(error instanceof Fault && error.type === 'Registry')) break;
        }
      }
      return problems;
    },
  };
}
