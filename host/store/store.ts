import { createAlerts, type Alerts } from './alerts.ts';
import { createKept, type Kept } from './kept.ts';
import { createReports, type Reports } from './reports.ts';
import { createMadeRealms, type MadeRealms } from './made-realms.ts';
import { createRealmKey, type RealmKey } from './realm-secrets.ts';
import { createResults, type Results } from './results.ts';
import { createRunIndex, type RunIndex } from './run-index.ts';
import { createTimes, type Times } from './times.ts';

/** What is written for people, and for those who come after: all of it below the state folder. */
export interface Store {
  results: Results;
  times: Times;
  index: RunIndex;
  reports: Reports;
  kept: Kept;
  alerts: Alerts;
  realmKey: RealmKey;
  madeRealms: MadeRealms;
}

export function createStore(state: string): Store {
  const index = createRunIndex(state);
  return {
    results: createResults(state),
    times: createTimes(state),
    index,
    reports: createReports(state),
    kept: createKept(state, index),
    alerts: createAlerts(state),
    realmKey: createRealmKey(state),
    madeRealms: createMadeRealms(state),
  };
}
