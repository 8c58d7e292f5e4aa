import { CANARY, type HostileCase } from './hostile-case.ts';

/**
 * Names and objects in an upstream repository, written by plumbing where git's own commands refuse them. The
 * repository has a proper release 1.0.0+1 on main besides.
 */
export interface RefCase extends HostileCase {
  /** Refs to write, by full name, and what each points at: the release's commit when nothing is said. */
  refs?: readonly { name: string; to?: 'blob' | 'missing' | 'off main' | 'main by name' }[];
  /** Lines of packed-refs, in Latin-1, `<commit> ` before each, where even plumbing refuses the name. */
  packed?: readonly string[];
  /** Entries of the released tree: mode, name, and the text of the file or the target of the link. */
  tree?: readonly { mode: '100644' | '120000'; name: string; text: string }[];
  /** Trees that each hold the one before ten times, around one file: the depth of them. */
  bombDepth?: number;
}

const RTL = '\u202e';

export const REF_CASES: readonly RefCase[] = [
  { name: 'tag-option', hostile: 'a tag named -f', refs: [{ name: 'refs/tags/-f' }], says: null },
  {
    name: 'tag-substitution',
    hostile: 'a tag that a shell would run',
    refs: [{ name: `refs/tags/$(touch\${IFS}${CANARY})` }],
    says: null,
  },
  {
    name: 'tag-backticks',
    hostile: 'a tag in backticks, with a pipe and a semicolon',
    refs: [{ name: `refs/tags/\`touch\${IFS}${CANARY}\`|;touch\${IFS}${CANARY};` }],
    says: null,
  },
  {
    name: 'tag-upload-pack',
    hostile: 'a tag named like an option that names a program',
    refs: [{ name: `refs/tags/--upload-pack=touch\${IFS}${CANARY}` }],
    says: null,
  },
  {
    name: 'tag-abbreviated-option',
    hostile: 'a tag named like an abbreviated option',
    refs: [{ name: `refs/tags/--exec=touch\${IFS}${CANARY}` }],
    says: null,
  },
  {
    name: 'tag-output-option',
    hostile: 'a tag named like an option that writes a file',
    refs: [{ name: `refs/tags/--output=${CANARY}` }],
    says: null,
  },
  { name: 'tag-head', hostile: 'a tag named HEAD', refs: [{ name: 'refs/tags/HEAD' }], says: null },
  {
    name: 'tag-full-ref',
    hostile: 'a tag named refs/heads/main',
    refs: [{ name: 'refs/tags/refs/heads/main', to: 'off main' }],
    says: null,
  },
  {
    name: 'tag-commit-id',
    hostile: 'a tag named like a whole commit ID',
    refs: [{ name: `refs/tags/${'c'.repeat(40)}`, to: 'off main' }],
    says: null,
  },
  {
    name: 'tag-right-to-left',
    hostile: 'a release tag written from right to left',
    refs: [{ name: `refs/tags/9.0.0+${RTL}1` }],
    says: null,
  },
  {
    name: 'tag-lookalike',
    hostile: 'a release tag with a Cyrillic letter and a full-width digit',
    refs: [{ name: 'refs/tags/9.0.0+а１' }],
    says: null,
  },
  {
    name: 'tag-endless-number',
    hostile: 'a release tag with a number of a hundred digits',
    refs: [{ name: `refs/tags/${'9'.repeat(100)}.0.0+1` }],
    says: null,
  },
  {
    name: 'tag-path',
    hostile: 'a release tag whose app version climbs out of a folder',
    refs: [{ name: 'refs/tags/9.0.0+x/etc/passwd' }],
    says: null,
  },
  {
    name: 'tag-300-characters',
    hostile: 'a tag of 300 characters',
    packed: [`refs/tags/${'x'.repeat(300)}`],
    says: 'is longer than 250 bytes',
  },
  {
    name: 'tag-not-utf8',
    hostile: 'a tag that is no UTF-8',
    packed: ['refs/tags/1.0.1+\xff\xfe'],
    says: 'is not UTF-8',
  },
  {
    name: 'tag-20000',
    hostile: 'twenty thousand tags',
    packed: Array.from({ length: 20_000 }, (_, index) => `refs/tags/noise-${index}`).sort(),
    says: null,
  },
  {
    name: 'branch-like-tag',
    hostile: 'a branch named like the release tag, at another commit',
    refs: [{ name: 'refs/heads/1.0.0+1', to: 'off main' }],
    says: null,
  },
  {
    name: 'tag-like-branch',
    hostile: 'a tag named main, at another commit',
    refs: [{ name: 'refs/tags/main', to: 'off main' }],
    says: null,
  },
  {
    name: 'release-off-main',
    hostile: 'a newer release tag on a commit that was never merged',
    refs: [{ name: 'refs/tags/9.0.0+1', to: 'off main' }],
    says: null,
  },
  {
    name: 'release-of-a-blob',
    hostile: 'a newer release tag on a file instead of a commit',
    refs: [{ name: 'refs/tags/9.0.0+1', to: 'blob' }],
    says: null,
  },
  {
    name: 'release-of-nothing',
    hostile: 'a release tag on an object that does not exist',
    refs: [{ name: 'refs/tags/9.0.0+1', to: 'missing' }],
    says: 'not our ref',
  },
  {
    name: 'tag-symbolic',
    hostile: 'a tag that is another name of main',
    refs: [{ name: 'refs/tags/follows-main', to: 'main by name' }],
    says: null,
  },
  {
    name: 'tree-dot-git',
    hostile: 'a tree that brings a .git folder with a hook',
    tree: [{ mode: '100644', name: '.git', text: `[core]\n\tfsmonitor = touch ${CANARY}\n` }],
    says: 'hasDotgit',
  },
  {
    name: 'tree-dot-dot',
    hostile: 'a tree with an entry named ..',
    tree: [{ mode: '100644', name: '..', text: 'x' }],
    says: 'hasDotdot',
  },
  {
    name: 'tree-path',
    hostile: 'a tree whose entry is a path out of the checkout',
    tree: [{ mode: '100644', name: '../../outside/canary', text: 'x' }],
    says: 'fullPathname',
  },
  {
    name: 'tree-link-and-folder',
    hostile: 'a tree with a link to a folder outside and a file below the same name',
    tree: [
      { mode: '120000', name: 'data', text: '../../outside' },
      { mode: '100644', name: 'data', text: 'x' },
    ],
    says: 'contains duplicate file entries',
  },
  {
    name: 'tree-modules',
    hostile: 'a submodule whose URL is an option of ssh',
    tree: [
      {
        mode: '100644',
        name: '.gitmodules',
        text: `[submodule "x"]\n\tpath = x\n\turl = -oProxyCommand=touch ${CANARY}\n`,
      },
    ],
    says: 'gitmodulesUrl',
  },
  {
    name: 'tree-attributes',
    hostile: 'attributes that name a filter and a merge driver',
    tree: [{ mode: '100644', name: '.gitattributes', text: '* filter=lfs diff=x merge=x -text ident\n' }],
    says: null,
  },
  {
    name: 'tree-bomb',
    hostile: 'a few trees that stand for a hundred million files',
    bombDepth: 8,
    says: 'printed more than',
  },
  {
    name: 'tree-many-files',
    hostile: 'a hundred thousand files',
    bombDepth: 5,
    says: 'holds 100001 files',
  },
];
