import { collectDefaultMetrics, Registry } from 'prom-client';
import { alertTargets } from '../host/config/alert-targets.ts';
import type { Config } from '../host/config/config.ts';
import { createFleetReader } from '../host/fleet.ts';
import { createAlerts } from '../host/store/alerts.ts';
import { createRelayed } from '../host/store/relayed.ts';
import { createReports } from '../host/store/reports.ts';
import { createServices } from '../host/store/services.ts';
import { VERSION } from '../host/version.ts';
import { alertSamples, targetSamples } from './alerts.ts';
import { exposition, type Sample } from './families.ts';
import { recipeSamples } from './recipes.ts';
import { serviceSamples } from './services.ts';
import { diskSamples, lastReport, sweepSamples } from './sweeps.ts';
import { temporalSamples, type TemporalView } from './temporal.ts';

/** What is read, a part that cannot be read being counted and holding up no other. */
const PARTS = ['recipes', 'reports', 'services', 'alerts', 'relayed'] as const;
type Part = (typeof PARTS)[number];

export type MetricsConfig = Pick<Config, 'host' | 'zone' | 'state' | 'recipes' | 'alerts'> & {
  limits: Pick<Config['limits'], 'headroom'>;
};

export interface MetricsSources {
  config: MetricsConfig;
  /** What the Temporal server knows; rejects where it does not answer. */
  look(): Promise<TemporalView>;
  now?(): Date;
}

/** In the text format of Prometheus. */
export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** Gauges that end in `_total`, as counters do: Prometheus takes them for counters. */
const MISNAMED = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
];

/**
 * Answers what Prometheus scrapes: how this host's recipes, sweeps, services, alerts, disks and turns stand, and this
 * process. Everything is read again, but no more often than this, however often strangers ask. Never rejects: what cannot
 * be read is counted, and is absent.
 */
export function createMetrics(sources: MetricsSources, freshMs: number): () => Promise<string> {
  const collect = createCollector(sources);
  const ofProcess = new Registry();
  collectDefaultMetrics({ register: ofProcess });
  for (const name of MISNAMED) ofProcess.removeSingleMetric(name);
  let asked: { atMs: number; text: Promise<string> } | null = null;
  return () => {
    const atMs = performance.now();
    if (asked === null || atMs - asked.atMs >= freshMs) {
      const texts = Promise.all([collect().then(exposition), ofProcess.metrics()]);
      asked = { atMs, text: texts.then((parts) => parts.join('\n')) };
    }
    return asked.text;
  };
}

/** Answers everything but what is of the process. */
export function createCollector({
  config,
  look,
  now = () => new Date(),
}: MetricsSources): () => Promise<Sample[]> {
  const { state } = config;
  const fleet = createFleetReader(config);
  const reports = createReports(state);
  const services = createServices(config);
  const alerts = createAlerts(state);
  const relayed = createRelayed(state);
  const targets = alertTargets(config.alerts);

  return async () => {
    const at = now();
    const unreadable = new Map<Part, number>(PARTS.map((part) => [part, 0]));
    const missing = (part: Part, count: number): void => {
      unreadable.set(part, (unreadable.get(part) ?? 0) + count);
    };
    const noted = async <T>(part: Part, without: T, read: () => Promise<T>): Promise<T> =>
      read().catch(() => {
        missing(part, 1);
        return without;
      });
    const NONE = { alerts: [], unreadable: [] };
    const [recipes, open, over, view] = await Promise.all([
      noted('recipes', [], () => fleet.read()),
      noted('alerts', NONE, () => alerts.open()),
      noted('alerts', NONE, () => alerts.over()),
      look().catch(() => null),
    ]);
    missing('alerts', open.unreadable.length + over.unreadable.length);
    missing('recipes', recipes.filter(({ problems }) => problems.length > 0).length);
    const report = await noted('reports', null, () => lastReport(recipes, reports));
    const nothing = { samples: [], unreadable: 0 };
    const [ofServices, ofTargets, ofDisks] = await Promise.all([
      noted('services', nothing, () => serviceSamples(recipes, services, open.alerts)),
      noted('relayed', nothing, () => targetSamples(targets, relayed, [...open.alerts, ...over.alerts], at)),
      diskSamples({ state, headroom: config.limits.headroom }, report),
    ]);
    missing('services', ofServices.unreadable);
    missing('relayed', ofTargets.unreadable);
    return [
      ['build_info', { version: VERSION, host: config.host }, 1],
      ...[...unreadable].map(([part, count]): Sample => ['unreadable_records', { part }, count]),
      ...recipeSamples(recipes, at),
      ...(report === null ? [] : sweepSamples(report)),
      ...ofDisks,
      ...ofServices.samples,
      ...alertSamples(open.alerts),
      ...ofTargets.samples,
      ...temporalSamples(view),
    ];
  };
}
