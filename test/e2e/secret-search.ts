import { readdirSync, readFileSync } from 'node:fs';
import { lstat, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Client } from '@temporalio/client';
import { html } from '../../site/html.ts';

/** Looks for planted secrets in everything that a run leaves behind or shows while it goes on. */

/** The ways in which a text is commonly written. */
export function formsOf(secret: string): string[] {
  const bytes = Buffer.from(secret);
  return [
    secret,
    encodeURIComponent(secret),
    bytes.toString('base64').replace(/=+$/, ''),
    bytes.toString('hex'),
    String(html`${secret}`),
  ];
}

/** Every history of every workflow, its payloads decoded: by workflow. */
export async function everyHistory(client: Client): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for await (const { workflowId, runId, memo } of client.workflow.list()) {
    const handle = client.workflow.getHandle(workflowId, runId);
    const texts: string[] = [JSON.stringify(memo) ?? ''];
    collect(await handle.fetchHistory(), texts);
    found.set(`${workflowId} ${runId}`, texts.join('\n'));
  }
  return found;
}

/** Every text in a history, and what its bytes are as text: payloads are JSON inside. */
function collect(value: unknown, texts: string[]): void {
  if (typeof value === 'string') texts.push(value);
  else if (value instanceof Uint8Array) texts.push(Buffer.from(value).toString('utf8'));
  else if (Array.isArray(value)) for (const item of value) collect(item, texts);
  else if (typeof value === 'object' && value !== null) {
    for (const [key, item] of Object.entries(value)) {
      texts.push(key);
      collect(item, texts);
    }
  }
}

/** The bytes of every file below a folder but those named, as Latin-1: by path. */
export async function everyFile(folder: string, but: ReadonlySet<string>): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const look = async (file: string): Promise<void> => {
    if (but.has(file)) return;
    const seen = await lstat(file);
    if (seen.isDirectory()) for (const name of await readdir(file)) await look(path.join(file, name));
    else if (seen.isFile()) found.set(file, (await readFile(file)).toString('latin1'));
  };
  await look(folder);
  return found;
}

/** Samples what a process listing shows of every process but those left out. */
export interface ProcessWatch {
  /** What was seen so far, by command line: that line, and the environments it ran in. */
  seen: ReadonlyMap<string, string>;
  stop(): void;
}

export function watchProcesses(but: () => ReadonlySet<number>, everyMs = 100): ProcessWatch {
  const seen = new Map<string, string>();
  const known = new Map<string, string>();
  let stopped = false;
  // Without a thread for each: that would take a third of a processor from what is watched.
  const read = (pid: string, file: string): string => {
    try {
      return readFileSync(`/proc/${pid}/${file}`, 'latin1');
    } catch {
      // It has ended meanwhile.
      return '';
    }
  };
  const look = (): void => {
    const left = but();
    const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && !left.has(Number(name)));
    for (const pid of pids) {
      const command = read(pid, 'cmdline');
      if (command === '' || known.get(pid) === command) continue;
      known.set(pid, command);
      const line = command.replaceAll('\0', ' ');
      const environment = read(pid, 'environ').replaceAll('\0', ' ');
      const before = seen.get(line) ?? line;
      if (!before.includes(environment)) seen.set(line, `${before}\n${environment}`);
    }
    if (!stopped) setTimeout(look, everyMs);
  };
  look();
  return {
    seen,
    stop() {
      stopped = true;
    },
  };
}
