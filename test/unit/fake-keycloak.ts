import { Fault } from '../../domain/fault.ts';
import { isSameRun } from '../../domain/realm.ts';
import type { RealmsAt } from '../../host/keycloak/realms-at.ts';
import type { NewRealm } from '../../host/keycloak/realms.ts';
import type { AttemptBonds } from '../../host/tools.ts';
import { stillAlive } from './mortal-fs.ts';

/** Keycloaks in memory: as many as are asked, by their stacks. */
export interface FakeKeycloaks {
  /** The realms of runs at each, by name; of somebody else's nothing is known. */
  realms: Map<string, Map<string, NewRealm | 'a stranger’s'>>;
  /** Stacks that do not answer. */
  away: Set<string>;
}

export function fakeRealms({ realms, away }: FakeKeycloaks, bonds: Pick<AttemptBonds, 'guard'>): RealmsAt {
  return ({ stack, domain }) => {
    const ask = async (): Promise<Map<string, NewRealm | 'a stranger’s'>> => {
      await stillAlive();
      if (away.has(stack)) throw new Fault('Dependency', `keycloak at ${domain}: ECONNREFUSED`);
      const found = realms.get(stack) ?? new Map<string, NewRealm | 'a stranger’s'>();
      realms.set(stack, found);
      return found;
    };
    return {
      async create(realm) {
        const there = await ask();
        const before = there.get(realm.name);
        if (before === 'a stranger’s' || (before && !isSameRun(before.mark, realm.mark))) {
          throw new Fault('NotOurs', `${realm.name} is somebody else's`);
        }
        await bonds.guard();
        await stillAlive();
        there.set(realm.name, realm);
        return { issuer: `https://${domain}/realms/${realm.name}` };
      },
      async remove(name, mark) {
        const there = await ask();
        const before = there.get(name);
        if (before === undefined || before === 'a stranger’s' || !isSameRun(before.mark, mark)) return;
        await bonds.guard();
        await stillAlive();
        there.delete(name);
      },
      async ours() {
        return [...(await ask())].flatMap(([name, realm]) =>
          realm === 'a stranger’s' ? [] : [{ name, mark: realm.mark }],
        );
      },
    };
  };
}
