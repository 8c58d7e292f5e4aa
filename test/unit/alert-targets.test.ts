import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { alertAccess, alertTargets, ALERT_TARGETS_SCHEMA } from '../../host/config/alert-targets.ts';
import { readConfig } from '../../host/config/config.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'alert-targets-'));
});
afterEach(() => rm(folder, { recursive: true }));

const MINIMAL =
  'host: ci-1\nzone: ci.example.org\nstate: state\nrecipes: recipes\nmirrors: /mirrors/{recipe}\n';

async function read(alerts: unknown): ReturnType<typeof readConfig> {
  const file = path.join(folder, 'recipe-sweep.yml');
  await writeFile(file, `${MINIMAL}alerts: ${JSON.stringify(alerts)}\n`);
  return readConfig(file);
}
const refusal = (alerts: unknown): Promise<string> =>
  read(alerts).then(
    () => 'accepted',
    (error: Error) => error.message,
  );

const MAIL = { to: ['ops@example.org'], from: 'ci@example.org', server: 'smtps://mail.example.org:465' };

test('the example that stands in comments is one', async () => {
  const example = await readFile(path.join(import.meta.dirname, '../../recipe-sweep.example.yml'), 'utf8');
  const [section = ''] = /^# alerts:\n(?:# {2}.*\n)+/m.exec(example) ?? [];
  const written = (parse(section.replaceAll(/^# /gm, '')) as { alerts: unknown }).alerts;
  const targets = alertTargets((await read(written)).alerts);
  expect(targets.map(({ name }) => name)).toEqual([
    'webhook at https://hooks.example.org',
    'webhook of /etc/recipe-sweep/alerts-webhook-url',
    'mail to ops@example.org',
    'ntfy at https://ntfy.example.org',
    'ntfy of /etc/recipe-sweep/alerts-ntfy-url',
  ]);
});

test('files are relative to the configuration', async () => {
  const { alerts } = await read([{ webhook: { urlFile: 'url', tokenFile: '/token' } }]);
  expect(alerts).toEqual([{ webhook: { urlFile: path.join(folder, 'url'), tokenFile: '/token' } }]);
});

describe('what is written wrong is named by its place', () => {
  test.each([
    ['nothing', [{}], 'alerts.0: needs one of webhook, mail and ntfy'],
    ['two in one', [{ webhook: { url: 'http://a.test' }, mail: MAIL }], 'alerts.0: needs one of'],
    ['another kind', [{ sms: {} }], 'alerts.0.sms: unknown key'],
    ['no URL', [{ webhook: {} }], 'alerts.0.webhook: needs url or urlFile'],
    ['both', [{ ntfy: { url: 'http://a.test/b', urlFile: 'x' } }], 'alerts.0.ntfy: needs url or urlFile'],
    ['a URL of nothing', [{ webhook: { url: 'chat' } }], 'alerts.0.webhook.url'],
    ['a file', [{ webhook: { url: 'file:///etc/passwd' } }], 'alerts.0.webhook.url'],
    [
      'a password in a URL',
      [{ webhook: { url: 'https://u:hunter2@a.test/' } }],
      'write a token in tokenFile',
    ],
    [
      'a token itself',
      [{ ntfy: { url: 'http://a.test/b', token: 'tk' } }],
      'alerts.0.ntfy.token: unknown key',
    ],
    ['nobody', [{ mail: { ...MAIL, to: [] } }], 'alerts.0.mail.to'],
    ['two lines', [{ mail: { ...MAIL, to: ['a@b.test\r\nBcc: c@d.test'] } }], 'alerts.0.mail.to.0'],
    ['no port', [{ mail: { ...MAIL, server: 'smtp://mail.example.org' } }], 'alerts.0.mail.server'],
    [
      'no such port',
      [{ mail: { ...MAIL, server: 'smtp://mail.example.org:99999' } }],
      'alerts.0.mail.server',
    ],
    ['half a login', [{ mail: { ...MAIL, user: 'ci' } }], 'user and passwordFile go together'],
    ['one twice', [{ mail: MAIL }, { mail: MAIL }], 'alerts.1: mail to ops@example.org is named twice'],
  ])('%s', async (_what, alerts, says) => {
    const message = await refusal(alerts);
    expect(message).toContain(says);
    expect(message).not.toContain('hunter2');
  });
});

test('a mail is a target for each address, and known by it and the server', () => {
  const settings = ALERT_TARGETS_SCHEMA.parse([{ mail: { ...MAIL, to: ['a@b.test', 'c@d.test'] } }]);
  const more = ALERT_TARGETS_SCHEMA.parse([
    { webhook: { url: 'https://a.test/' } },
    { mail: { ...MAIL, to: ['c@d.test'], from: 'other@example.org' } },
  ]);
  const [, second] = alertTargets(settings);
  expect(alertTargets(more)[1]?.key).toBe(second?.key);
  expect(new Set([...alertTargets(settings), ...alertTargets(more)].map(({ key }) => key)).size).toBe(3);
});

describe('a file that holds something else is refused, and not quoted', () => {
  const accessOf = async (target: unknown): Promise<unknown> => {
    const { alerts } = await read([target]);
    const [first] = alertTargets(alerts);
    return first && alertAccess(first);
  };

  test.each([
    ['no URL', { webhook: { urlFile: 'file' } }, 'hunter2', 'holds no URL'],
    ['a URL with a login', { webhook: { urlFile: 'file' } }, 'https://u:hunter2@a.test/', 'holds no URL'],
    ['two URLs', { webhook: { urlFile: 'file' } }, 'https://a.test/hunter2\nhttps://b.test/', 'holds no URL'],
    ['no topic', { ntfy: { urlFile: 'file' } }, 'https://a.test/hunter2/', "no topic's URL"],
    ['two words', { ntfy: { url: 'https://a.test/b', tokenFile: 'file' } }, 'hunter2 b', 'more than a token'],
    ['nothing', { mail: { ...MAIL, user: 'ci', passwordFile: 'file' } }, '\n', 'is empty'],
  ])('%s', async (_what, target, text, says) => {
    await writeFile(path.join(folder, 'file'), text);
    const error = (await accessOf(target).catch((thrown: unknown) => thrown)) as Error;
    expect(error).toMatchObject({ type: 'BadConfig' });
    expect(error.message).toContain(says);
    expect(error.message).toContain('alerts.0.');
    expect(error.message).not.toContain('hunter2');
  });

  test('what it should is read without the line end', async () => {
    await writeFile(path.join(folder, 'file'), 'https://a.test/topics/alerts-1\n');
    expect(await accessOf({ ntfy: { urlFile: 'file' } })).toEqual({
      is: 'ntfy',
      url: 'https://a.test/topics/',
      topic: 'alerts-1',
      token: null,
    });
  });
});
