import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { execa } from 'execa';
import { KEYCLOAK, keycloakOf, STRANGERS } from './keycloak.ts';

/**
 * The judge: whether the invariants hold, from disk, docker and git alone. It shares no code with the product
 * and does not ask Temporal: what it knows of file formats it knows from the documents, as an auditor would.
 */

export interface Host {
  state: string;
  zone: string;
  /** Bare repositories `<recipe>.git`. */
  upstreams: string;
  recipes: readonly string[];
  /** Shared live services. */
  services: readonly string[];
  neighbour: { stack: string; volume: string; secret: string; text: string };
  /** A line for each boundary passed. */
  passed: string;
}

/** A line of the boundaries that were passed. */
interface Passed {
  pid: number;
  boundary: string;
  /** Where data was attached again, what a test had left in it. */
  trials?: string[];
}

/** What a judge remembers from one audit to the next. */
interface Memory {
  canonicals: Map<string, { version: string; snapshot: string; rows: Set<string> }>;
  services: Map<string, { version: string; volumes: string; secrets: string; rows: Set<string> }>;
  /** Keycloak's containers; null before it is there. */
  keycloak: string | null;
  /** Alerts about services that were judged, by file. */
  alerts: Set<string>;
  /** Releases that are unhealthy: `<service> <version>`. */
  refused: Set<string>;
  neighbour: string | null;
  /** The sums of what is held, by recipe and file. */
  held: Map<string, Map<string, string>>;
}

interface RecordOnDisk {
  schema: number;
  recipe: string;
  version: string;
  commit: string;
  status: string;
  run: string;
  /** Null once an operator has dropped the data. */
  snapshot: { id: string; sha256: string; bytes: number } | null;
  dropped?: string | null;
}

interface ManifestOnDisk {
  volumes: { name: string; sha256: string; bytes: number }[];
  secrets: string[];
}

interface ResultOnDisk {
  recipe: string;
  asked: { by: string };
  outcome: { kind: string; promoted?: string | null };
  leftovers: string | null;
  workflow: { id: string };
}

/** The specification of a swarm service, as far as it is judged. */
interface ServiceOnEngine {
  Labels: Record<string, string>;
  TaskTemplate: {
    ContainerSpec: {
      Configs?: { ConfigName: string }[];
      Secrets?: { SecretName: string }[];
      Mounts?: { Source: string }[];
    };
    Networks: { Target: string }[];
  };
}

export interface Checker {
  /** Judges the host at rest: no sweep runs, and one reaper pass has been. Answers each breach in a line. */
  audit(): Promise<string[]>;
  /** The recipe's canonical, or the live service, was given up by its operator. */
  forget(recipe: string): void;
  /** That release of a live service is unhealthy: it is never what the service is at. */
  refuse(service: string, version: string): void;
  /** From now on only tests of the recipe run: record, history and snapshot stay as they are, byte for byte. */
  hold(recipe: string): void;
  /** Until now. Answers each breach in a line. */
  letGo(recipe: string): string[];
  /** Judges what a test left that has ended: only a green one may leave the data to whoever attaches it next. */
  endOfTest(id: string, recipe: string): string[];
}

/** Without GREEN-BUT-PROMOTE-FAILED those of a test, which promotes nothing. */
const OUTCOMES = ['PASS', 'GREEN-BUT-PROMOTE-FAILED', 'FAIL', 'SKIP', 'ERROR'];
/** Boundaries that an attempt passes only by changing something. */
const CHANGING = [
  'guard.after-look',
  'deploy.after-stack-deploy',
  'promote.after-record',
  'settle.mid-restore',
  'settle.after-restore',
  'settle.after-clear',
  'reconcile.after-begin',
  'reconcile.after-commit',
  'reconcile.after-put-back',
];

export function createChecker(host: Host): Checker {
  const memory: Memory = {
    canonicals: new Map(),
    services: new Map(),
    keycloak: null,
    alerts: new Set(),
    refused: new Set(),
    neighbour: null,
    held: new Map(),
  };
  const inNames = host.zone.replaceAll('.', '_');
  let breaches: string[] = [];
  const breach = (invariant: string, what: string): void => {
    breaches.push(`${invariant}: ${what}`);
  };

  async function auditCanonical(recipe: string): Promise<void> {
    const folder = path.join(host.state, 'canonicals', recipe);
    const file = path.join(folder, 'canonical.json');
    const before = memory.canonicals.get(recipe);
    const stack = `warm-${recipe}_${inNames}`;
    const volumes = await docker('volume', 'ls', '--quiet', '--filter', `name=^${stack}_`);
    if (existsSync(path.join(folder, 'attached.json')))
      breach('I8', `${recipe}: data still marked as in use`);
    for (const left of litter(folder)) breach('I5', `${recipe}: ${left} was left behind`);
    if (!existsSync(file)) {
      if (before) breach('I2', `${recipe}: the canonical ${before.version} is gone`);
      if (volumes.length > 0) breach('I7', `${recipe}: no canonical, but volumes ${volumes.join(', ')}`);
      if (entries(path.join(folder, 'snapshots')).length > 0)
        breach('I6', `${recipe}: a snapshot of nothing`);
      return;
    }
    const record = JSON.parse(readFileSync(file, 'utf8')) as RecordOnDisk;
    const { schema, snapshot, dropped = null } = record;
    const isOne = (schema === 2 && snapshot !== null) || (schema >= 3 && !snapshot === (dropped !== null));
    if (!isOne || record.recipe !== recipe || record.status !== 'proven')
      breach('I5', `${recipe}: the record is not one`);
    await auditCommit(recipe, record);
    auditHistory(recipe, record, path.join(folder, 'history.jsonl'), before?.version ?? null);
    auditEvidence(recipe, record);
    const snapshots = path.join(folder, 'snapshots');
    const manifest = auditSnapshot(recipe, record.snapshot, snapshots);
    if (manifest === null) return;
    const rows = new Set<string>();
    const named = manifest.volumes.map(({ name }) => name).sort();
    if (named.join() !== volumes.sort().join())
      breach('I8', `${recipe}: volumes ${volumes.join()}, the snapshot has ${named.join()}`);
    for (const name of named.filter((one) => volumes.includes(one))) {
      await auditVolume(name, path.join(snapshots, snapshot?.id ?? '', `${name}.tar`), rows);
    }
    const secrets = await docker('secret', 'ls', '--filter', `name=${stack}_`, '--format', '{{.Name}}');
    if (secrets.sort().join() !== manifest.secrets.toSorted().join())
      breach('I8', `${recipe}: secrets ${secrets.join()}, the snapshot has ${manifest.secrets.join()}`);
    if (before && snapshot !== null) {
      for (const row of before.rows) if (!rows.has(row)) breach('I8', `${recipe}: ${row} is lost`);
      if (before.snapshot === snapshot.id && rows.size !== before.rows.size)
        breach('I8', `${recipe}: the same snapshot has other rows`);
    }
    memory.canonicals.set(recipe, { version: record.version, snapshot: snapshot?.id ?? '', rows });
  }

  /** It is healthy at its last-good release, which is as good as the one before or newer; and nobody's data is lost. */
  async function auditService(service: string): Promise<void> {
    const folder = path.join(host.state, 'services', service);
    const stack = `warm-${service}_${inNames}`;
    const before = memory.services.get(service);
    auditAlerts(service, folder);
    const file = path.join(folder, 'last-good.json');
    if (!existsSync(file)) {
      if (before)
        breach('S1', `${service}: it is not known any more to have been healthy at ${before.version}`);
      const left = await thingsOf(stack);
      if (left.length > 0) breach('I7', `${service}: never healthy, but there is ${left.join(', ')}`);
      return;
    }
    const good = JSON.parse(readFileSync(file, 'utf8')) as { version: string; commit: string };
    const { version } = good;
    if (memory.refused.has(`${service} ${version}`)) breach('S1', `${service}: ${version} is unhealthy`);
    if (before && version !== before.version && !isNewer(version, before.version))
      breach('S1', `${service} went from ${before.version} to ${version}`);
    await auditCommit(service, good);
    for (const name of ['underway.json', ...litter(folder)].filter((one) =>
      existsSync(path.join(folder, one)),
    ))
      breach('S2', `${service}: ${name} is left`);
    for (const left of litter(path.join(host.state, 'canonicals', service)))
      breach('S2', `${service}: ${left} of a kept commit is left`);
    const snapshots = entries(path.join(folder, 'snapshots'));
    if (snapshots.length > 1) breach('S2', `${service}: snapshots ${snapshots.join()}`);
    await auditServing(service, stack, version);
    const things = await thingsOf(stack);
    const of = (kind: string): string[] => things.filter((thing) => thing.startsWith(`${kind} `));
    const rows = await rowsOf(stack);
    const [volumes, secrets] = [of('volume').join(), of('secret').join()];
    if (before) {
      if (volumes !== before.volumes) breach('S3', `${service}: ${before.volumes} before, now ${volumes}`);
      if (secrets !== before.secrets) breach('S3', `${service}: ${before.secrets} before, now ${secrets}`);
      for (const row of before.rows) if (!rows.has(row)) breach('S3', `${service}: ${row} is lost`);
    }
    for (const row of rows) {
      const [, visited] = /visit-.*-of-(.*)$/.exec(row) ?? [];
      if (visited !== undefined && memory.refused.has(`${service} ${visited}`))
        breach('S3', `${service}: ${row} was left while ${visited} ran, which is unhealthy`);
    }
    const kept = new Set([...rows].filter((row) => row.includes(' row-')));
    memory.services.set(service, { version, volumes, secrets, rows: kept });
  }

  /** Its one service runs that release, and answers; what else there is of it, that one uses. */
  async function auditServing(service: string, stack: string, version: string): Promise<void> {
    const filter = ['--filter', `label=com.docker.stack.namespace=${stack}`];
    const format = '{{.Name}} {{.Replicas}}';
    const listed = await docker('service', 'ls', ...filter, '--format', format);
    if (listed.join() !== `${stack}_app 1/1`)
      return breach('S1', `${service}: ${listed.join() || 'it is down'}`);
    const inspected = await docker('service', 'inspect', '--format', '{{json .Spec}}', `${stack}_app`);
    const spec = JSON.parse(inspected.join('')) as ServiceOnEngine;
    const runs = spec.Labels[`coop-cloud.${stack}.version`];
    if (runs !== version) breach('S1', `${service}: ${runs} runs, and ${version} is its last good release`);
    const { ContainerSpec: container, Networks: networks } = spec.TaskTemplate;
    const used = [
      ...(container.Configs ?? []).map(({ ConfigName }) => `config ${ConfigName}`),
      ...(container.Secrets ?? []).map(({ SecretName }) => `secret ${SecretName}`),
      ...(container.Mounts ?? []).map(({ Source }) => `volume ${Source}`),
    ];
    for (const thing of await thingsOf(stack)) {
      const [kind, name, id] = thing.split(' ');
      const isUsed =
        kind === 'network' ? networks.some(({ Target }) => Target === id) : used.includes(`${kind} ${name}`);
      if (kind !== 'service' && !isUsed) breach('I7', `${service}: ${thing} is of no use to it`);
    }
    const [one] = await docker(
      'ps',
      '--quiet',
      '--filter',
      `label=com.docker.swarm.service.name=${stack}_app`,
    );
    const asked = await execa('docker', ['exec', one ?? '', 'curl', '-fsS', 'http://localhost/'], {
      reject: false,
    });
    if (!asked.stdout.includes('is open')) breach('S1', `${service} answers ${asked.stdout}${asked.stderr}`);
  }

  /** `<kind> <name> <id>` of all there is of a stack. */
  async function thingsOf(stack: string): Promise<string[]> {
    const found: string[] = [];
    const filter = ['--filter', `label=com.docker.stack.namespace=${stack}`];
    for (const kind of ['service', 'network', 'config', 'secret', 'volume']) {
      const format = kind === 'volume' ? '{{.Name}} {{.Name}}' : '{{.Name}} {{.ID}}';
      const more = kind === 'network' ? ['--no-trunc'] : [];
      const listed = await docker(kind, 'ls', ...more, ...filter, '--format', format);
      found.push(...listed.sort().map((line) => `${kind} ${line}`));
    }
    return found;
  }

  /** `<volume> <file>` of all that visitors left. */
  async function rowsOf(stack: string): Promise<Set<string>> {
    const rows = new Set<string>();
    for (const name of await docker('volume', 'ls', '--quiet', '--filter', `name=^${stack}_`)) {
      const [mountpoint = ''] = await docker('volume', 'inspect', '--format', '{{.Mountpoint}}', name);
      for (const file of entries(mountpoint))
        if (/^(row|visit)-/.test(file)) rows.add(`${name.slice(stack.length + 1)} ${file}`);
    }
    return rows;
  }

  /** What is told of a healthy service is a release that was rolled back, for as long as it is the newer one. */
  function auditAlerts(service: string, folder: string): void {
    const alerts = path.join(host.state, 'alerts');
    const orders = readOrEmpty(path.join(folder, 'orders.json'));
    const good = readOrEmpty(path.join(folder, 'last-good.json'));
    const of = (text: string): string => (JSON.parse(text) as { version: string }).version;
    const { rolledBack = null } = (orders === '' ? {} : JSON.parse(orders)) as {
      rolledBack?: { version: string } | null;
    };
    const isBehind = rolledBack !== null && good !== '' && isNewer(rolledBack.version, of(good));
    const holding = entries(alerts).filter((name) => name.endsWith(`-recipe-${service}.json`));
    const wanted = isBehind ? `service-rolled-back-recipe-${service}.json` : '';
    if (holding.join() !== wanted) breach('S4', `${service}: alerts ${holding.join()}, not ${wanted}`);
    const kinds = ['.', 'ended', 'seen'].flatMap((place) =>
      entries(path.join(alerts, place)).flatMap((name) => {
        const file = path.join(alerts, place, name);
        if (!name.endsWith('.json') || !name.includes(`-recipe-${service}`)) return [];
        const { kind, since } = JSON.parse(readFileSync(file, 'utf8')) as { kind: string; since: string };
        const isNew = !memory.alerts.has(`${kind} ${since}`);
        memory.alerts.add(`${kind} ${since}`);
        return isNew ? [kind] : [];
      }),
    );
    if (new Set(kinds).size !== kinds.length) breach('S4', `${service}: told of ${kinds.join()}`);
  }

  async function auditCommit(
    recipe: string,
    { version, commit }: Pick<RecordOnDisk, 'version' | 'commit'>,
  ): Promise<void> {
    const ledger = readFileSync(path.join(host.state, 'ledger', `${recipe}.jsonl`), 'utf8');
    const listed = ledger
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { tag: string; commit: string })
      .filter(({ tag }) => tag === version);
    if (listed.length === 0 || listed.some((line) => line.commit !== commit))
      breach(
        'I1',
        `${recipe}: ${version} is ${commit} in the record, ${JSON.stringify(listed)} in the ledger`,
      );
    const repository = path.join(host.upstreams, `${recipe}.git`);
    const { stdout } = await execa('git', [
      ...['--git-dir', repository, 'rev-parse', '--verify', `refs/tags/${version}^{commit}`],
    ]);
    if (stdout.trim() !== commit) breach('I1', `${recipe}: upstream has ${version} at ${stdout.trim()}`);
  }

  function auditHistory(recipe: string, record: RecordOnDisk, file: string, before: string | null): void {
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
    const past = lines.map((line) => JSON.parse(line) as RecordOnDisk);
    const last = past.at(-1);
    if (last?.version !== record.version || last.snapshot?.id !== record.snapshot?.id)
      breach('I5', `${recipe}: the history ends with ${last?.version}, the record says ${record.version}`);
    past.slice(1).forEach((line, index) => {
      const earlier = past[index];
      const isDropped = line.snapshot === null && line.version === earlier?.version;
      if (earlier && !isDropped && !isNewer(line.version, earlier.version))
        breach('I2', `${recipe}: the history goes from ${earlier.version} to ${line.version}`);
    });
    if (before !== null && record.version !== before && !isNewer(record.version, before))
      breach('I2', `${recipe}: the canonical went from ${before} to ${record.version}`);
  }

  /** The commit on record was deployed cold and warm by the run on record. */
  function auditEvidence(recipe: string, { run, commit, version }: RecordOnDisk): void {
    const folder = path.join(host.state, 'runs', run);
    for (const step of ['cold', 'promote']) {
      const deployed = entries(folder)
        .filter((name) => name.startsWith(step))
        .flatMap((name) => entries(path.join(folder, name)).map((file) => path.join(folder, name, file)))
        .filter((file) => file.endsWith('compose.yml'))
        .some((file) => readFileSync(file, 'utf8').includes(`${run} ${version} ${commit}`));
      if (!deployed) breach('I3', `${recipe}: ${run} never deployed ${version} (${commit}) in step ${step}`);
    }
  }

  /** Of data that was dropped nothing is there. */
  function auditSnapshot(
    recipe: string,
    snapshot: RecordOnDisk['snapshot'],
    folder: string,
  ): ManifestOnDisk | null {
    if (snapshot === null) {
      if (entries(folder).length > 0) breach('I6', `${recipe}: a snapshot of data that was dropped`);
      return { volumes: [], secrets: [] };
    }
    const { id, sha256, bytes } = snapshot;
    if (entries(folder).join() !== id)
      breach('I6', `${recipe}: snapshots ${entries(folder).join()}, not ${id}`);
    const file = path.join(folder, id, 'manifest.json');
    if (!existsSync(file)) {
      breach('I5', `${recipe}: the snapshot ${id} on record is not there`);
      return null;
    }
    if (sumOf(file) !== sha256) breach('I5', `${recipe}: manifest.json is not the one on record`);
    const manifest = JSON.parse(readFileSync(file, 'utf8')) as ManifestOnDisk;
    let total = statSync(file).size;
    for (const volume of manifest.volumes) {
      const tar = path.join(folder, id, `${volume.name}.tar`);
      if (!existsSync(tar) || sumOf(tar) !== volume.sha256)
        breach('I6', `${recipe}: ${volume.name}.tar does not verify`);
      else total += statSync(tar).size;
    }
    if (total !== bytes) breach('I5', `${recipe}: the snapshot has ${total} bytes, on record are ${bytes}`);
    return manifest;
  }

  /** Byte for byte, with owners and modes, and nothing more than the snapshot has. */
  async function auditVolume(name: string, tar: string, rows: Set<string>): Promise<void> {
    const [mountpoint = ''] = await docker('volume', 'inspect', '--format', '{{.Mountpoint}}', name);
    const compared = await execa(
      'tar',
      ['--compare', '--numeric-owner', '--file', tar, '--directory', mountpoint],
      {
        reject: false,
      },
    );
    if (compared.exitCode !== 0)
      breach('I8', `${name} differs: ${compared.stdout}${compared.stderr}`.slice(0, 400));
    const { stdout: list } = await execa('tar', ['--list', '--file', tar]);
    const packed = list.split('\n').map((line) => path.normalize(`/${line}`).replace(/\/$/, ''));
    const { stdout: found } = await execa('find', [mountpoint, '-mindepth', '1', '-printf', '/%P\\n']);
    for (const extra of found.split('\n').filter((line) => line !== '' && !packed.includes(line)))
      breach('I8', `${name}: ${extra} is not in the snapshot`);
    const text = readFileSync(tar, 'latin1');
    for (const [row] of text.matchAll(/row-\d+-\d+-\d+/g)) rows.add(`${name} ${row}`);
    const [trial] = /trial-\d+-\d+-\d+/.exec(text) ?? [];
    if (trial) breach('I8', `${name}: the snapshot has ${trial}, which a test left`);
  }

  /** Nobody touches it, and it has no realm but its own and those of somebody else. */
  async function auditKeycloak(): Promise<void> {
    const keycloak = keycloakOf(host.zone);
    const containers = (await keycloak.containers()).join();
    if (memory.keycloak === null && containers === '') return;
    memory.keycloak ??= containers;
    if (containers !== memory.keycloak)
      return breach('R1', `keycloak ran in ${memory.keycloak}, and runs in ${containers}`);
    const realms = (await keycloak.realms()).join();
    const wanted = ['master', ...Object.keys(STRANGERS)].sort().join();
    if (realms !== wanted) breach('R1', `keycloak has the realms ${realms}, not ${wanted}`);
    for (const [realm, user] of Object.entries(STRANGERS)) {
      const users = (await keycloak.users(realm)).join();
      if (users !== user) breach('R1', `the realm ${realm} has the users ${users}, not ${user}`);
    }
    const marked = entries(path.join(host.state, 'realms'));
    if (marked.length > 0) breach('R1', `realms that may be there: ${marked.join()}`);
  }

  async function auditLeftovers(): Promise<void> {
    const mine = (name: string): boolean => name.includes(inNames) || name.includes(host.zone);
    const live = [...host.services, KEYCLOAK].map((service) => `warm-${service}_${inNames}`);
    const retained = new RegExp(`^warm-(${host.recipes.join('|')})_${inNames}_`);
    const kinds: [string, string[]][] = [
      ['container', await docker('ps', '--all', '--format', '{{.Names}}')],
      ['service', await docker('service', 'ls', '--format', '{{.Name}}')],
      ['network', await docker('network', 'ls', '--format', '{{.Name}}')],
      ['config', await docker('config', 'ls', '--format', '{{.Name}}')],
      ['volume', await docker('volume', 'ls', '--format', '{{.Name}}')],
      ['secret', await docker('secret', 'ls', '--format', '{{.Name}}')],
    ];
    for (const [kind, names] of kinds) {
      for (const name of names) {
        if (!mine(name) || name.startsWith(host.neighbour.stack)) continue;
        // What there is of a service is judged with it.
        if (live.some((stack) => name.startsWith(`${stack}_`))) continue;
        if ((kind === 'volume' || kind === 'secret') && retained.test(name)) continue;
        breach('I7', `${kind} ${name} is left`);
      }
    }
    const label = `label=recipe-sweep.zone=${host.zone}`;
    for (const kind of ['volume', 'secret', 'config', 'network']) {
      const listed = await docker(
        kind,
        'ls',
        '--filter',
        `${label}`,
        '--filter',
        'label=recipe-sweep.lifetime=cold',
        '--quiet',
      );
      for (const one of listed) breach('I7', `cold ${kind} ${one} is left`);
    }
    for (const kind of ['checkouts', 'backups']) {
      const left = entries(path.join(host.state, kind));
      if (left.length > 0) breach('I7', `${kind} ${left.join()} are left`);
    }
    for (const pid of entries('/proc').filter((name) => /^\d+$/.test(name))) {
      const environment = readOrEmpty(`/proc/${pid}/environ`);
      if (environment.includes(`HOME=${host.state}/home`))
        breach(
          'I7',
          `process ${pid} still runs: ${readOrEmpty(`/proc/${pid}/cmdline`).replaceAll('\0', ' ')}`,
        );
    }
  }

  async function auditNeighbour(): Promise<void> {
    const { stack, volume, secret, text } = host.neighbour;
    const [service = 'none'] = await docker(
      'service',
      'ls',
      '--filter',
      `name=${stack}_app`,
      '--format',
      '{{.ID}} {{.Replicas}}',
    );
    const [key = 'none'] = await docker('secret', 'ls', '--filter', `name=${secret}`, '--format', '{{.ID}}');
    const [mountpoint = ''] = await docker('volume', 'inspect', '--format', '{{.Mountpoint}}', volume);
    const content = readOrEmpty(path.join(mountpoint, 'text'));
    const now = `${service}, secret ${key}`;
    if (content !== text) breach('I7', "the neighbour's volume has other content");
    memory.neighbour ??= now;
    if (now !== memory.neighbour) breach('I7', `the neighbour was ${memory.neighbour}, and is ${now}`);
  }

  function auditResults(): void {
    const runs = path.join(host.state, 'runs');
    for (const asker of entries(runs)) {
      for (const recipe of entries(path.join(runs, asker))) {
        const file = path.join(runs, asker, recipe, 'result.json');
        if (!existsSync(file)) continue;
        const result = JSON.parse(readFileSync(file, 'utf8')) as ResultOnDisk;
        if (!OUTCOMES.includes(result.outcome.kind)) breach('I10', `${file}: ${result.outcome.kind}`);
        if (result.asked.by === 'test') auditTest(result);
        else if (result.outcome.kind === 'PASS') auditPass(result);
      }
    }
    for (const sweep of entries(path.join(host.state, 'sweeps'))) {
      const report = path.join(host.state, 'sweeps', sweep, 'report.json');
      if (!existsSync(report)) continue;
      const { recipes } = JSON.parse(readFileSync(report, 'utf8')) as { recipes: ResultOnDisk[] };
      const named = recipes.map(({ recipe }) => recipe);
      if (new Set(named).size !== named.length || named.length === 0)
        breach('I10', `${report} names ${named.join()}`);
    }
  }

  /** Every promotion there was; canonical forget keeps a history beside, under the time when it was given up. */
  function promotionsOf(recipe: string): RecordOnDisk[] {
    const folder = path.join(host.state, 'canonicals', recipe);
    return entries(folder)
      .filter((name) => /^history.*\.jsonl$/.test(name))
      .flatMap((name) => linesOf(path.join(folder, name)));
  }

  /** A test says nothing of promotions, and there is none of it. */
  function auditTest({ recipe, outcome, workflow }: ResultOnDisk): void {
    if (outcome.kind === 'GREEN-BUT-PROMOTE-FAILED' || outcome.promoted)
      breach('I3', `the test ${workflow.id} says ${outcome.kind} (${outcome.promoted})`);
    if (promotionsOf(recipe).some(({ run }) => `${run}/`.startsWith(`${workflow.id}/`)))
      breach('I3', `${recipe}: the test ${workflow.id} is in the history`);
  }

  /** Who says PASS is in the history, unless the canonical was given up since. */
  function auditPass({ recipe, outcome, workflow }: ResultOnDisk): void {
    const [first] = linesOf(path.join(host.state, 'canonicals', recipe, 'history.jsonl'));
    if (!outcome.promoted) breach('I3', `the sweep's run ${workflow.id} says PASS, and promoted nothing`);
    if (!first || !outcome.promoted || isNewer(first.version, outcome.promoted)) return;
    const promoted = promotionsOf(recipe).some(
      ({ version, run }) => version === outcome.promoted && `${run}/`.startsWith(`${workflow.id}/`),
    );
    if (!promoted)
      breach('I3', `${workflow.id} says PASS (promoted ${outcome.promoted}), the history does not`);
  }

  /** Whoever comes later takes the host, and from then on nobody earlier changes anything. */
  function auditMutators(): void {
    let holder = 0;
    for (const line of readFileSync(host.passed, 'utf8').split('\n')) {
      if (line === '') continue;
      const { pid, boundary, trials = [] } = JSON.parse(line) as Passed;
      if (trials.length > 0)
        breach('I8', `${boundary}: attached again with ${trials.join()}, which a test left`);
      if (boundary === 'lock.after-claim') holder = pid;
      else if (holder !== pid && CHANGING.includes(boundary))
        breach('I9', `process ${pid} passed ${boundary} after ${holder} had taken the host`);
    }
  }

  /** Of the record, the history and the snapshots. */
  function sumsOf(recipe: string): Map<string, string> {
    const folder = path.join(host.state, 'canonicals', recipe);
    const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(
      (name) => /^(canonical\.json|history\.jsonl|snapshots\/)/.test(name) && isFile(path.join(folder, name)),
    );
    return new Map(files.map((name) => [name, sumOf(path.join(folder, name))]));
  }

  return {
    async audit() {
      breaches = [];
      for (const recipe of host.recipes) {
        try {
          await auditCanonical(recipe);
        } catch (error) {
          breach('I5', `${recipe}: cannot be judged: ${String(error)}`);
        }
      }
      for (const service of host.services) {
        try {
          await auditService(service);
        } catch (error) {
          breach('S1', `${service}: cannot be judged: ${String(error)}`);
        }
      }
      try {
        await auditKeycloak();
      } catch (error) {
        breach('R1', `keycloak: cannot be judged: ${String(error)}`);
      }
      await auditLeftovers();
      await auditNeighbour();
      auditResults();
      auditMutators();
      return breaches;
    },
    forget(recipe) {
      memory.canonicals.delete(recipe);
      memory.services.delete(recipe);
    },
    refuse(service, version) {
      memory.refused.add(`${service} ${version}`);
    },
    endOfTest(id, recipe) {
      const file = path.join(host.state, 'runs', id, recipe, 'result.json');
      if (!existsSync(file)) return [];
      const { outcome, leftovers } = JSON.parse(readFileSync(file, 'utf8')) as ResultOnDisk;
      const isInUse = existsSync(path.join(host.state, 'canonicals', recipe, 'attached.json'));
      if (outcome.kind === 'PASS' || leftovers !== null || !isInUse) return [];
      return [`I8: ${recipe}: ${id} says ${outcome.kind}, and has not put the data back`];
    },
    hold(recipe) {
      memory.held.set(recipe, sumsOf(recipe));
    },
    letGo(recipe) {
      const [before, after] = [memory.held.get(recipe) ?? new Map<string, string>(), sumsOf(recipe)];
      const names = new Set([...before.keys(), ...after.keys()]);
      return [...names]
        .filter((name) => before.get(name) !== after.get(name))
        .map((name) => `I5: ${recipe}: a test changed ${name}`);
    },
  };
}

async function docker(...args: string[]): Promise<string[]> {
  const { stdout } = await execa('docker', args);
  return stdout.split('\n').filter((line) => line !== '');
}

function entries(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}

function readOrEmpty(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function linesOf(file: string): RecordOnDisk[] {
  return readOrEmpty(file)
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as RecordOnDisk);
}

function isFile(name: string): boolean {
  return statSync(name).isFile();
}

function sumOf(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}

/** Temporary and half-written things, anywhere below. */
function litter(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
    /\.(tmp|partial)$/.test(name),
  );
}

/** By the recipe's own numbers; the campaign's releases never differ in the app's version alone. */
function isNewer(version: string, than: string): boolean {
  const numbers = (text: string): number[] => (text.split('+')[0] ?? '').split('.').map(Number);
  const [a, b] = [numbers(version), numbers(than)];
  const at = a.findIndex((number, index) => number !== b[index]);
  return at >= 0 && (a[at] ?? 0) > (b[at] ?? 0);
}
