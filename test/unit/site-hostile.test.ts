import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createSite, siteFolder } from '../../site/write-site.ts';
import { parseDocument } from '../fixtures/documents.ts';
import { hostileTexts, PAGE_ATTACKS, writeHostileState } from '../fixtures/hostile-site.ts';
import { plainConfig } from '../fixtures/plain-config.ts';

/** The site of a host where every text that others write is hostile. */

const UI = 'http://temporal.example.org';
const TEXTS = hostileTexts();

let folder: string;
let problems: string[];
let files: Map<string, Buffer>;
beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'site-hostile-'));
  const { now, ...given } = await writeHostileState(folder, TEXTS, new Date(Date.now() - 60_000));
  const config = plainConfig({
    ...given,
    host: 'ci-1',
    temporal: { address: '', namespace: 'default', ui: UI },
    retention: { sweeps: 1e12, evidence: 1e12, alerts: 1e12, images: 1e12 },
  });
  ({ problems } = await createSite(config).update(now));
  const root = siteFolder(config);
  files = new Map();
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name);
    if (entry.isFile()) files.set(path.relative(root, file), await readFile(file));
  }
}, 300_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

const pages = (): [string, string][] =>
  [...files]
    .filter(([file]) => file.endsWith('.html'))
    .map(([file, content]) => [file, content.toString('utf8')]);

/** What the templates of the site are made of, and nothing else. */
const TAGS: Record<string, readonly string[]> = {
  '!doctype': ['html'],
  html: ['lang'],
  head: [],
  meta: ['charset', 'http-equiv', 'content', 'name'],
  title: [],
  link: ['rel', 'href', 'type', 'title'],
  body: [],
  header: [],
  nav: ['aria-label'],
  main: ['id'],
  footer: [],
  section: [],
  a: ['href', 'class', 'title'],
  span: ['class', 'aria-hidden'],
  h1: [],
  h2: ['id'],
  h3: [],
  small: [],
  p: ['class'],
  ul: ['class'],
  li: ['class'],
  dl: ['class'],
  dt: [],
  dd: ['class'],
  div: ['class', 'role', 'aria-label', 'aria-labelledby', 'tabindex'],
  table: ['class'],
  caption: [],
  thead: [],
  tbody: [],
  tr: [],
  th: ['scope', 'class'],
  td: ['class', 'title'],
  time: ['datetime'],
  code: ['class'],
  strong: [],
  br: [],
  pre: ['class', 'tabindex', 'role', 'aria-label', 'aria-labelledby', 'id'],
  img: ['src', 'alt', 'loading', 'width', 'height'],
  figure: [],
  figcaption: [],
  details: [],
  summary: [],
  svg: ['class', 'viewBox', 'role', 'aria-label', 'aria-hidden'],
  path: ['class', 'd'],
  circle: ['class', 'cx', 'cy', 'r'],
  line: ['class', 'x1', 'x2', 'y1', 'y2'],
  text: ['x', 'y', 'class', 'text-anchor'],
};

interface Tag {
  whole: string;
  name: string;
  closes: boolean;
  attributes: (readonly [name: string, value: string])[];
}

const TAG = /<(\/?)(!?[a-zA-Z][a-zA-Z0-9]*)((?:\s+[^\s"'<>=/]+(?:=(?:"[^"]*"|[^\s"'<>=`]+))?)*)\s*\/?>/g;
const ATTRIBUTE = /\s([^\s"'<>=/]+)(?:=(?:"([^"]*)"|([^\s"'<>=`]+)))?/g;

const tagsIn = (page: string): Tag[] =>
  [...page.matchAll(TAG)].map(([whole, slash, name = '', attributes = '']) => ({
    whole,
    name: name.toLowerCase(),
    closes: slash !== '',
    attributes: [...attributes.matchAll(ATTRIBUTE)].map(
      ([, attribute = '', quoted, bare]) => [attribute, unescaped(quoted ?? bare ?? '')] as const,
    ),
  }));

const unescaped = (text: string): string =>
  [
    ['&lt;', '<'],
    ['&gt;', '>'],
    ['&quot;', '"'],
    ['&#39;', "'"],
    ['&amp;', '&'],
  ].reduce((rest, [entity = '', character = '']) => rest.replaceAll(entity, character), text);

const isLink = (attribute: string): boolean => attribute === 'href' || attribute === 'src';

/** Of this site, as a link that is seen from the page; or of the Temporal UI. */
function isOurs(link: string): boolean {
  return (
    link.startsWith(`${UI}/`) ||
    (!/^(?:[a-z][a-z0-9+.-]*:|\/\/|\\)/i.test(link) && /^[\w%~.:@!'()*&/#-]*$/.test(link))
  );
}

/** What stands in a page that no template of ours writes. */
function strangersIn(page: string): string[] {
  const strangers = tagsIn(page).flatMap(({ whole, name, closes, attributes }) => {
    const allowed = TAGS[name];
    const isStrange = ([attribute, value]: readonly [string, string]): boolean =>
      allowed?.includes(attribute) !== true || (isLink(attribute) && !isOurs(value));
    return allowed === undefined || (closes && attributes.length > 0) || attributes.some(isStrange)
      ? [whole]
      : [];
  });
  const rest = page.replaceAll(TAG, '');
  return [...strangers, ...(rest.match(/.{0,80}[<>].{0,80}/g) ?? [])];
}

test('there is a page for each text, and none that could not be written', () => {
  expect(problems).toEqual([]);
  expect(files.get('recipe/recipe-0/index.html')?.includes('dropped on')).toBe(true);
  for (const place of TEXTS.keys()) expect(files.has(`recipe/recipe-${place}/index.html`)).toBe(true);
  expect(TEXTS.length).toBeGreaterThan(200);
  expect(PAGE_ATTACKS.every((text) => TEXTS.includes(text))).toBe(true);
});

test('no page has an element, an attribute or a link that is not of ours', () => {
  const found = pages().flatMap(([file, page]) =>
    strangersIn(page).map((one) => `${file}: ${one.slice(0, 200)}`),
  );
  expect(found).toEqual([]);
});

test('the search for them finds each way in', () => {
  for (const text of [
    '<script>',
    '<img src=x onerror=y>',
    '<a onclick="x">',
    '<p class="x" onclick=y>',
    '<a href="javascript:x">',
  ]) {
    expect(strangersIn(`<p>${text}</p>`), text).not.toEqual([]);
  }
  expect(strangersIn('<a href="//elsewhere.example">x</a>')).not.toEqual([]);
  expect(strangersIn('<p class="meta">a &lt;b&gt; &quot;c&quot;</p>')).toEqual([]);
});

describe('nothing in a file steers who reads it', () => {
  const HIDDEN = /[^\P{C}\n\t]|[\p{Zl}\p{Zp}]/u;

  test.each(['html', 'xml', 'svg'])('of those that end with %s', (ending) => {
    const found = [...files].filter(
      ([file, content]) => file.endsWith(`.${ending}`) && HIDDEN.test(content.toString('utf8')),
    );
    expect(found.map(([file]) => file)).toEqual([]);
  });
});

test('feeds and badges have no markup of others', () => {
  const ELEMENTS =
    /<(?!\/?(?:feed|id|title|updated|author|name|entry|link|summary)[\s/>]|\?xml version="1\.0" encoding="utf-8"\?>)/;
  for (const [file, content] of files) {
    const text = content.toString('utf8');
    if (file.endsWith('.xml')) expect(ELEMENTS.test(text), file).toBe(false);
    if (file.startsWith('badge/')) expect(/<script|<image|<foreign|onload|<a /i.test(text), file).toBe(false);
  }
});

test('index.json is the document that is promised, in which strings are for programs', () => {
  expect(files.get('index.json')?.some((byte) => byte < 0x20 && byte !== 0x0a)).toBe(false);
  const index = parseDocument('index.json', files.get('index.json')?.toString('utf8') ?? '');
  expect(index.recipes.length).toBeGreaterThan(TEXTS.length / 2);
});

test('every file is named so that a web server can show it, and is a page, a picture or one of ours', () => {
  const names = [...files.keys()].filter((file) => !/^\.(?:made-by)$/.test(file));
  expect(names.filter((file) => file.split('/').some((part) => part.startsWith('.')))).toEqual([]);
  expect(names.filter((file) => !/\.(?:html|png|svg|xml|json|css)$/.test(file))).toEqual([]);
  expect(names.filter((file) => file.endsWith('.svg') && !/^(?:badge\/[^/]+|icon)\.svg$/.test(file))).toEqual(
    [],
  );
});

test('every link leads to a file', () => {
  const dead: string[] = [];
  for (const [file, page] of pages()) {
    const at = new URL(file.split('/').map(encodeURIComponent).join('/'), 'http://site/');
    const links = tagsIn(page).flatMap(({ attributes }) => attributes.filter(([name]) => isLink(name)));
    for (const [, link] of links) {
      const to = new URL(link, at);
      if (to.origin === UI) continue;
      const place = decodeURIComponent(to.pathname.slice(1));
      if (!files.has(place === '' || place.endsWith('/') ? `${place}index.html` : place))
        dead.push(`${file}: ${link}`);
    }
  }
  expect(dead).toEqual([]);
});
