import { expect, test } from 'vitest';
import { messageOf } from '../../alerts/message.ts';
import { fleetPage, recipePage, runPage } from '../../domain/site-url.ts';
import type { KeptAlert } from '../../host/store/alerts.ts';

const SITE = 'https://ci.example.org/below//';

test('pages are below the address that the configuration says', () => {
  expect(fleetPage(SITE)).toBe('https://ci.example.org/below/');
  expect(recipePage(SITE, 'gitea')).toBe('https://ci.example.org/below/recipe/gitea/');
  expect(runPage(SITE, 'by%20hand:1/gitea')).toBe('https://ci.example.org/below/runs/by%2520hand:1/gitea/');
});

test('an alert leads to the page of what it is about, and is no other alert for that', () => {
  const at = '2025-01-01T00:00:00.000Z';
  const alert = (subject: KeptAlert['subject']): KeptAlert => ({
    schema: 2,
    kind: 'tag-moved',
    subject,
    message: 'the tag moved',
    evidence: null,
    advice: 'look at it',
    run: 'sweep-1/gitea',
    since: at,
    lastSeen: at,
    ended: null,
  });
  const told = (serve: { listen: string; url?: string }, subject: KeptAlert['subject']) =>
    messageOf({ host: 'ci-1', zone: 'ci.example.org', serve }, alert(subject), 'holds', false);
  const [listen, gitea] = ['127.0.0.1:8080', { is: 'recipe', name: 'gitea' } as const];
  const withPage = told({ listen, url: SITE }, gitea);
  expect(withPage.text).toMatch(/\nMore: https:\/\/ci.example.org\/below\/recipe\/gitea\/$/);
  expect(told({ listen, url: SITE }, { is: 'host', name: 'ci-1' }).text).toMatch(/below\/$/);
  expect(told({ listen }, gitea).text).not.toContain('More');
  expect(told({ listen }, gitea).id).toBe(withPage.id);
});
