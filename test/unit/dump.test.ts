import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, expect, it } from 'vitest';
import { lackOfDump } from '../../host/data/dump.ts';

/** What is said of dumps, whole and not. */

const folder = mkdtempSync(path.join(tmpdir(), 'dump-'));
const signal = new AbortController().signal;
const ROWS = 'INSERT INTO notes VALUES (1);\n'.repeat(1_000);

afterAll(() => rmSync(folder, { recursive: true }));

async function lack(content: string | Buffer): Promise<string | null> {
  const name = path.join(folder, 'dump');
  writeFileSync(name, content);
  const file = await open(name);
  try {
    return await lackOfDump(file, signal);
  } finally {
    await file.close();
  }
}

const POSTGRES = `--
-- PostgreSQL database dump
--

\\restrict 1234

${ROWS}
--
-- PostgreSQL database dump complete
--

\\unrestrict 1234

`;
const CLUSTER = `--\n-- PostgreSQL database cluster dump\n--\n\n${POSTGRES}--\n-- PostgreSQL database cluster dump complete\n--\n\n`;
const MARIADB = `/*M!999999\\- enable the sandbox mode */ \n-- MariaDB dump 10.19\n--\n${ROWS}\n-- Dump completed on 2026-11-01  3:00:00\n`;

it.each([
  ['pg_dump', POSTGRES],
  ['pg_dumpall', CLUSTER],
  ['mariadb-dump', MARIADB],
  ['a format that does not tell', 'PGDMP\u0001\u000e'],
  ['one row', '42\n'],
])('nothing against a whole one: %s, plain and packed', async (_, content) => {
  expect(await lack(content)).toBeNull();
  expect(await lack(gzipSync(content))).toBeNull();
  expect(await lack(Buffer.concat([gzipSync(content.slice(0, 3)), gzipSync(content.slice(3))]))).toBeNull();
});

it.each([
  ['pg_dump', POSTGRES, '-- PostgreSQL database dump complete'],
  ['pg_dumpall', CLUSTER, '-- PostgreSQL database cluster dump complete'],
  ['mariadb-dump', MARIADB, '-- Dump completed'],
])('that the end is missing: %s', async (_, content, end) => {
  const cut = content.slice(0, content.lastIndexOf(end));
  expect(await lack(cut)).toBe(`is cut: it does not end with "${end}"`);
  expect(await lack(gzipSync(cut))).toBe(`is cut: it does not end with "${end}"`);
});

it('that it is empty, also where an empty one was packed', async () => {
  expect(await lack('')).toBe('is empty');
  expect(await lack(gzipSync(''))).toBe('is empty once it is unpacked');
});

it('that what was packed is cut, or no more what it was', async () => {
  const packed = gzipSync(POSTGRES);
  expect(await lack(packed.subarray(0, -9))).toBe('is cut or broken: gzip says unexpected end of file');
  packed.fill(0xff, 20, 40);
  expect(await lack(packed)).toMatch(/^is cut or broken: gzip says /);
});
