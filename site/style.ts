/** The one style sheet: light and dark, narrow and wide, on paper. Each colour of text has the contrast that WCAG AA asks for. */
export const STYLE = `:root {
  --paper: #fdfdfb; --ink: #1d1f21; --soft: #565b60; --line: #d9d9d2; --shade: #f1f1ec; --link: #0b57a4;
  --pass: #0b6b2f; --pass-bg: #dcf3e2; --fail: #a01313; --fail-bg: #fbdfdd; --promote: #8a3b00; --promote-bg: #fde6cf;
  --error: #6b5100; --error-bg: #fbf0bf; --held: #51368a; --held-bg: #e9e2f8; --skip: #565b60; --skip-bg: transparent;
  --s0: #0b57a4; --s1: #a01313; --s2: #0b6b2f; --s3: #8a3b00; --s4: #51368a;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #16181a; --ink: #e6e6e1; --soft: #a9aeb3; --line: #3a3e42; --shade: #212427; --link: #8ec2ff;
    --pass: #86dfa2; --pass-bg: #123d22; --fail: #ffb1ab; --fail-bg: #541616; --promote: #ffc38f; --promote-bg: #4f2b08;
    --error: #f2dc7c; --error-bg: #453a08; --held: #cdb8ff; --held-bg: #35265a; --skip: #a9aeb3; --skip-bg: transparent;
    --s0: #8ec2ff; --s1: #ffb1ab; --s2: #86dfa2; --s3: #ffc38f; --s4: #cdb8ff;
  }
}
* { box-sizing: border-box; }
html { color-scheme: light dark; }
body { margin: 0 auto; max-width: 90rem; padding: 0 1rem 2rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, "Segoe UI", "Noto Sans", sans-serif; overflow-wrap: anywhere; }
a { color: var(--link); text-underline-offset: .15em; }
a:focus-visible, summary:focus-visible, [tabindex]:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
.to-content { position: absolute; left: -100vw; }
.to-content:focus { left: .5rem; top: .5rem; padding: .25rem .5rem; background: var(--paper); z-index: 1; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
header { padding: .75rem 0; border-bottom: 1px solid var(--line); }
.home { font-weight: 600; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 1rem 0 .5rem; }
h2 { font-size: 1.25rem; margin: 1.75rem 0 .5rem; }
h3 { font-size: 1.05rem; margin: 1rem 0 .25rem; }
h3 small { font-weight: normal; color: var(--soft); }
.lead { font-size: 1.15rem; }
.meta, small, footer, figcaption { color: var(--soft); }
.meta { font-size: .92rem; margin: .1rem 0 0; }
.changes { list-style: none; margin: 0; padding: 0; }
.changes li { border-left: 4px solid var(--line); padding: .35rem 0 .35rem .75rem; margin: .4rem 0; }
.changes p { margin: 0; }
.changes .recipe { font-weight: 600; }
span.said, li.said, p.said, dd.said, .tiers td.said { white-space: pre-line; }
time { white-space: nowrap; }
.tiers .mark { white-space: nowrap; }
.facts { display: grid; grid-template-columns: minmax(7rem, max-content) 1fr; gap: .25rem 1rem; margin: .5rem 0; }
.facts dt { color: var(--soft); }
.facts dd { margin: 0; min-width: 0; }
.facts ul { margin: 0; padding-left: 1.1rem; }
.mark, td.pass, td.fail, td.promote, td.error, td.held, .cell { border-radius: .25rem; }
.mark { padding: 0 .35rem; font-weight: 600; box-decoration-break: clone; -webkit-box-decoration-break: clone; }
.pass { color: var(--pass); background: var(--pass-bg); }
.fail { color: var(--fail); background: var(--fail-bg); }
.promote { color: var(--promote); background: var(--promote-bg); }
.error { color: var(--error); background: var(--error-bg); }
.held { color: var(--held); background: var(--held-bg); }
.skip { color: var(--skip); background: var(--skip-bg); }
.cell { display: inline-block; min-width: 1.5em; text-align: center; font-weight: 600; }
.legend { color: var(--soft); font-size: .92rem; }
.legend > span { margin-right: .9rem; white-space: nowrap; }
.scroll { position: relative; overflow-x: auto; max-width: 100%; }
table { border-collapse: collapse; font-size: .95rem; }
caption { text-align: left; color: var(--soft); }
th, td { text-align: left; vertical-align: top; padding: .25rem .5rem; border-bottom: 1px solid var(--line); overflow-wrap: normal; }
td.said, td code { overflow-wrap: anywhere; }
td.said { min-width: 16rem; max-width: 40rem; }
thead th { background: var(--shade); white-space: nowrap; }
.matrix th, .matrix td { white-space: nowrap; }
.matrix tbody th { position: sticky; left: 0; background: var(--paper); }
.matrix td:nth-child(n + 6), .matrix th.sweep { text-align: center; }
.matrix td a { color: inherit; display: block; }
pre.file { overflow: auto; max-height: 40rem; padding: .75rem; background: var(--shade); border: 1px solid var(--line);
  font: .85rem/1.4 ui-monospace, "DejaVu Sans Mono", monospace; white-space: pre-wrap; overflow-wrap: anywhere; }
#excerpt + pre.file { max-height: none; }
code { font: .9em ui-monospace, "DejaVu Sans Mono", monospace; }
.digest { color: var(--soft); }
.diff .added { color: var(--pass); } .diff .removed { color: var(--fail); } .diff .place, .diff .head { color: var(--soft); }
.files { columns: 22rem auto; padding-left: 1.1rem; }
.pictures, .plots { display: flex; flex-wrap: wrap; gap: 1rem; }
figure { margin: 0; flex: 1 1 20rem; max-width: 42rem; min-width: 0; }
img { max-width: 100%; height: auto; }
.pictures img { border: 1px solid var(--line); display: block; }
.plot { width: 100%; height: auto; background: var(--shade); border: 1px solid var(--line); }
.plot text { font: 11px system-ui, sans-serif; fill: var(--soft); }
.plot .y { text-anchor: end; dominant-baseline: middle; }
.plot .grid { stroke: var(--line); }
path { fill: none; stroke-width: 2; }
.key { width: 24px; height: 8px; }
path.s0, circle.s0 { stroke: var(--s0); } path.s1, circle.s1 { stroke: var(--s1); stroke-dasharray: 7 3; }
path.s2, circle.s2 { stroke: var(--s2); stroke-dasharray: 3 3; } path.s3, circle.s3 { stroke: var(--s3); stroke-dasharray: 10 3 2 3; }
path.s4, circle.s4 { stroke: var(--s4); stroke-dasharray: 1 3; }
circle { fill: var(--paper); stroke-width: 1.5; stroke-dasharray: none !important; }
footer { margin-top: 2rem; border-top: 1px solid var(--line); font-size: .92rem; }
@media (max-width: 40rem) {
  .facts { grid-template-columns: 1fr; gap: 0; }
  .facts dd { margin-bottom: .5rem; }
  h1 { font-size: 1.4rem; }
}
@media print {
  body { max-width: none; font-size: 10pt; }
  header nav, .to-content, footer { display: none; }
  .scroll { overflow: visible; }
  pre.file { max-height: none; }
  details::details-content { content-visibility: visible; block-size: auto; }
  a { color: inherit; text-decoration: none; }
  .mark, .cell, td { print-color-adjust: exact; }
  section { break-inside: avoid-page; }
}
`;

/** The picture on a page's tab. */
export const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="3" fill="#0b6b2f"/><path d="M4 8.5l2.8 3L12 5" fill="none" stroke="#fff" stroke-width="2"/></svg>
`;
