import { BACKUP } from './catalogue/backup.ts';
import { INSTALL } from './catalogue/install.ts';
import { RELEASES } from './catalogue/releases.ts';
import { TRAITS } from './catalogue/traits.ts';
import { UPGRADE } from './catalogue/upgrade.ts';
import type { Entry } from './entry.ts';

/** Every entry, in the order they are swept. */
export const CATALOGUE: readonly Entry[] = [...INSTALL, ...UPGRADE, ...BACKUP, ...RELEASES, ...TRAITS];
