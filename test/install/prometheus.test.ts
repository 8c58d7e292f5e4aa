import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { createMetrics } from '../../metrics/collector.ts';
import { exposition, FAMILIES, PREFIX, type Sample } from '../../metrics/families.ts';
import { familyOf, readExposition } from '../fixtures/exposition.ts';
import { SDK_METRICS } from '../fixtures/sdk-metrics.ts';

/** The files in deploy/, and what we export, as Prometheus' own promtool judges them. */

const ROOT = path.resolve(import.meta.dirname, '../..');
const DEPLOY = path.join(ROOT, 'deploy');
const RULES = path.join(DEPLOY, 'prometheus-rules.yml');
const COMMAND = path.join(ROOT, 'bin/recipe-sweep');

interface Rule {
  alert: string;
  expr: string;
  for?: string;
  labels: { severity: string };
  annotations: { summary: string; description: string };
}

let folder: string;
let rules: Rule[];
beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'prometheus-'));
  const { groups } = parse(await readFile(RULES, 'utf8')) as { groups: { rules: Rule[] }[] };
  rules = groups.flatMap((group) => group.rules);
});
afterAll(() => rm(folder, { recursive: true }));

async function promtool(args: readonly string[], input = ''): Promise<string> {
  const { all, exitCode } = await execa('promtool', [...args], { input, all: true, reject: false });
  return exitCode === 0 ? `fine ${all}` : `${all}`;
}

/** What is exported of an empty host, and of the process. */
const exported = (): Promise<string> =>
  createMetrics(
    {
      config: {
        host: 'ci-1',
        zone: 'ci.test',
        state: folder,
        recipes: folder,
        alerts: [],
        limits: { headroom: 1e9 },
      },
      look: () => Promise.reject(new Error('away')),
    },
    0,
  )();

describe('what we export', () => {
  test('has nothing that promtool would have otherwise', async () => {
    const every = Object.entries(FAMILIES).map(([name, { labels }]) => [
      name,
      Object.fromEntries(labels.map((label) => [label, 'a "b" \\ \n c'])),
      1,
    ]);
    const text = await exposition(every as unknown as Sample[]);
    expect([...readExposition(text).help.keys()]).toEqual(
      Object.keys(FAMILIES).map((name) => `${PREFIX}${name}`),
    );
    expect(await promtool(['check', 'metrics'], text)).toBe('fine ');
    expect(await promtool(['check', 'metrics'], await exported())).toBe('fine ');
  });
});

describe('the files in deploy/', () => {
  test('are rules, and a configuration that names them', async () => {
    expect(await promtool(['check', 'rules', RULES])).toContain(`SUCCESS: ${rules.length} rules found`);
    const checked = await promtool(['check', 'config', path.join(DEPLOY, 'prometheus.yml')]);
    expect(checked).toMatch(/^fine [\s\S]*SUCCESS: 1 rule files found/);
  });

  test('name no metric that nobody exports', async () => {
    const found = readExposition(await exported());
    const known = new Set([
      'up',
      ...Object.keys(FAMILIES).map((name) => `${PREFIX}${name}`),
      ...found.type.keys(),
      ...SDK_METRICS,
    ]);
    const dashboard = await readFile(path.join(DEPLOY, 'grafana-dashboard.json'), 'utf8');
    const { panels } = JSON.parse(dashboard) as { panels: { targets: { expr: string }[] }[] };
    const asked = [
      ...rules.map(({ expr }) => expr),
      ...panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)),
    ];
    expect(asked.length).toBeGreaterThan(30);
    const unknown = asked.flatMap((expr) =>
      namesIn(expr).filter((name) => !known.has(name) && !known.has(histogramOf(name, found))),
    );
    expect(unknown).toEqual([]);
    expect(dashboard).toContain('label_values(recipe_sweep_build_info, host)');
  });

  test('are asked of Prometheus in its own language, on the dashboard too', async () => {
    const dashboard = await readFile(path.join(DEPLOY, 'grafana-dashboard.json'), 'utf8');
    const { panels } = JSON.parse(dashboard) as { panels: { targets: { expr: string }[] }[] };
    const file = path.join(folder, 'panels.yml');
    const recorded = panels
      .flatMap(({ targets }) => targets)
      .map(({ expr }, at) => ({ record: `panel:${at}`, expr: expr.replaceAll('$__rate_interval', '5m') }));
    await writeFile(file, stringify({ groups: [{ name: 'panels', rules: recorded }] }));
    expect(await promtool(['check', 'rules', file])).toContain(`SUCCESS: ${recorded.length} rules found`);
  });

  test('have a row for each rule in docs/metrics.md, and one for each metric of the SDK', async () => {
    const page = await readFile(path.join(ROOT, 'docs/metrics.md'), 'utf8');
    const rows = [...page.matchAll(/^\| `(RecipeSweep\w+)` +\| (\w+)/gm)].map(([, ...row]) => row);
    expect(rows).toEqual(rules.map(({ alert, labels }) => [alert, labels.severity]));
    const ofSdk = [...page.matchAll(/^\| `(temporal_\w+)`/gm)].map(([, name]) => name);
    expect(new Set(ofSdk)).toEqual(new Set(SDK_METRICS));
  });

  test('say what is wrong, and what to type', async () => {
    const helps = new Map<string, string>();
    /** What the command says of itself; read once. */
    const helpOf = async (...command: string[]): Promise<string> => {
      const key = command.join(' ');
      const help = helps.get(key) ?? (await execa(process.execPath, [COMMAND, ...command, '--help'])).stdout;
      helps.set(key, help);
      return help;
    };
    const has = (help: string, command: string): boolean =>
      RegExp(`^ {2}${command}(?: |\\||$)`, 'm').test(help);
    for (const { alert, labels, annotations } of rules) {
      const { summary, description } = annotations;
      expect(['critical', 'warning', 'info'], alert).toContain(labels.severity);
      expect(summary.length, alert).toBeLessThan(120);
      expect(description, alert).toMatch(/recipe-sweep [a-z]|systemctl|docker compose/);
      for (const [, typed = '', below = ''] of description.matchAll(TYPED)) {
        expect(has(await helpOf(), typed), `${alert}: ${typed}`).toBe(true);
        if (!WITH_COMMANDS.has(typed)) continue;
        expect(has(await helpOf(typed), below), `${alert}: ${typed} ${below}`).toBe(true);
      }
    }
  });
});

/** Our command in a text, and the word after its own. */
const TYPED = /\brecipe-sweep ([a-z][a-z-]+)(?: ([a-z-]+))?/g;
/** Those that have commands of their own. */
const WITH_COMMANDS: ReadonlySet<string> = new Set(['schedule', 'service', 'canonical', 'alert']);

/** Names of metrics in an expression: words that are no function's, label's or keyword's. */
function namesIn(expr: string): string[] {
  const bare = expr
    .replaceAll(/"[^"]*"/g, '')
    .replaceAll(/\{[^}]*\}/g, '')
    .replaceAll(/\b(by|on) \([^)]*\)/g, '');
  return [...bare.matchAll(/\b(up|(?:recipe_sweep|temporal|process|nodejs)_\w+)\b/g)].map(([name]) => name);
}

const histogramOf = (name: string, found: Parameters<typeof familyOf>[1]): string =>
  SDK_METRICS.includes(name.replace(/_bucket$/, '')) ? name.replace(/_bucket$/, '') : familyOf(name, found);

const DAY = 24;
/** Hours that the clock of a test goes on; it begins at the epoch. */
const LONG = 24 * DAY;
const always = (value: number | string): string => `${value}x${LONG}`;

interface Case {
  rule: string;
  /** By series; the value at each hour. */
  series: Record<string, string>;
  /** Hours at which it does not fire yet, or no longer, and at which it does. */
  quiet: number[];
  fires: number[];
}

const S = PREFIX;
const CASES: Case[] = [
  {
    rule: 'RecipeSweepNotScraped',
    series: { 'up{job="recipe-sweep",instance="h"}': `1x3 0x5 1x${LONG}` },
    quiet: [3, 20],
    fires: [6],
  },
  { rule: 'RecipeSweepNotScraped', series: { 'up{job="other"}': always(1) }, quiet: [], fires: [2] },
  {
    rule: 'RecipeSweepTemporalAway',
    series: { [`${S}temporal_up`]: `1x3 0x5 1x${LONG}` },
    quiet: [3, 20],
    fires: [6],
  },
  {
    rule: 'RecipeSweepWorkerGone',
    series: { [`${S}workers_polling`]: `1x3 0x5 2x${LONG}` },
    quiet: [3, 20],
    fires: [6],
  },
  {
    rule: 'RecipeSweepWorkerNotScraped',
    series: { 'up{job="recipe-sweep-worker",instance="h"}': `1x3 0x5 1x${LONG}` },
    quiet: [3, 20],
    fires: [6],
  },
  {
    rule: 'RecipeSweepNoSweep',
    series: { [`${S}last_sweep_end_timestamp_seconds`]: `0x220 ${220 * 3600}x${LONG}` },
    quiet: [7 * DAY, 8 * DAY, 230],
    fires: [8 * DAY + 3],
  },
  {
    rule: 'RecipeSweepRecipeNotSwept',
    series: {
      [`${S}recipe_last_run_timestamp_seconds{instance="h",recipe="a"}`]: always(0),
      [`${S}recipe_enrolled{instance="h",recipe="a"}`]: `1x400 0x${LONG}`,
    },
    quiet: [15 * DAY, 402],
    fires: [15 * DAY + 3],
  },
  {
    rule: 'RecipeSweepRecipeRed',
    series: { [`${S}recipe_red_since_timestamp_seconds{recipe="a"}`]: `0x550 _x${LONG}` },
    quiet: [21 * DAY, 560],
    fires: [21 * DAY + 3],
  },
  {
    rule: 'RecipeSweepSchedulePaused',
    series: { [`${S}schedule_paused{schedule="sweep"}`]: `0x3 1x40 0x${LONG}` },
    quiet: [20, 50],
    fires: [30],
  },
  {
    rule: 'RecipeSweepScheduleMissing',
    series: { [`${S}schedule_exists{schedule="sweep"}`]: `1x3 0x40 1x${LONG}` },
    quiet: [3, 50],
    fires: [6],
  },
  ...(['down', 'rollback-failed'] as const).map((state) => ({
    rule: 'RecipeSweepServiceDown',
    series: {
      [`${S}service_state{service="k",state="healthy"}`]: `1x3 _x5 1x${LONG}`,
      [`${S}service_state{service="k",state="${state}"}`]: `_x3 1x5 _x${LONG}`,
    },
    quiet: [3, 20],
    fires: [6],
  })),
  {
    rule: 'RecipeSweepServiceRolledBack',
    series: { [`${S}service_state{service="k",state="rolled-back"}`]: `_x3 1x5 _x${LONG}` },
    quiet: [2, 20],
    fires: [6],
  },
  ...(['waits', 'held'] as const).map((state) => ({
    rule: 'RecipeSweepServiceHeld',
    series: { [`${S}service_state{service="k",state="${state}"}`]: `_x3 1x40 _x${LONG}` },
    quiet: [20, 50],
    fires: [30],
  })),
  ...(['not-reconciled', 'not-adopted'] as const).map((state) => ({
    rule: 'RecipeSweepServiceNotReconciled',
    series: { [`${S}service_state{service="k",state="${state}"}`]: `_x3 1x40 _x${LONG}` },
    quiet: [20, 50],
    fires: [30],
  })),
  {
    rule: 'RecipeSweepDiskUnderHeadroom',
    series: {
      [`${S}disk_free_bytes{places="state"}`]: `11x3 9x5 10x${LONG}`,
      [`${S}disk_headroom_bytes{places="state"}`]: always(10),
    },
    quiet: [3, 20],
    fires: [6],
  },
  {
    rule: 'RecipeSweepDiskShort',
    series: {
      [`${S}disk_free_bytes{places="state"}`]: `20x3 12x20 9x${LONG}`,
      [`${S}disk_wanted_bytes{places="state"}`]: always(14),
      [`${S}disk_headroom_bytes{places="state"}`]: always(10),
    },
    // The other rule says it then.
    quiet: [3, 30],
    fires: [20],
  },
  {
    rule: 'RecipeSweepAlertsUndelivered',
    series: { [`${S}alert_target_failing_since_timestamp_seconds{target="t"}`]: `0x20 _x${LONG}` },
    quiet: [1, 30],
    fires: [4],
  },
  {
    rule: 'RecipeSweepAlertsUndelivered',
    series: { [`${S}alert_undelivered_since_timestamp_seconds{target="t"}`]: `0x40 _x${LONG}` },
    quiet: [24, 50],
    fires: [30],
  },
  {
    rule: 'RecipeSweepCanonicalUnreadable',
    series: {
      [`${S}alerts_open{kind="canonical-unreadable"}`]: `0x3 1x5 0x${LONG}`,
      [`${S}alerts_open{kind="tag-moved"}`]: always(1),
    },
    quiet: [3, 20],
    fires: [6],
  },
  {
    rule: 'RecipeSweepRecordsUnreadable',
    series: { [`${S}unreadable_records{part="alerts"}`]: `0x3 1x5 0x${LONG}` },
    quiet: [3, 20],
    fires: [6],
  },
  {
    rule: 'RecipeSweepAlertHolds',
    series: { [`${S}alert_since_timestamp_seconds{kind="tag-moved",subject="a"}`]: `0x400 _x${LONG}` },
    quiet: [14 * DAY, 410],
    fires: [14 * DAY + 3],
  },
];

describe('a rule', () => {
  test('fires when it should, and is quiet before and after', async () => {
    const file = path.join(folder, 'tests.yml');
    const tests = CASES.map(({ rule, series, quiet, fires }) => ({
      name: rule,
      interval: '1h',
      input_series: Object.entries(series).map(([one, values]) => ({ series: one, values })),
      promql_expr_test: [
        ...quiet.map((hour) => [hour, 0] as const),
        ...fires.map((hour) => [hour, 1] as const),
      ].map(([hour, value]) => ({
        expr: `count(ALERTS{alertname="${rule}",alertstate="firing"}) or vector(0)`,
        eval_time: `${hour}h`,
        exp_samples: [{ labels: '{}', value }],
      })),
    }));
    await writeFile(file, stringify({ rule_files: [RULES], evaluation_interval: '1h', tests }));
    expect(await promtool(['test', 'rules', file])).toMatch(/^fine [\s\S]*SUCCESS/);
    expect(new Set(CASES.map(({ rule }) => rule))).toEqual(new Set(rules.map(({ alert }) => alert)));
  });

  test('says whom it is about', async () => {
    const file = path.join(folder, 'words.yml');
    const tests = [
      {
        interval: '1h',
        input_series: [
          {
            series: `${S}recipe_red_since_timestamp_seconds{instance="h",recipe="ghost"}`,
            values: always(0),
          },
        ],
        alert_rule_test: [
          {
            alertname: 'RecipeSweepRecipeRed',
            eval_time: `${23 * DAY}h`,
            exp_alerts: [
              {
                exp_labels: { severity: 'warning', instance: 'h', recipe: 'ghost' },
                exp_annotations: {
                  summary: 'ghost is red for 23d 0h 0m 0s',
                  description: rules
                    .find(({ alert }) => alert === 'RecipeSweepRecipeRed')
                    ?.annotations.description.replaceAll('{{ $labels.recipe }}', 'ghost'),
                },
              },
            ],
          },
        ],
      },
    ];
    await writeFile(file, stringify({ rule_files: [RULES], evaluation_interval: '1h', tests }));
    expect(await promtool(['test', 'rules', file])).toMatch(/^fine [\s\S]*SUCCESS/);
  });
});
