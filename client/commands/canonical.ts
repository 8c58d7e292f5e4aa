import type { Command } from 'commander';
import { formatBytes } from '../../domain/bytes.ts';
import { messageOf } from '../../domain/fault.ts';
import { createCanonicals, type CanonicalRecord, type Canonicals } from '../../host/store/canonicals.ts';
import { CANONICAL_WORKFLOW, type CanonicalChange } from '../../workflows/protocol.ts';
import { CommandStopped, EXIT } from '../failure.ts';
import { formatTime } from '../../domain/quantities.ts';
import { renderTable } from '../render/table.ts';
import { oneLine, safeLines } from '../render/terminal.ts';
import { configOf, printJson, type Session } from '../session.ts';
import { checkRecipeNames } from '../recipe-names.ts';

/** Reads the canonicals from disk, which needs neither server nor worker; what changes one is a workflow's. */
export function addCanonicalCommands(program: Command, session: Session): void {
  const canonical = program.command('canonical').description('the proven release of each recipe');
  const open = async (command: Command): Promise<Canonicals> =>
    createCanonicals(await configOf(session, command));

  canonical
    .command('list')
    .description('the canonical of every recipe that has one')
    .option('--json')
    .action(async (options: { json?: true }, command: Command) => {
      const list = await listCanonicals(await open(command));
      if (options.json) printJson(session, list);
      else session.terminal.out(list.length === 0 ? 'no canonical yet' : renderList(list));
      if (list.some(({ error }) => error !== null)) session.exitStatus = EXIT.none;
    });

  canonical
    .command('show')
    .description("one recipe's record")
    .argument('<recipe>')
    .option('--json')
    .action(async (recipe: string, options: { json?: true }, command: Command) => {
      const canonicals = await open(command);
      const record = await requireRecord(canonicals, recipe);
      if (options.json) printJson(session, record);
      else session.terminal.out(renderRecord(record, await canonicals.isAttached(recipe)));
    });

  canonical
    .command('history')
    .description('every promotion of one recipe, oldest first, and when its data was dropped')
    .argument('<recipe>')
    .option('--json')
    .action(async (recipe: string, options: { json?: true }, command: Command) => {
      checkRecipeNames([recipe]);
      const history = await (await open(command)).history(recipe);
      if (options.json) printJson(session, history);
      else session.terminal.out(history.length === 0 ? `${recipe}: never promoted` : renderHistory(history));
    });

  canonical
    .command('forget')
    .description('give a canonical up, with its volumes, secrets and snapshot; the next sweep begins anew')
    .argument('<recipe>')
    .option('--yes', 'do it; without this, say what would go')
    .action(async (recipe: string, options: { yes?: true }, command: Command) => {
      if (!options.yes) {
        throw new CommandStopped(
          `this removes the record of ${recipe}, its snapshot, and its volumes and secrets warm-${recipe}_…; only its history is kept. To do it: recipe-sweep canonical forget ${recipe} --yes`,
        );
      }
      await change(session, command, { recipe, change: 'forget' });
    });

  canonical
    .command('drop-data')
    .description(
      "give a canonical's data up to free its space: volumes, secrets and snapshot; the record stays",
    )
    .argument('<recipe>')
    .option('--yes', 'do it; without this, say what would go')
    .action(async (recipe: string, options: { yes?: true }, command: Command) => {
      if (!options.yes) {
        throw new CommandStopped(
          `this removes the snapshot of ${recipe}, and its volumes and secrets warm-${recipe}_…; its record and history are kept. The next release is then promoted by a fresh install, which proves no upgrade of real data, and until then pull requests are tested cold. To do it: recipe-sweep canonical drop-data ${recipe} --yes`,
        );
      }
      await change(session, command, { recipe, change: 'drop-data' });
    });

  canonical
    .command('rebuild')
    .description("write a lost or damaged record anew from the history's last line")
    .argument('<recipe>')
    .action(async (recipe: string, _options: unknown, command: Command) => {
      await change(session, command, { recipe, change: 'rebuild' });
    });
}

/** Has the worker do it, holding the host. */
async function change(session: Session, command: Command, what: CanonicalChange): Promise<void> {
  checkRecipeNames([what.recipe]);
  const { askWorker } = await import('../ask-worker.ts');
  await askWorker(session, command, {
    workflow: CANONICAL_WORKFLOW,
    name: `canonical-${what.change}-${what.recipe}`,
    input: what,
    summary: `${what.change} the canonical of ${what.recipe}`,
  });
}

/** A recipe's line in `canonical list --json`. */
export interface ListedCanonical {
  recipe: string;
  /** Null when it cannot be read. */
  record: CanonicalRecord | null;
  /** Why it cannot be read, else null. */
  error: string | null;
}

async function listCanonicals(canonicals: Canonicals): Promise<ListedCanonical[]> {
  const listed = await Promise.all(
    (await canonicals.list()).map(async (recipe): Promise<ListedCanonical> => {
      try {
        return { recipe, record: await canonicals.read(recipe), error: null };
      } catch (error) {
        return { recipe, record: null, error: messageOf(error) };
      }
    }),
  );
  // A folder without a record is a first promotion that has not come through.
  return listed.filter(({ record, error }) => record !== null || error !== null);
}

async function requireRecord(canonicals: Canonicals, recipe: string): Promise<CanonicalRecord> {
  checkRecipeNames([recipe]);
  const record = await canonicals.read(recipe);
  if (record) return record;
  throw new CommandStopped(`${recipe} has no canonical`);
}

function renderList(list: readonly ListedCanonical[]): string {
  return renderTable(
    ['recipe', 'version', 'commit', 'promoted', 'snapshot', 'volumes', 'images'],
    list.map(({ recipe, record, error }) =>
      record === null
        ? [recipe, `cannot be read: ${oneLine(error ?? '')}`, '', '', '', '', '']
        : [
            recipe,
            record.version,
            record.commit.slice(0, 12),
            formatTime(new Date(record.ts)),
            dataOf(record),
            record.disk === null || record.dropped !== null ? '' : formatBytes(record.disk.volumes),
            record.disk === null ? '' : formatBytes(record.disk.images),
          ],
    ),
  );
}

function renderRecord(record: CanonicalRecord, attached: boolean): string {
  const images = Object.entries(record.images).map(
    ([service, { image, digest }]) => `  ${service}  ${image}  ${digest}`,
  );
  const lines = [
    `${record.recipe} ${record.version}`,
    `commit    ${record.commit}`,
    `promoted  ${formatTime(new Date(record.ts))} by ${record.run}`,
    record.snapshot === null
      ? `snapshot  none: ${dataOf(record)}`
      : `snapshot  ${record.snapshot.id}, ${dataOf(record)}, sha256 ${record.snapshot.sha256}`,
    ...(record.droppedBy === null ? [] : [`dropped   by ${record.droppedBy.run}: ${record.droppedBy.why}`]),
    ...(record.disk === null
      ? []
      : [
          `took      volumes ${formatBytes(record.disk.volumes)}, images ${formatBytes(record.disk.images)}, when it was promoted`,
        ]),
    ...(attached
      ? [
          'data      attached: a run uses it, or did last; it is put back from the snapshot before the next one does',
        ]
      : []),
    'images',
    ...images,
  ];
  return safeLines(lines.join('\n'));
}

/** How much data it has, or since when it has none. */
function dataOf({ snapshot, dropped }: CanonicalRecord): string {
  if (snapshot !== null) return formatBytes(snapshot.bytes);
  return dropped === null ? '' : `dropped ${formatTime(new Date(dropped))}`;
}

function renderHistory(history: readonly CanonicalRecord[]): string {
  return renderTable(
    ['promoted', 'version', 'commit', 'run', 'data'],
    history.map((record) => [
      formatTime(new Date(record.ts)),
      record.version,
      record.commit.slice(0, 12),
      oneLine(record.run),
      record.dropped === null ? '' : dataOf(record),
    ]),
  );
}
