/**
 * What the tests of the site run inside a page: JavaScript, since no other code of ours knows a browser's names. Each
 * function is sent there alone.
 */

/** What axe finds wrong, a line each. `axe` is there already. */
export async function violations() {
  const { violations: found, passes } = await globalThis.axe.run();
  return [
    ...(passes.length > 10 ? [] : ['hardly anything was looked at']),
    ...found.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 200)).join(' | ')}`),
  ];
}

/** What is wider than the window, where all of the page would move to the side. */
export function overflow() {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return [];
  const wide = [...document.querySelectorAll('body *')].filter(
    (one) => one.getBoundingClientRect().right > width && one.closest('.scroll') === null,
  );
  return ['the page', ...wide.slice(0, 5).map((one) => one.outerHTML.slice(0, 200))];
}

/** Whether a script of others ran, also one that waits for a reader's pointer or a focus. */
export function struck() {
  for (const one of document.querySelectorAll('*')) {
    for (const event of ['mouseover', 'focus', 'toggle']) one.dispatchEvent(new Event(event));
  }
  return 'struck' in window;
}

/** Links that lead neither to this site nor to the Temporal UI. */
export function linksElsewhere(ui) {
  return [...document.querySelectorAll('a')]
    .filter((one) => one.origin !== location.origin && !one.href.startsWith(`${ui}/`))
    .map((one) => one.href);
}

/** How wide the style sheet lets a page be. */
export function widest() {
  return getComputedStyle(document.body).maxWidth;
}

export function readXml(text) {
  const read = new DOMParser().parseFromString(text, 'application/xml');
  const names = new Set([...read.querySelectorAll('*')].map(({ localName }) => localName));
  return { error: read.querySelector('parsererror')?.textContent ?? null, names: [...names] };
}

/** How often a reader presses Tab at most. */
export function stops() {
  return document.querySelectorAll('a, summary, [tabindex]').length;
}

export function focused() {
  const one = document.activeElement;
  return one?.getAttribute('aria-label') ?? one?.getAttribute('aria-labelledby') ?? '';
}

/** The names of what scrolls by itself. */
export function scrolling() {
  return [...document.querySelectorAll('body *')]
    .filter((one) => one.scrollWidth > one.clientWidth || one.scrollHeight > one.clientHeight)
    .filter((one) => /auto|scroll/.test(getComputedStyle(one).overflow) && one.checkVisibility())
    .map((one) => one.getAttribute('aria-label') ?? one.getAttribute('aria-labelledby') ?? one.outerHTML);
}

/** What of the tables and texts is not seen, or not to its end. */
export function unseen() {
  return [...document.querySelectorAll('table, pre')]
    .filter((one) => {
      const isShown =
        one.checkVisibility({ contentVisibilityAuto: true }) && one.getBoundingClientRect().height > 0;
      const isCut = [one, one.parentElement].some(
        (of) => getComputedStyle(of).overflow !== 'visible' && of.scrollHeight > of.clientHeight + 1,
      );
      return !isShown || isCut;
    })
    .map((one) => one.textContent.trim().slice(0, 60));
}
