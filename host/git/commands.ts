/**
 * What is asked of git, as argument lists, and how its answers read. Nothing here runs anything: the lists go
 * to git-at.ts. Names that others chose (tags, branches) never become arguments: whole namespaces
 * are fetched and pushed by pattern, and single objects are asked for by ID, on standard input.
 */

export interface Refs {
  /** The commit of refs/heads/main; null when there is no such branch. */
  main: string | null;
  /** What each tag holds, by its name without refs/tags/: a commit, or the ID of an annotated tag's own object. */
  tags: ReadonlyMap<string, string>;
}

/** What a repository is to hold. */
export type MainAndTags = Refs & { main: string };

export interface RemoteRefs extends Refs {
  /** What each tag leads to in the end: mostly a commit, but a blob or a tree may be tagged as well. */
  peeled: ReadonlyMap<string, string>;
}

const MAIN = 'refs/heads/main';
const TAGS = 'refs/tags/';
const REFSPECS = [`+${MAIN}:${MAIN}`, `+${TAGS}*:${TAGS}*`];

const SAFE = ['-c', 'core.hooksPath=/dev/null', '-c', 'protocol.ext.allow=never', '-c', 'gc.auto=0'];
/** A transfer slower than 1 kB/s for a minute is dead. */
const NETWORK = [...SAFE, '-c', 'http.lowSpeedLimit=1000', '-c', 'http.lowSpeedTime=60'];
/** Run with the repository as working directory: git must not go looking for one in the folders above. */
const HERE = '--git-dir=.';

/** Makes an empty bare repository whose HEAD is main, of the object format that `commit` is written in. */
export function initBareArgs(folder: string, commit: string): string[] {
  return initArgs(folder, commit, ['--bare']);
}

/** Makes an empty repository for files, with the rest as {@link initBareArgs}. */
export function initArgs(folder: string, commit: string, more: readonly string[] = []): string[] {
  const format = commit.length === 64 ? 'sha256' : 'sha1';
  return [
    ...SAFE,
    'init',
    '--quiet',
    ...more,
    '--template=',
    '--initial-branch=main',
    `--object-format=${format}`,
    '--',
    folder,
  ];
}

/** Branches and tags of a remote; {@link parseRemoteRefs} reads the answer. */
export function listRemoteArgs(url: string): string[] {
  return [...NETWORK, 'ls-remote', '--heads', '--tags', '--', url];
}

/** main and every tag of a remote, exactly: what moved is moved, what is gone is removed. */
export function fetchArgs(url: string): string[] {
  return [
    ...NETWORK,
    '-c',
    'transfer.fsckObjects=true',
    HERE,
    'fetch',
    '--quiet',
    '--no-tags',
    '--prune',
    '--no-write-fetch-head',
    '--no-recurse-submodules',
    '--',
    url,
    ...REFSPECS,
  ];
}

/**
 * main and every tag to a remote, exactly, by force. Its other branches and refs are not touched. main goes by
 * its commit: where there is a tag named refs/heads/main, git does not know which one is meant.
 */
export function pushArgs(url: string, main: string): string[] {
  const refspecs = [`+${checkedId(main)}:${MAIN}`, `+${TAGS}*:${TAGS}*`];
  return [...NETWORK, HERE, 'push', '--quiet', '--prune', '--no-verify', '--', url, ...refspecs];
}

/**
 * main and every tag of the repository in the working directory; {@link parseRefs} reads the answer.
 * The type is asked for so that git opens each object: a missing one is a failure.
 */
export function refsArgs(): string[] {
  return [
    ...SAFE,
    HERE,
    'for-each-ref',
    '--format=%(objectname) %(objecttype) %(refname)',
    MAIN,
    TAGS.slice(0, -1),
  ];
}

/** Like {@link refsArgs}, only what is reachable on main. */
export function refsOnMainArgs(): string[] {
  return [...refsArgs().slice(0, -2), `--merged=${MAIN}`, MAIN, TAGS.slice(0, -1)];
}

/** For each object named on standard input, one line; {@link parseCommits} reads the answer. */
export function objectsArgs(): string[] {
  return [...SAFE, HERE, 'cat-file', '--batch-check'];
}

/** What the one object named on standard input holds; {@link parseBlob} reads the answer. */
export function contentArgs(): string[] {
  return [...SAFE, HERE, 'cat-file', '--batch'];
}

/** The text of a file; null where there is no such object, or it is none. Throws RangeError for what git does not write. */
export function parseBlob(output: string): string | null {
  const end = output.indexOf('\n');
  const head = output.slice(0, end);
  if (head.endsWith(' missing')) return null;
  const [id = '', type] = split(head, ' ', 3);
  checkedId(id);
  return type === 'blob' ? output.slice(end + 1, -1) : null;
}

/** Every file of a commit; {@link parseTree} reads the answer. */
export function listTreeArgs(commit: string): string[] {
  return [...SAFE, HERE, 'ls-tree', '-r', '-l', '-z', '--full-tree', checkedId(commit)];
}

/** What is other in the second commit's files: as text for people, whatever the files' own attributes ask for. */
export function diffArgs(from: string, to: string): string[] {
  return [
    ...SAFE,
    HERE,
    'diff',
    '--no-color',
    '--no-ext-diff',
    '--no-textconv',
    checkedId(from),
    checkedId(to),
    '--',
  ];
}

/** Holds a commit in a repository of ours whatever is pruned from it; no mirror and no upstream has such a ref. */
export const KEPT = 'refs/recipe-sweep/canonical';

/** Makes {@link KEPT} name the commit. */
export function keepArgs(commit: string): string[] {
  return [...SAFE, HERE, 'update-ref', KEPT, checkedId(commit)];
}

/** Writes that commit and its history to a file that any git can fetch from. */
export function bundleArgs(file: string): string[] {
  return [...SAFE, HERE, 'bundle', 'create', '--quiet', file, KEPT];
}

/** Fetches it from such a file. */
export function unbundleArgs(file: string): string[] {
  return [
    ...SAFE,
    HERE,
    'fetch',
    '--quiet',
    '--no-tags',
    '--no-write-fetch-head',
    '--',
    file,
    `+${KEPT}:${KEPT}`,
  ];
}

/** A repository with files, whose working directory is that of its files. */
const WITH_FILES = ['--git-dir=.git', '--work-tree=.'];

/**
 * Fetches one commit, without its history, from a repository of ours on this disk into one with files. Any object may be
 * asked for by its ID since version 2 of git's protocol.
 */
export function fetchAloneArgs(from: string, commit: string): string[] {
  return [
    ...SAFE,
    '-c',
    'protocol.version=2',
    ...WITH_FILES,
    'fetch',
    '--quiet',
    '--no-tags',
    '--no-write-fetch-head',
    '--no-recurse-submodules',
    '--depth=1',
    '--',
    from,
    `+${checkedId(commit)}:${KEPT}`,
  ];
}

/** Makes the files of a repository those of a commit, which HEAD then names. */
export function checkOutArgs(commit: string): string[] {
  return [...SAFE, ...WITH_FILES, 'checkout', '--quiet', '--force', '--detach', checkedId(commit)];
}

/** Holds heads of pull requests in a repository of ours; a sync of main and tags neither pushes nor prunes what is here. */
export const HEADS = 'refs/recipe-sweep/heads';

/**
 * Fetches a commit by its ID, or the head of a pull request wherever that is by now, into a ref of ours that is named by
 * the commit. All that comes is in one pack, which is there whole or not at all.
 */
export function fetchHeadArgs(url: string, commit: string, pullRequest: number | null): string[] {
  const held = `${HEADS}/${checkedId(commit)}`;
  const source = pullRequest === null ? commit : `refs/pull/${checkedNumber(pullRequest)}/head`;
  return [
    ...NETWORK,
    '-c',
    'transfer.fsckObjects=true',
    '-c',
    'fetch.unpackLimit=1',
    HERE,
    'fetch',
    '--quiet',
    '--no-tags',
    '--no-write-fetch-head',
    '--no-recurse-submodules',
    '--',
    url,
    `+${source}:${held}`,
  ];
}

/** Makes the ref of ours that is named by the commit lead to it. */
export function holdHeadArgs(commit: string): string[] {
  return [...SAFE, HERE, 'update-ref', `${HEADS}/${checkedId(commit)}`, commit];
}

/** Whether main holds the commit: exit status 0, else 1. */
export function onMainArgs(commit: string): string[] {
  return [...SAFE, HERE, 'merge-base', '--is-ancestor', checkedId(commit), MAIN];
}

/** Prints the tree that a merge of the commit into main would have; exit status 1 where they conflict. */
export function mergeTreeArgs(commit: string): string[] {
  return [
    ...SAFE,
    HERE,
    'merge-tree',
    '--write-tree',
    '--allow-unrelated-histories',
    '--no-messages',
    MAIN,
    checkedId(commit),
  ];
}

/** Prints main's own tree. */
export function mainTreeArgs(): string[] {
  return [...SAFE, HERE, 'rev-parse', '--verify', '--quiet', `${MAIN}^{tree}`];
}

/** Fills the index named by GIT_INDEX_FILE with a commit's tree. */
export function readTreeArgs(commit: string): string[] {
  return [...SAFE, HERE, 'read-tree', checkedId(commit)];
}

/** Writes every file of the index named by GIT_INDEX_FILE into an empty folder. */
export function checkoutIndexArgs(folder: string): string[] {
  return [...SAFE, HERE, `--work-tree=${folder}`, 'checkout-index', '--quiet', '--all'];
}

/**
 * The contents of a repository's info/attributes for checkouts that are the commit's own bytes: it stands
 * above the .gitattributes that the commit brings along (line ends, keywords, filters, encodings).
 */
export const NO_CONVERSIONS = '* -text -ident !eol !filter !working-tree-encoding\n';

/** Whether a text is a whole object ID (SHA-1 or SHA-256). */
export function isObjectId(text: string): boolean {
  return /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(text);
}

function checkedId(text: string): string {
  if (!isObjectId(text)) throw new RangeError(`not a whole object ID: ${JSON.stringify(text)}`);
  return text;
}

function checkedNumber(number: number): number {
  if (!Number.isSafeInteger(number) || number < 1)
    throw new RangeError(`no pull request's number: ${number}`);
  return number;
}

/** Throws RangeError on a line that git does not write. */
export function parseRemoteRefs(output: string): RemoteRefs {
  const tags = new Map<string, string>();
  const peeled = new Map<string, string>();
  let main: string | null = null;
  for (const line of lines(output)) {
    const [id = '', ref = ''] = split(line, '\t', 2);
    checkedId(id);
    if (ref === MAIN) main = id;
    if (!ref.startsWith(TAGS)) continue;
    const tag = ref.slice(TAGS.length);
    if (tag.endsWith('^{}')) {
      peeled.set(tag.slice(0, -'^{}'.length), id);
    } else {
      tags.set(tag, id);
      peeled.set(tag, id);
    }
  }
  return { main, tags, peeled };
}

/** Throws RangeError on a line that git does not write. */
export function parseRefs(output: string): Refs {
  const tags = new Map<string, string>();
  let main: string | null = null;
  for (const line of lines(output)) {
    const [id = '', , ref = ''] = split(line, ' ', 3);
    checkedId(id);
    if (ref === MAIN) main = id;
    if (ref.startsWith(TAGS)) tags.set(ref.slice(TAGS.length), id);
  }
  return { main, tags };
}

export function sameRefs(a: Refs, b: Refs): boolean {
  return (
    a.main === b.main &&
    a.tags.size === b.tags.size &&
    [...a.tags].every(([tag, object]) => b.tags.get(tag) === object)
  );
}

/** One entry per object asked for, in that order: the commit, or null for another type or a missing object. */
export function parseCommits(output: string): (string | null)[] {
  return lines(output).map((line) => /^([0-9a-f]+) commit \d+$/.exec(line)?.[1] ?? null);
}

/** How many files there are, and how many bytes they hold; a submodule holds none. */
export function parseTree(output: string): { files: number; bytes: number } {
  const entries = output.split('\0').slice(0, -1);
  const sizes = entries.map((entry) => Number(/^\d+ blob [0-9a-f]+ +(\d+)\t/.exec(entry)?.[1] ?? 0));
  return { files: entries.length, bytes: sizes.reduce((sum, size) => sum + size, 0) };
}

function lines(output: string): string[] {
  return output.split('\n').filter((line) => line !== '');
}

/** Splits into at most `count` parts; the last keeps whatever separators it holds. */
function split(line: string, separator: string, count: number): string[] {
  const parts = line.split(separator);
  return [...parts.slice(0, count - 1), parts.slice(count - 1).join(separator)];
}
