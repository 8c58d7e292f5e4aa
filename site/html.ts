import { html as template, raw } from 'hono/html';
import type { HtmlEscapedString } from 'hono/utils/html';
import { quotable, quotableLine } from '../domain/printable.ts';

/** The frame of every page, and how the text of others gets into it. */

export { raw };

/** A piece of a page: what others wrote is escaped in it. */
export type Html = HtmlEscapedString;

/** Answers at once: nothing in a page is waited for. */
export const html = template as (strings: TemplateStringsArray, ...values: unknown[]) => Html;

/** The same, for what there is a thousand of: no formatter of code puts blanks into it. */
export const compact = (strings: TemplateStringsArray, ...values: unknown[]): Html =>
  html(strings, ...values);

/** One line of a text that others wrote, fit to be shown. */
export function said(text: string): string {
  return quotableLine(text);
}

/** The same of a text whose lines stay lines. */
export function saidLines(text: string): string {
  return quotable(text);
}

/**
 * What a page may do: show text, its style sheet, and pictures of this site. No script runs and nothing is asked of any
 * other place, whatever stands in it.
 */
export const POLICY =
  "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'";

export interface Page {
  /** In the window's title and in the heading; text of ours, or fit to be shown. */
  title: string;
  /** How many folders below the site's own it stands. */
  depth: number;
  /** The name of this installation's host. */
  host: string;
  /** The way here, from the fleet on: each a title and a link seen from the page. */
  path?: readonly { title: string; href: string }[];
  /** A picture for the page's tab, seen from the site's folder; none by default. */
  icon?: string;
  body: Html;
}

/** The link from a page of that depth to the site's own folder. */
export function upFrom(depth: number): string {
  return depth === 0 ? './' : '../'.repeat(depth);
}

/** A whole page, as it is written to a file. */
export function page({ title, depth, host, path = [], body }: Page): string {
  const up = upFrom(depth);
  return String(
    html`<!doctype html>
      <html lang="en">
        <head>
          <meta charset="utf-8" />
          <meta http-equiv="Content-Security-Policy" content="${POLICY}" />
          <meta name="viewport" content="width=device-width, initial-scale=1" />
          <meta name="referrer" content="no-referrer" />
          <meta name="color-scheme" content="light dark" />
          <title>${title} · ${host}</title>
          <link rel="stylesheet" href="${up}style.css" />
          <link rel="icon" href="${up}icon.svg" type="image/svg+xml" />
          <link
            rel="alternate"
            type="application/atom+xml"
            title="what changed on ${host}"
            href="${up}feed.xml"
          />
        </head>
        <body>
          <a class="to-content" href="#content">to the content</a>
          <header>
            <nav aria-label="the way here">
              <a class="home" href="${up}">recipe-sweep on ${host}</a>${path.map(
                (step) => html` <span aria-hidden="true">›</span> <a href="${step.href}">${step.title}</a>`,
              )}
            </nav>
          </header>
          <main id="content">
            <h1>${title}</h1>
            ${body}
          </main>
          <footer>
            <p>
              Made by recipe-sweep from what is on the disk of ${host}. <a href="${up}feed.xml">Feed</a> ·
              <a href="${up}index.json">JSON</a>
            </p>
          </footer>
        </body>
      </html> `,
  );
}

/** A folder or file of the site as a link: each part of it is a name. */
export function linkTo(...parts: readonly string[]): string {
  return parts.map((part) => encodeURIComponent(part).replaceAll('%3A', ':')).join('/');
}

/** A moment as a reader's program knows it, with the words that people read. */
export function moment(iso: string, words = iso.slice(0, 16).replace('T', ' ') + ' UTC'): Html {
  return html`<time datetime="${iso}">${words}</time>`;
}

/** The day of a moment. */
export function day(iso: string): Html {
  return moment(iso, iso.slice(0, 10));
}
