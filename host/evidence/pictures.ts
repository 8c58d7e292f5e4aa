import path from 'node:path';
import type { App } from '../../domain/app.ts';
import { ANY_ANSWER } from '../../domain/recipe-settings.ts';
import type { ProcessRunner } from '../machine/process.ts';
import { SCREENSHOT } from './deploy-evidence.ts';
import { takeScreenshot } from './screenshot.ts';

/** The pictures of the pages of apps that this attempt deploys, one of each deployment. */
export interface Pictures {
  /**
   * Takes the one picture of a deployment's page. Null when it is there, or the app has no page; the answer says why
   * there is no picture of the page it has.
   */
  take(app: App): Promise<string | null>;
  /** Another deployment begins, of which there is no picture. */
  forget(app: App): void;
  /** Resolves once no browser looks at the app. */
  settled(app: App): Promise<void>;
}

export interface PicturesSettings {
  commands: ProcessRunner;
  via: 'proxy' | 'task';
  /** Where the app has its page. */
  environment(app: App): Promise<Record<string, string>>;
}

export function createPictures({ commands, via, environment }: PicturesSettings): Pictures {
  /** Of the latest deployment, by evidence folder. */
  const pictures = new Map<string, Promise<string | null>>();

  async function takePicture(app: App): Promise<string | null> {
    const { APP_URL: url, APP_ADDRESS: address = null } = await environment(app);
    if (url === undefined) return null;
    if (via === 'task' && address === null) return 'no task of the app that could be asked runs';
    const { probe } = app.settings;
    const asked = probe?.protocol === 'http' ? probe.path : ANY_ANSWER.path;
    const file = path.join(app.evidence, SCREENSHOT);
    return takeScreenshot(commands, { url: `${url}${asked}`, address }, file);
  }

  return {
    take(app) {
      const taken = pictures.get(app.evidence) ?? takePicture(app);
      pictures.set(app.evidence, taken);
      return taken;
    },
    forget(app) {
      pictures.delete(app.evidence);
    },
    async settled(app) {
      await pictures.get(app.evidence)?.catch(() => undefined);
    },
  };
}
